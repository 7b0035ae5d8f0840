// An app in a page, told what to do word by word. Whatever the client tells goes to the test.

import { Client } from "/wakecast/index.js";

const APP = "live";

// Each of these settles in its time, and is told then.
const names = new Map();
const acquisitions = new Map();
const leases = new Map();
const endpoints = new Map();
let client;

const app = {
  /** Makes the client; `resume` is what it keeps its ids under. */
  async open({ websocketUrl, accessUrl, resume }) {
    const options = { accessUrl, tokenProvider: (reason) => window.askToken(reason) };
    client = resume
      ? await Client.resume(websocketUrl, { ...options, name: resume })
      : new Client(websocketUrl, options);
    void tellEvents();
  },

  /** The id of an acquisition. */
  id: (name) => acquisitions.get(name).id,

  /** Begins something; what comes of it is told. */
  does(what) {
    if (typeof what === "string") {
      const words = { connect: () => client.connect(), retry: () => client.retry() };
      const ends = { close: () => client.close(), detach: () => client.detach() };
      if (words[what]) words[what]();
      else if (ends[what]) void ends[what]();
      else throw new Error(`an app cannot \`${what}\``);
    } else if (what.acquire) acquire(what);
    else if (what.cancel) acquisitions.get(what.cancel).cancel();
    else if (what.endpoint) void endpoint(what.endpoint, what.as);
    else if (what.release) void release(what.release);
    else throw new Error(`an app cannot do ${JSON.stringify(what)}`);
  },

  /** What is so at this moment. */
  now({ lease }) {
    return lease === undefined ? state(client.state) : { lease, status: leases.get(lease).status };
  },

  /** What the media server has against an endpoint's token: it is asked for a stream of nobody. */
  refusal(name, streamId) {
    const { websocketUrl, streamToken: token } = endpoints.get(name);
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(websocketUrl);
      socket.onopen = () => socket.send(JSON.stringify({ command: "play", streamId, token }));
      socket.onmessage = ({ data }) => {
        const { command, definition } = JSON.parse(data);
        if (command !== "error") return;
        resolve(definition);
        socket.close();
      };
      socket.onclose = () => reject(new Error("the media server closed without an answer"));
    });
  },
};

function acquire({ acquire: name, purpose, stream, id, deadline_ms }) {
  const acquisition = client.acquire({ app: APP, streamId: stream, purpose, id, deadline: deadline_ms });
  names.set(acquisition.id, name);
  acquisitions.set(name, acquisition);
  acquisition.then(
    (lease) => {
      leases.set(name, lease);
      window.tell({ settled: name, answer: "lease" });
    },
    (why) => window.tell({ settled: name, error: error(why) }),
  );
}

async function endpoint(lease, name) {
  try {
    const got = await leases.get(lease).endpoint();
    endpoints.set(name, got);
    window.tell({ endpoint: name, websocket_url: got.websocketUrl, http_url: got.httpUrl, app: got.app });
  } catch (why) {
    window.tell({ endpoint: name, error: error(why) });
  }
}

async function release(name) {
  try {
    await leases.get(name).release();
    window.tell({ released: name });
  } catch (why) {
    window.tell({ released: name, error: error(why) });
  }
}

async function tellEvents() {
  for await (const event of client.events()) window.tell(entry(event));
}

/** An event in the words of the scenarios. */
function entry(event) {
  switch (event.type) {
    case "state":
      return state(event.state);
    case "progress": {
      const { phase, fraction, overdue, etaP50, etaP90, note } = event.progress;
      const times = { eta_p50_ms: etaP50, eta_p90_ms: etaP90 };
      return { progress: names.get(event.id), phase, fraction, overdue, ...times, note };
    }
    case "lease": {
      const { kind: change, endpoint, reason } = event.change;
      const { status } = event;
      return { lease: names.get(event.id), status, change, websocket_url: endpoint?.websocketUrl, reason };
    }
    case "diagnostic":
      return { diagnostic: event.error.code, user_action: event.error.userAction };
    default:
      throw new Error(`${event.type} has no words`);
  }
}

function state({ kind, stage, attempt, reason, error: why }) {
  return { state: kind, stage, attempt, reason, error: why && error(why) };
}

function error({ code, userAction, retryable, outcome, stage }) {
  return { code, user_action: userAction, retryable, outcome, stage };
}

// Back from the back/forward cache, and how long the client takes until it is connected again.
window.addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  const since = performance.now();
  const leave = client.subscribe(look);
  function look() {
    if (client.state.kind !== "connected") return;
    leave();
    window.tell({ page: "restored", connected_after_ms: performance.now() - since });
  }
  look();
});

for (const name of ["freeze", "resume", "visibilitychange"]) {
  document.addEventListener(name, () => {
    window.tell({ page: name === "visibilitychange" ? document.visibilityState : name });
  });
}
for (const name of ["online", "offline"]) {
  window.addEventListener(name, () => window.tell({ page: name }));
}

window.app = app;
window.isReady(app);
