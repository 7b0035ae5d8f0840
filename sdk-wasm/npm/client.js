import { askAccess } from './access.js';
import { Acquisition } from './acquisition.js';
import { Listeners } from './callbacks.js';
import { loadDriver } from './core.js';
import { WakecastError, invalid, isWakecastError, textOf } from './error.js';
import { Lease } from './lease.js';
import { camel } from './names.js';
import { readOptions } from './options.js';
import { randomBytes, randomId } from './random.js';
import { openSession } from './session.js';
import { Broadcast, asyncDispose } from './streams.js';
import { readFailure, readToken } from './tokens.js';
import { Turn } from './turn.js';
import { SDK } from './version.js';
import { readWish } from './wish.js';

/** How many events wait for a slow reader; a cold start with several acquisitions stays far below. */
const EVENT_LIMIT = 256;

const IDLE = Object.freeze({ kind: 'idle' });
const CLOSED = Object.freeze({ kind: 'closed' });

/** Keeps one link to the service, and on it acquires endpoints. */
export class Client {
  #options;
  #session;
  #state = IDLE;
  #listeners = new Listeners();
  #events = new Broadcast(EVENT_LIMIT, (n) => Object.freeze({ type: 'lagged', n }));

  #driver;
  /** What is left to look at once the driver is gone. */
  #last;
  #loading = false;
  /** What was asked while the module loads, in order. */
  #backlog = [];
  #nextKey = 1;
  /** Whoever waits for an outcome, by key. */
  #waiters = new Map();
  #leases = new Map();
  #tokens = new Turn();
  #checks = new Turn();
  #closed;
  #tellClosed;

  subscribe = this.#listeners.subscribe;

  constructor(url, options) {
    this.#options = readOptions(url, options);
    this.#closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
  }

  static async resume(url, { name = 'default', ...options } = {}) {
    const client = new Client(url, options);
    client.#session = await openSession(name);
    return client;
  }

  get state() {
    return this.#state;
  }

  events() {
    return this.#events.read();
  }

  connect() {
    this.#start();
    this.#call((driver) => driver.connect());
  }

