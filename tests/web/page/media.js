// The vendor's SDK as an app uses it, with everything it tells kept for the test.

import { WebRTCAdaptor } from "/sdk/index.js";

const heard = [];
let adaptor;
let playedAt;
let firstFrameMs;

const open = ({ websocketUrl, httpEndpointUrl, isPlayMode }) =>
  new Promise((resolve) => {
    adaptor = new WebRTCAdaptor({
      // One of the two.
      websocket_url: websocketUrl,
      httpEndpointUrl,
      isPlayMode,
      mediaConstraints: { video: { width: 640, height: 360 }, audio: true },
      // No server of anybody's is asked for addresses.
      peerconnection_config: { iceServers: [] },
      sdp_constraints: { OfferToReceiveAudio: isPlayMode, OfferToReceiveVideo: isPlayMode },
      remoteVideoElement: document.getElementById("remoteVideo"),
      callback(info, detail) {
        if (info !== "pong") heard.push(info);
        if (info === "initialized") resolve();
        if (info === "play_started") adaptor.started = detail;
      },
      callbackError: (error) => heard.push(`error: ${error}`),
    });
  });

const video = () => document.getElementById("remoteVideo");

/** What the picture looks like, as numbers. */
const picture = () => {
  const canvas = new OffscreenCanvas(320, 180);
  const context = canvas.getContext("2d");
  context.drawImage(video(), 0, 0, canvas.width, canvas.height);
  return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
};

/** The inbound or outbound streams of a connection, by kind. */
const stats = async (streamId) => {
  const report = await adaptor.remotePeerConnection[streamId].getStats();
  const found = {};
  for (const entry of report.values()) {
    if (entry.type === "inbound-rtp" || entry.type === "outbound-rtp") found[entry.kind] = entry;
  }
  for (const kind of Object.keys(found)) {
    const codec = report.get(found[kind].codecId);
    found[kind] = { ...found[kind], codec: codec?.mimeType };
  }
  return found;
};

window.tab = {
  heard,
  open,
  picture,
  stats,
  firstFrameMs: () => firstFrameMs,
  publish: (streamId, token) => adaptor.publish(streamId, token),
  play(streamId, token) {
    playedAt = performance.now();
    firstFrameMs = undefined;
    video().requestVideoFrameCallback(() => {
      firstFrameMs = Math.round(performance.now() - playedAt);
    });
    adaptor.play(streamId, token);
  },
  stop: (streamId) => adaptor.stop(streamId),
};
