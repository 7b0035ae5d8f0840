/** One question at a time: asking anew, or ending, aborts the one before. */
export class Turn {
  #controller;

  next() {
    this.end();
    this.#controller = new AbortController();
    return this.#controller.signal;
  }

  end() {
    this.#controller?.abort();
  }
}