  acquire(options) {
    const wish = readWish(options, this.#options.verify);
    if (wish.problem) return new Acquisition(this.#port, randomId(), wish);
    const id = wish.id ?? this.#session?.take(wish.name) ?? randomId();
    this.#session?.keep(wish.name, id);
    return new Acquisition(this.#port, id, wish);
  }

  async status(fleet) {
    if (fleet !== undefined && typeof fleet !== 'string') throw invalid('fleet must be a text');
    return (await this.#request((driver, key) => driver.status(key, fleet)).outcome).fleet;
  }

  async explain() {
    return (await this.#inspect((driver) => driver.explain())).split('\n\n');
  }

  async diagnostics() {
    return camel(JSON.parse(await this.#inspect((driver) => driver.diagnostics())));
  }

  retry() {
    if (this.#driver) this.#driver.retry();
    // The module could not be loaded.
    else if (this.#state.kind === 'failed') this.connect();
  }

  close() {
    return this.#end((driver) => driver.close(), { forget: true });
  }

  detach() {
    return this.#end((driver) => driver.detach(), { forget: false });
  }

  [asyncDispose]() {
    return this.close();
  }

  /** What acquisitions and leases use. */
  #port = {
    call: (act) => this.#call(act),
    request: (act, more) => this.#request(act, more),
    // Its id is the app's own business from here on.
    detachAcquisition: (id, key) => {
      this.#session?.forget(id);
      this.#call((driver) => driver.detach_acquire(key));
    },
    detachLease: (id) => {
      this.#session?.forget(id);
      this.#call((driver) => driver.detach_lease(id));
      this.#endLease(id);
    },
  };

  /** Does something with the driver: at once, or in its turn if the module is on its way. */
  #call(act) {
    if (this.#driver) act(this.#driver);
    else if (this.#loading) this.#backlog.push(act);
  }

  /** Looks at the machine as it is, or as it was when it closed. */
  async #inspect(look) {
    if (!this.#driver && this.#state !== CLOSED) {
      this.#start();
      // What awaits it first makes the driver.
      await loadDriver();
    }
    const driver = this.#driver ?? this.#last;
    if (!driver) throw this.#state.error ?? closed();
    return look(driver);
  }

  /** Asks for something that has exactly one outcome; with a `problem`, that is it. */
  #request(act, { acquisition, problem } = {}) {
    const key = this.#nextKey++;
    const outcome = new Promise((resolve, reject) => {
      this.#waiters.set(key, { resolve, reject, acquisition });
    });
    if (problem) this.#reject(key, problem);
    else if (this.#state === CLOSED) this.#reject(key, closed());
    else {
      this.#start();
      this.#call((driver) => act(driver, key));
    }
    return { key, outcome };
  }

  #start() {
    if (!this.#driver && !this.#loading && this.#state !== CLOSED) void this.#load();
  }

  async #load() {
    this.#loading = true;
    let driver;
    try {
      const Driver = await loadDriver();
      if (this.#state === CLOSED) return;
      const { gateways, clientId } = this.#options;
      const access = Uint8Array.from(gateways, ({ accessUrl }) => Number(accessUrl !== undefined));
      driver = new Driver(this.#face, SDK, clientId, access, randomBytes(32));
    } catch (error) {
      this.#failedToStart(isWakecastError(error) ? error : invalid(textOf(error)));
      return;
    } finally {
      this.#loading = false;
    }
    this.#driver = driver;
    if (this.#state.kind === 'failed') this.#setState(IDLE);
    for (const act of this.#backlog.splice(0)) act(driver);
  }

  /** Everything that waits ends with it; the next request or `retry()` tries again. */
  #failedToStart(error) {
    if (this.#state === CLOSED) return;
    this.#backlog = [];
    for (const [key, { acquisition }] of [...this.#waiters]) {
      if (acquisition) this.#session?.giveBack(acquisition.id);
      this.#reject(key, error);
    }
    this.#setState(Object.freeze({ kind: 'failed', error }));
  }

  async #end(act, { forget }) {
    if (this.#driver) act(this.#driver);
    else if (this.#state !== CLOSED) this.#ended();
    await this.#closed;
    this.#session?.end({ forget });
  }

  /** The machine has closed, or there was none yet. */
  #ended() {
    const driver = this.#driver;
    this.#driver = undefined;
    if (driver) {
      const [explanation, diagnostics] = [driver.explain(), driver.diagnostics()];
      this.#last = { explain: () => explanation, diagnostics: () => diagnostics };
    }
    this.#backlog = [];
    for (const key of [...this.#waiters.keys()]) this.#reject(key, closed());
    for (const id of [...this.#leases.keys()]) this.#endLease(id);
    this.#tokens.end();
    this.#checks.end();
    this.#setState(CLOSED);
    this.#events.end();
    this.#tellClosed();
    // It may be what is telling this.
    queueMicrotask(() => driver?.free());
  }

  /** What the driver wants of JavaScript. */
  #face = {
    event: (json) => this.#dispatch(camel(JSON.parse(json))),
    token: (generation, reason) => void this.#askToken(generation, reason),
    address: (gateway) => this.#options.gateways[gateway].url,
    access: (check, gateway, token) => void this.#askAccess(check, gateway, token),
  };

  async #askToken(generation, reason) {
    try {
      const answer = await this.#options.tokenProvider(reason, { signal: this.#tokens.next() });
      const { token, expiresIn } = readToken(answer);
      this.#driver?.token_ready(generation, token, expiresIn);
    } catch (thrown) {
      const { message, refused, retryAfter } = readFailure(thrown);
      this.#driver?.token_failed(generation, message, refused, retryAfter);
    }
  }

  async #askAccess(check, gateway, token) {
    try {
      const { accessUrl } = this.#options.gateways[gateway];
      const { status, retryAfter } = await askAccess(accessUrl, token, this.#checks.next());
      this.#driver?.access_answered(check, status, retryAfter);
    } catch (thrown) {
      this.#driver?.access_failed(check, textOf(thrown));
    }
  }

  #dispatch(event) {
    if (event.key !== undefined) this.#settle(event);
    else if (event.state) this.#stateChanged(event.state);
    else if (event.progress) this.#progressed(event);
    else if (event.change) this.#leaseChanged(event);
    else if (event.error) this.#tell({ type: 'diagnostic', error: new WakecastError(event.error) });
  }

  #settle({ key, error, ...answer }) {
    const { resolve, acquisition } = this.#waiters.get(key) ?? {};
    if (error) {
      this.#reject(key, new WakecastError(error));
      // After a close, `end` says what is forgotten.
      if (acquisition && error.code !== 'closed') this.#forget(acquisition.id);
      return;
    }
    this.#waiters.delete(key);
    if (!acquisition) return resolve?.(answer);
    // Known before anybody is told, so that no change of it is missed.
    const lease = new Lease(this.#port, answer.id);
    this.#leases.set(answer.id, lease);
    resolve(lease);
  }

  #reject(key, error) {
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    waiter?.reject(error);
  }

  /** Another one may have the same id: that is why this one was refused. */
  #forget(id) {
    if (!this.#leases.has(id) && !this.#acquiring(id)) this.#session?.forget(id);
  }

  #acquiring(id) {
    for (const { acquisition } of this.#waiters.values()) {
      if (acquisition?.id === id) return acquisition;
    }
  }

  #stateChanged({ error, ...state }) {
    if (state.kind === 'closed') this.#ended();
    else this.#setState(Object.freeze(error ? { ...state, error: new WakecastError(error) } : state));
  }

  #setState(state) {
    this.#state = state;
    this.#tell({ type: 'state', state });
    this.#listeners.tell();
  }

  #progressed({ id, progress: { permille, ...rest } }) {
    const progress = Object.freeze({ ...rest, fraction: permille / 1000 });
    this.#acquiring(id)?.progressed(progress);
    this.#tell({ type: 'progress', id, progress });
  }

  #leaseChanged({ id, status, change }) {
    this.#leases.get(id)?.changed(status, change);
    this.#tell({ type: 'lease', id, status, change });
    if (status === 'lost' || status === 'released') {
      this.#endLease(id);
      this.#session?.forget(id);
    }
  }

  #endLease(id) {
    this.#leases.get(id)?.end();
    this.#leases.delete(id);
  }

  #tell(event) {
    this.#events.push(Object.freeze(event));
  }
}

const closed = () => new WakecastError({ code: 'closed' });
