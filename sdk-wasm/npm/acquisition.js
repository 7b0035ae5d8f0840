import { tell } from './callbacks.js';
import { Latest, asyncDispose } from './streams.js';

/** One wish for an endpoint, from the call to the lease. Await it for the `Lease`. */
export class Acquisition {
  #port;
  #key;
  #lease;
  #onProgress;
  #progress = new Latest();
  /** Whether somebody waits for the lease, and would give it back. */
  #awaited = false;

  constructor(port, id, wish) {
    this.#port = port;
    this.id = id;
    this.#onProgress = wish.onProgress;
    const { key, outcome } = port.request((driver, key) => wish.ask(driver, key, id), {
      acquisition: this,
      problem: wish.problem,
    });
    this.#key = key;
    this.#lease = outcome.finally(() => this.#progress.end());
    // Whoever does not await it does not want to hear of it.
    this.#lease.catch(() => {});
    if (wish.signal && !wish.problem) this.#obey(wish.signal);
  }

  /** The latest progress; with `for await`, each one that comes. */
  get progress() {
    return this.#progress;
  }

  then(onGranted, onFailed) {
    this.#awaited = true;
    return this.#lease.then(onGranted, onFailed);
  }

  catch(onFailed) {
    return this.then(undefined, onFailed);
  }

  finally(onSettled) {
    this.#awaited = true;
    return this.#lease.finally(onSettled);
  }

  cancel() {
    this.#port.call((driver) => driver.cancel(this.#key));
  }

  detach() {
    this.#awaited = true;
    this.#port.detachAcquisition(this.id, this.#key);
    return this.id;
  }

  async [asyncDispose]() {
    if (this.#awaited) this.cancel();
    else this.#port.call((driver) => driver.abandon(this.#key));
    await this.#lease.catch(() => {});
  }

  /** For the client: a progress has come. */
  progressed(progress) {
    this.#progress.set(progress);
    if (this.#onProgress) tell(this.#onProgress, progress);
  }

  #obey(signal) {
    const cancel = () => this.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    const forget = () => signal.removeEventListener('abort', cancel);
    this.#lease.then(forget, forget);
  }
}
