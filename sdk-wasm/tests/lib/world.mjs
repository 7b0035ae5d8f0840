// A page without a browser: the real module and the real face over a socket and a clock of the test.

import { readFileSync } from 'node:fs';
import { mock } from 'node:test';

export const URL_OF_GATEWAY = 'wss://gateway.example.com/prod';
export const TOKEN = 'canary-of-the-access-token';
export const STREAM_TOKEN = 'canary-of-the-stream-token';

export const ENDPOINT = {
  websocket_url: 'wss://media.example.com/live/websocket',
  http_url: 'https://media.example.com/live',
  app: 'live',
  stream_token: STREAM_TOKEN,
  stream_token_expires_in_ms: 60_000,
};

/** Sockets of the page, and what the other end does. */
class Gateway {
  /** Every socket there was. */
  sockets = [];
  /** Every message of the client, read. */
  received = [];
  /** What is answered to an action: a function of the message that returns messages. */
  answers = {
    hello: ({ id, leases, requests }) => [
      {
        type: 'welcome',
        id,
        session: 'session-1',
        token_expires_in_ms: 3_600_000,
        heartbeat_ms: 270_000,
        max_age_ms: 7_200_000,
        reconnect_spread_ms: 5_000,
        leases: leases.map((lease) => ({ id: lease.id, state: 'held', rev: 1, endpoint: ENDPOINT })),
        requests: requests.map(({ id }) => ({ id, state: 'unknown' })),
      },
    ],
    acquire: ({ id }) => [{ type: 'ack', id }],
    endpoint: ({ id, lease }) => [{ type: 'endpoint', id, lease, rev: 2, endpoint: ENDPOINT }],
    cancel: ({ id }) => [{ type: 'ack', id }],
    release: ({ id }) => [{ type: 'ack', id }],
    renew: ({ id }) => [{ type: 'renewed', id, expires_in_ms: 3_600_000, reconnect_spread_ms: 5_000 }],
  };
  accepts = () => true;

  get link() {
    return this.sockets.findLast((socket) => socket.protocols.length > 0);
  }

  /** Pushes messages to the client. */
  push(...messages) {
    for (const message of messages) this.link.deliver(JSON.stringify(message));
  }

  actions() {
    return this.received.map(({ action }) => action);
  }
}

/** Puts a socket class, a clock and a place for uncaught errors into the global scope. */
export function makeWorld() {
  const gateway = new Gateway();
  const reported = [];
  const unhandled = [];
  const printed = [];

  class Socket extends EventTarget {
    protocol = '';
    onopen = null;
    onmessage = null;
    onclose = null;

    constructor(url, protocols = []) {
      super();
      this.url = url;
      this.protocols = protocols;
      gateway.sockets.push(this);
      queueMicrotask(() => {
        if (this.closed) return;
        if (!gateway.accepts(this)) return this.drop();
        this.protocol = protocols[0] ?? '';
        this.#tell('onopen', new Event('open'));
      });
    }

    send(text) {
      const message = JSON.parse(text);
      if (message.command === 'ping') return this.deliver('{"command":"pong"}');
      gateway.received.push(message);
      for (const answer of gateway.answers[message.action]?.(message) ?? []) {
        this.deliver(JSON.stringify(answer));
      }
    }

    deliver(data) {
      queueMicrotask(() => this.#tell('onmessage', new MessageEvent('message', { data })));
    }

    drop(code = 1006) {
      this.closed = true;
      this.#tell('onclose', Object.assign(new CloseEvent('close'), { code }));
    }

    close() {
      this.closed = true;
    }

    #tell(listener, event) {
      Object.defineProperty(event, 'target', { value: this });
      this[listener]?.(event);
    }
  }

  const globals = {
    WebSocket: Socket,
    CloseEvent: class CloseEvent extends Event {},
    reportError: (error) => reported.push(error),
  };
  const before = new Map(Object.keys(globals).map((name) => [name, globalThis[name]]));
  Object.assign(globalThis, globals);
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(performance, 'now', () => Date.now());
  mock.method(crypto, 'getRandomValues', seeded());
  for (const name of ['log', 'info', 'warn', 'error', 'debug']) {
    mock.method(console, name, (...values) => printed.push(values));
  }
  const onUnhandled = (error) => unhandled.push(error);
  process.on('unhandledRejection', onUnhandled);

  return {
    gateway,
    /** What the app's callbacks threw. */
    reported,
    /** What nobody caught. */
    unhandled,
    /** What was written to the console. */
    printed,
    settle,
    /** Lets time pass, in steps short enough for whatever waits in between. */
    async advance(ms) {
      for (let left = ms; left > 0; left -= 100) {
        mock.timers.tick(Math.min(left, 100));
        await settle();
      }
    },
    end() {
      mock.timers.reset();
      mock.restoreAll();
      process.off('unhandledRejection', onUnhandled);
      for (const [name, value] of before) {
        if (value === undefined) delete globalThis[name];
        else globalThis[name] = value;
      }
    },
  };
}

/** Bytes that look random and are the same in every run: a linear congruential generator. */
function seeded(seed = 1) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  return (bytes) => {
    bytes.set(Array.from(bytes, next));
    return bytes;
  };
}

/** Lets everything run that is ready to run. */
export async function settle() {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Messages that bring an acquisition to its end. */
export const ready = (id) => [
  {
    type: 'progress',
    id,
    rev: 1,
    phase: 'booting',
    elapsed_ms: 10_000,
    eta_p50_ms: 30_000,
    eta_p90_ms: 60_000,
    overdue: false,
  },
  { type: 'ready', id, rev: 2, endpoint: ENDPOINT, verify_spread_ms: 0 },
];

/** The module, compiled: a client that is given it begins without waiting. */
export const moduleOf = ({ file }) =>
  new WebAssembly.Module(readFileSync(file('wasm/wakecast_bg.wasm')));
