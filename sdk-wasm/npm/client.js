import { askAccess } from './access.js';
import { Acquisition, readWish } from './acquisition.js';
import { loadCore } from './core.js';
import { WakecastError, invalid } from './error.js';
import { Lease } from './lease.js';
import { camel } from './names.js';
import { randomBytes, randomId } from './random.js';
import { openSession } from './session.js';
import { Broadcast, asyncDispose } from './streams.js';
import { SDK } from './version.js';

/** How many events wait for a slow reader; a cold start with several acquisitions stays far below. */
const EVENT_LIMIT = 256;

const IDLE = Object.freeze({ kind: 'idle' });
const CLOSED = Object.freeze({ kind: 'closed' });

/** Keeps one link to the service, and on it acquires endpoints. */
export class Client {
  #options;
  #session;
  #state = IDLE;
  #listeners = new Set();
  #events = new Broadcast(EVENT_LIMIT, (n) => ({ type: 'lagged', n }));

  #driver;
  #loading = false;
  /** What was asked while the module loads, in order. */
  #backlog = [];
  #nextKey = 1;
  #waiters = new Map();
  #acquisitions = new Map();
  #leases = new Map();
  #port = {
    call: (act) => this.#call(act),
    request: (act) => this.#request(act),
    verify: () => this.#options.verify,
  };

  constructor(url, options) {
    this.#options = readOptions(url, options);
    this.subscribe = this.subscribe.bind(this);
  }

  static async resume(url, { name = 'default', ...options } = {}) {
    const client = new Client(url, options);
    client.#session = await openSession(name);
    client.#options.clientId = client.#session.clientId;
    return client;
  }

  get state() {
    return this.#state;
  }

  subscribe(listener) {
    // A wrapper, so that one function may be given twice and ended once.
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  events() {
    return this.#events.read();
  }

  connect() {
    this.#call((driver) => driver.connect());
  }

  acquire(options) {
    const wish = readWish(options, this.#options.verify);
    const id = options.id ?? this.#session?.take(wish.name) ?? randomId();
    const acquisition = new Acquisition(this.#port, id, wish, options);
    this.#acquisitions.set(id, acquisition);
    this.#session?.keep(wish.name, id);
    acquisition.then(undefined, () => this.#session?.forget(id));
    return acquisition;
  }

  async status(fleet) {
    const { fleet: status } = await this.#request((driver, key) => driver.status(key, fleet)).outcome;
    return status;
  }

  retry() {
    this.#call((driver) => driver.retry());
  }

  async close() {
    await this.#end((driver) => driver.close());
  }

  async detach() {
    await this.#end((driver) => driver.detach());
  }

  [asyncDispose]() {
    return this.close();
  }

  /** Does something with the driver: at once, or in its turn when the module is there. */
  #call(act) {
    if (this.#driver) {
      act(this.#driver);
      return;
    }
    this.#backlog.push(act);
    if (!this.#loading && this.#state !== CLOSED) void this.#start();
  }

  /** Asks for something that has exactly one outcome. */
  #request(act) {
    const key = this.#nextKey++;
    const outcome = new Promise((resolve, reject) => {
      this.#waiters.set(key, { resolve, reject });
    });
    // Whoever does not await it does not want to hear of it.
    outcome.catch(() => {});
    this.#call((driver) => act(driver, key));
    return { key, outcome };
  }

  async #start() {
    this.#loading = true;
    try {
      const { Driver } = await loadCore();
      const { gateways, clientId } = this.#options;
      const access = Uint8Array.from(gateways, ({ accessUrl }) => Number(accessUrl !== undefined));
      this.#driver = new Driver(this.#face(), SDK, clientId, access, randomBytes(32));
    } catch (error) {
      this.#failedToLoad(error);
      return;
    } finally {
      this.#loading = false;
    }
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const act of backlog) act(this.#driver);
  }

  /** Everything that waits ends with it; the next request or `retry()` tries again. */
  #failedToLoad(error) {
    this.#backlog = [];
    this.#setState(Object.freeze({ kind: 'failed', error }));
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const { reject } of waiters) reject(error);
  }

  async #end(act) {
    const ended = new Promise((resolve) => {
      if (this.#state === CLOSED) return resolve();
      const leave = this.subscribe(() => {
        if (this.#state !== CLOSED) return;
        leave();
        resolve();
      });
    });
    if (this.#driver || this.#loading) this.#call(act);
    else this.#setState(CLOSED);
    await ended;
    this.#session?.end();
  }

  #face() {
    return {
      event: (json) => this.#dispatch(camel(JSON.parse(json))),
      token: (generation, reason) => void this.#askToken(generation, reason),
      address: (gateway) => this.#options.gateways[gateway].url,
      access: (check, gateway, token) => void this.#askAccess(check, gateway, token),
    };
  }

  async #askToken(generation, reason) {
    try {
      const answer = await this.#options.tokenProvider(reason);
      const { token, expiresIn } = typeof answer === 'string' ? { token: answer } : (answer ?? {});
      if (typeof token !== 'string' || token === '') {
        throw new TypeError('it returned no token: expected a string, or { token, expiresIn }');
      }
      this.#driver.token_ready(generation, token, expiresIn);
    } catch (cause) {
      const { message = String(cause), refused = false, retryAfter } = cause ?? {};
      this.#driver.token_failed(generation, String(message), refused === true, retryAfter);
    }
  }

  async #askAccess(check, gateway, token) {
    try {
      const { accessUrl } = this.#options.gateways[gateway];
      const { status, retryAfter } = await askAccess(accessUrl, token);
      this.#driver.access_answered(check, status, retryAfter);
    } catch (cause) {
      this.#driver.access_failed(check, String(cause?.message ?? cause));
    }
  }

  #dispatch(event) {
    if (event.key !== undefined) this.#settle(event);
    else if (event.state) this.#stateChanged(event.state);
    else if (event.progress) this.#progressed(event);
    else if (event.change) this.#leaseChanged(event);
    else if (event.error) this.#events.push({ type: 'diagnostic', error: new WakecastError(event.error) });
  }

  #settle({ key, error, ...answer }) {
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    const acquisition = answer.id === undefined ? undefined : this.#acquisitions.get(answer.id);
    if (acquisition) {
      // Known before anybody is told, so that no change of it is missed.
      answer.lease = new Lease(this.#port, answer.id);
      this.#leases.set(answer.id, answer.lease);
    }
    if (error) waiter?.reject(new WakecastError(error));
    else waiter?.resolve(answer);
    for (const [id, open] of this.#acquisitions) {
      if (open.settledBy(key)) this.#acquisitions.delete(id);
    }
  }

  #stateChanged({ error, ...state }) {
    if (state.kind === 'closed') {
      this.#setState(CLOSED);
      this.#events.end();
      for (const lease of this.#leases.values()) lease.end();
    } else {
      this.#setState(Object.freeze(error ? { ...state, error: new WakecastError(error) } : state));
    }
  }

  #setState(state) {
    this.#state = state;
    this.#events.push({ type: 'state', state });
    for (const listener of [...this.#listeners]) listener();
  }

  #progressed({ id, progress: { permille, ...rest } }) {
    const progress = Object.freeze({ ...rest, fraction: permille / 1000 });
    this.#acquisitions.get(id)?.progressed(progress);
    this.#events.push({ type: 'progress', id, progress });
  }

  #leaseChanged({ id, status, change }) {
    const lease = this.#leases.get(id);
    lease?.changed(status, change);
    this.#events.push({ type: 'lease', id, status, change });
    if (status === 'lost' || status === 'released') {
      lease?.end();
      this.#leases.delete(id);
      this.#session?.forget(id);
    }
  }
}

