/** Calls what the app gave. What it throws is the app's, and ends nothing here. */
export function tell(callback, value) {
  try {
    callback(value);
  } catch (error) {
    // As the platform reports what nobody catches: `window.onerror`, and the console.
    if (typeof reportError === 'function') reportError(error);
    else console.error(error);
  }
}

/** Functions of the app that want to know of a change. */
export class Listeners {
  #all = new Set();

  /** Needs no `this`. Returns what ends it. */
  subscribe = (listener) => {
    // A wrapper, so that one function may be given twice and ended once.
    const entry = () => listener();
    this.#all.add(entry);
    return () => {
      this.#all.delete(entry);
    };
  };

  tell() {
    for (const entry of [...this.#all]) tell(entry);
  }
}
