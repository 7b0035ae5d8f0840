import { Broadcast, asyncDispose } from './streams.js';

/** How many changes of a lease wait for a slow reader; a lease sees a handful in its life. */
const CHANGE_LIMIT = 16;

/** The right to use an instance until it is released, lost or forgotten. */
export class Lease {
  #port;
  #status = 'held';
  #changes = new Broadcast(CHANGE_LIMIT);
  /** What happened since the grant, until somebody reads. */
  #unread = this.#changes.read();
  #listeners = new Set();

  constructor(port, id) {
    this.#port = port;
    this.id = id;
    this.subscribe = this.subscribe.bind(this);
  }

  get status() {
    return this.#status;
  }

  subscribe(listener) {
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  /** The first reader gets all that happened since the grant, later ones what happens from now on. */
  changes() {
    const unread = this.#unread;
    this.#unread = undefined;
    return unread ?? this.#changes.read();
  }

  async endpoint() {
    const { outcome } = this.#port.request((driver, key) => driver.endpoint(key, this.id));
    return (await outcome).endpoint;
  }

  async release() {
    await this.#port.request((driver, key) => driver.release(key, this.id)).outcome;
  }

  [asyncDispose]() {
    return this.release();
  }

  changed(status, change) {
    this.#status = status;
    this.#changes.push(change);
    for (const listener of [...this.#listeners]) listener();
  }

  end() {
    this.#changes.end();
  }
}