/** The preferred gateway and those to fall back on, in order. */
function readGateways(url, { accessUrl, fallbacks = [] }) {
  return [{ url, accessUrl }, ...fallbacks].map((gateway, index) => {
    const name = index === 0 ? '' : `fallbacks[${index - 1}].`;
    return {
      url: address(gateway.url, `${name}url`, 'wss:', 'ws:'),
      accessUrl:
        gateway.accessUrl === undefined
          ? undefined
          : address(gateway.accessUrl, `${name}accessUrl`, 'https:', 'http:'),
    };
  });
}

function readOptions(url, options) {
  const { tokenProvider, clientId, verify = true } = options ?? {};
  if (typeof tokenProvider !== 'function') {
    throw invalid('tokenProvider must be a function that returns a token, or a promise of one');
  }
  if (clientId !== undefined && !/^[\x21-\x7e]{1,128}$/.test(clientId)) {
    throw invalid('clientId must have 1 to 128 visible ASCII characters, no spaces among them');
  }
  return { gateways: readGateways(url, options), tokenProvider, clientId, verify };
}

/** Checks an address. What was given is not quoted: it may hold a secret. */
function address(text, name, secure, plain) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw invalid(`${name} is not an address: expected ${secure}//host/path`);
  }
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== secure && !(url.protocol === plain && loopback)) {
    throw invalid(`${name} must begin with ${secure}// (${plain}// is for this machine only)`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw invalid(`${name} must hold no user name, query or fragment: tokens travel by tokenProvider`);
  }
  return url.href;
}
