// Hands an endpoint to the vendor's SDK: one socket to one media server, until it ends.

import { WebRTCAdaptor } from '/webrtc_adaptor/webrtc_adaptor.js';

import { problem } from './problem.js';

/** How often a viewer asks whether the stream is there: a person notices no less. */
const LOOK_MS = 1000;

/** Asks for camera and microphone, before any server is woken for them. */
export async function openCamera() {
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: 1280, height: 720 },
      audio: true,
    });
  } catch (cause) {
    const code = cause.name === 'NotFoundError' ? 'camera_missing' : 'camera_refused';
    throw problem(code, { cause });
  }
}

export function closeCamera(camera) {
  for (const track of camera?.getTracks() ?? []) track.stop();
}

/**
 * One connection to a media server. `tell` hears `live` when the stream is published, `picture` when
 * a viewer has one, `finished` when it has ended, `nobody` while there is none. `ended` says why it
 * is over: `closed`, `refused`, `in_use` or `failed`.
 */
class Session {
  #adaptor;
  #streamId;
  #tell;
  #end;
  #look;

  constructor({ endpoint, streamId, tell, ...own }) {
    this.#streamId = streamId;
    this.#tell = tell;
    this.ended = new Promise((end) => (this.#end = end));
    this.#adaptor = new WebRTCAdaptor({
      websocketURL: endpoint.websocketUrl,
      // Media and servers are near each other or have public addresses: nobody else is asked.
      peerconnection_config: { iceServers: [] },
      // Each connection needs a fresh stream token, which the lease has and the adaptor has not.
      reconnectIfRequiredFlag: false,
      callback: (info, detail) => this.heard(info, detail),
      callbackError: (error) => this.failed(error),
      ...own,
    });
  }

  get adaptor() {
    return this.#adaptor;
  }

  get streamId() {
    return this.#streamId;
  }

  tell(news) {
    this.#tell(news);
  }

  heard(info, detail) {
    if (info === 'closed') this.over('closed');
    if (info === 'ice_connection_state_changed' && detail.state === 'failed') this.over('failed');
  }

  failed(error) {
    if (error === 'unauthorized_access') this.over('refused');
    else if (error === 'already_publishing' || error === 'streamIdInUse') this.over('in_use');
    else this.over('failed');
  }

  lookLater(look) {
    clearTimeout(this.#look);
    this.#look = setTimeout(look, LOOK_MS);
  }

  over(why) {
    clearTimeout(this.#look);
    this.#end(why);
  }

  close() {
    this.over('stopped');
    const { webSocketAdaptor } = this.#adaptor;
    // Not yet there if the adaptor has not come that far.
    if (webSocketAdaptor) {
      this.#adaptor.stop(this.#streamId);
      this.#adaptor.closeWebSocket();
    }
  }
}

export class Publishing extends Session {
  #token;

  constructor({ camera, endpoint, ...rest }) {
    super({
      ...rest,
      endpoint,
      localStream: camera,
      mediaConstraints: { video: true, audio: true },
      sdp_constraints: { OfferToReceiveAudio: false, OfferToReceiveVideo: false },
      // A server may answer with tracks of its own, which the SDK has to put somewhere.
      remoteVideoElement: document.createElement('video'),
    });
    this.#token = endpoint.streamToken;
  }

  heard(info, detail) {
    if (info === 'initialized') this.adaptor.publish(this.streamId, this.#token);
    if (info === 'publish_started') this.tell('live');
    if (info === 'publish_finished') this.over('closed');
    super.heard(info, detail);
  }
}

export class Playing extends Session {
  #freshToken;
  #video;

  /** `freshToken` is asked once the stream is there: tokens live for seconds. */
  constructor({ video, freshToken, ...rest }) {
    super({
      ...rest,
      isPlayMode: true,
      mediaConstraints: { video: false, audio: false },
      remoteVideoElement: video,
    });
    this.#freshToken = freshToken;
    this.#video = video;
  }

  heard(info, detail) {
    const look = () => this.adaptor.getStreamInfo(this.streamId);
    if (info === 'initialized') look();
    if (info === 'streamInformation') void this.#play();
    if (info === 'play_started') this.#video.requestVideoFrameCallback(() => this.tell('picture'));
    if (info === 'play_finished') {
      this.tell('finished');
      this.adaptor.closePeerConnection(this.streamId);
      this.lookLater(look);
    }
    super.heard(info, detail);
  }

  failed(error) {
    if (error === 'no_stream_exist') {
      this.tell('nobody');
      this.lookLater(() => this.adaptor.getStreamInfo(this.streamId));
    } else {
      super.failed(error);
    }
  }

  async #play() {
    try {
      this.adaptor.play(this.streamId, await this.#freshToken());
    } catch {
      // The lease says why, and the player listens to it.
      this.over('refused');
    }
  }

  close() {
    super.close();
    this.#video.srcObject = null;
  }
}
