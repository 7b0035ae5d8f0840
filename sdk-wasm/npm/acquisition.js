import { invalid } from './error.js';
import { Latest, asyncDispose } from './streams.js';

const PURPOSES = ['publish', 'play', 'watch'];

/** Checks what an app asks for. The machine checks the rest, and answers as the acquisition does. */
export function readWish(options, verify) {
  const { app, streamId, purpose = 'play', fleet, deadline } = options ?? {};
  for (const [name, text] of Object.entries({ app, streamId })) {
    if (typeof text !== 'string') throw invalid(`${name} must be a text`);
  }
  if (!PURPOSES.includes(purpose)) {
    throw invalid(`purpose must be 'publish', 'play' or 'watch'`);
  }
  if (deadline !== undefined && !(Number.isFinite(deadline) && deadline >= 0)) {
    throw invalid('deadline must be a number of milliseconds');
  }
  return {
    /** What a reload finds its id by. */
    name: JSON.stringify([fleet ?? null, app, purpose, streamId]),
    ask: (driver, key, id) =>
      driver.acquire(key, id, purpose, app, streamId, fleet, deadline, options.verify ?? verify),
  };
}

/** One wish for an endpoint, from the call to the lease. Await it for the `Lease`. */
export class Acquisition {
  #port;
  #key;
  #lease;
  #progress = new Latest();

  constructor(port, id, wish, { signal, onProgress }) {
    this.#port = port;
    this.id = id;
    const { key, outcome } = port.request((driver, key) => wish.ask(driver, key, id));
    this.#key = key;
    this.#lease = outcome.then(({ lease }) => lease).finally(() => this.#progress.end());
    this.#lease.catch(() => {});
    this.#obey(signal);
    if (onProgress) void this.#report(onProgress);
  }

  /** The latest progress; with `for await`, each one that comes. */
  get progress() {
    return this.#progress;
  }

  then(onGranted, onFailed) {
    return this.#lease.then(onGranted, onFailed);
  }

  catch(onFailed) {
    return this.#lease.catch(onFailed);
  }

  finally(onSettled) {
    return this.#lease.finally(onSettled);
  }

  cancel() {
    this.#port.call((driver) => driver.cancel(this.#key));
  }

  settledBy(key) {
    return key === this.#key;
  }

  progressed(progress) {
    this.#progress.set(progress);
  }

  async [asyncDispose]() {
    this.cancel();
    await this.#lease.catch(() => {});
  }

  #obey(signal) {
    if (!signal) return;
    const cancel = () => this.cancel();
    if (signal.aborted) return cancel();
    signal.addEventListener('abort', cancel, { once: true });
    void this.#lease.catch(() => {}).then(() => signal.removeEventListener('abort', cancel));
  }

  async #report(onProgress) {
    for await (const progress of this.#progress) onProgress(progress);
  }
}
