/**
 * A value that changes. A reader sees the latest one and skips what is out of date; each `for await`
 * begins with the value there is. Ends when it is ended.
 */
export class Latest {
  #value;
  #version = 0;
  #ended = false;
  #wake = new Set();

  get value() {
    return this.#value;
  }

  set(value) {
    this.#value = value;
    this.#version += 1;
    this.#wakeAll();
  }

  end() {
    this.#ended = true;
    this.#wakeAll();
  }

  async *[Symbol.asyncIterator]() {
    let seen = 0;
    for (;;) {
      if (this.#version > seen) {
        seen = this.#version;
        yield this.#value;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise((wake) => this.#wake.add(wake));
      }
    }
  }

  #wakeAll() {
    const waiting = [...this.#wake];
    this.#wake.clear();
    for (const wake of waiting) wake();
  }
}

/**
 * Everything that happens, in order, from the moment a reader is made. A slow reader loses the
 * oldest beyond `limit` and is told how many by `lagged`.
 */
export class Broadcast {
  #readers = new Set();
  #ended = false;
  #limit;
  #lagged;

  constructor(limit, lagged) {
    this.#limit = limit;
    this.#lagged = lagged;
  }

  push(item) {
    for (const reader of this.#readers) {
      reader.items.push(item);
      if (reader.items.length > this.#limit) {
        reader.items.shift();
        reader.lost += 1;
      }
      reader.wake?.();
    }
  }

  end() {
    this.#ended = true;
    for (const reader of this.#readers) reader.wake?.();
  }

  /** Reads from now on, whenever the first item is asked for. `first` comes before them. */
  read(first = []) {
    const reader = { items: [...first], lost: 0, wake: undefined };
    this.#readers.add(reader);
    const leave = () => {
      this.#readers.delete(reader);
      reader.done = true;
      reader.wake?.();
      return Promise.resolve({ value: undefined, done: true });
    };
    return {
      next: async () => {
        for (;;) {
          if (reader.done) return { value: undefined, done: true };
          if (reader.lost > 0 && this.#lagged) {
            const value = this.#lagged(reader.lost);
            reader.lost = 0;
            return { value, done: false };
          }
          if (reader.items.length > 0) return { value: reader.items.shift(), done: false };
          if (this.#ended) return leave();
          await new Promise((wake) => (reader.wake = wake));
        }
      },
      return: leave,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

export const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
