import { Listeners } from './callbacks.js';
import { Broadcast, asyncDispose } from './streams.js';

/** How many changes of a lease wait for a slow reader; a lease sees a handful in its life. */
const CHANGE_LIMIT = 16;

/** The right to use an instance until it is released, lost or forgotten. */
export class Lease {
  #port;
  #status = 'held';
  #listeners = new Listeners();
  #changes = new Broadcast(CHANGE_LIMIT);
  /** What happened since the grant, until somebody reads. */
  #unread = this.#changes.read();

  subscribe = this.#listeners.subscribe;

  constructor(port, id) {
    this.#port = port;
    this.id = id;
  }

  get status() {
    return this.#status;
  }

  /** The first reader gets all that happened since the grant, later ones what happens from now on. */
  changes() {
    const unread = this.#unread ?? this.#changes.read();
    this.#unread = undefined;
    return unread;
  }

  async endpoint() {
    const { outcome } = this.#port.request((driver, key) => driver.endpoint(key, this.id));
    return (await outcome).endpoint;
  }

  async release() {
    await this.#port.request((driver, key) => driver.release(key, this.id)).outcome;
  }

  detach() {
    this.#port.detachLease(this.id);
    return this.id;
  }

  async [asyncDispose]() {
    // It counts as released all the same, and whatever ended the block matters more.
    await this.release().catch(() => {});
  }

  changed(status, change) {
    this.#status = status;
    this.#changes.push(change);
    this.#listeners.tell();
  }

  end() {
    this.#changes.end();
  }
}
