// wakecast and the vendor's SDK in one page: each says when its app knows that the server is there.

import { WebRTCAdaptor } from "/sdk/index.js";
import { Client } from "/wakecast/index.js";

const now = () => performance.timeOrigin + performance.now();

/** `initialized`: its socket to the media server is open. */
const vendor = (httpEndpointUrl) =>
  new Promise((resolve, reject) => {
    new WebRTCAdaptor({
      httpEndpointUrl,
      isPlayMode: true,
      peerconnection_config: { iceServers: [] },
      callback: (info) => info === "initialized" && resolve(now()),
      callbackError: reject,
    });
  });

/** The lease: the media server has answered a ping from this page. */
const wakecast = async ({ websocketUrl, accessUrl, token, streamId }) => {
  const client = new Client(websocketUrl, { accessUrl, tokenProvider: () => token });
  await client.acquire({ app: "live", purpose: "play", streamId });
  return now();
};

window.race = async (asks) => {
  const [vendorKnows, wakecastKnows] = await Promise.all([vendor(asks.vendor), wakecast(asks.wakecast)]);
  return { vendor: vendorKnows, wakecast: wakecastKnows };
};
