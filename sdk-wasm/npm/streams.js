import { Listeners } from './callbacks.js';

export const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/**
 * Everything that happens, in order, from the moment a reader is made. A reader that is more than
 * `limit` behind loses the oldest, and is told how many by `lagged` where there is such an item.
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
    for (const reader of this.#readers) reader.push(item);
  }

  end() {
    this.#ended = true;
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
  }

  /** Makes a reader that begins with `first`. */
  read(...first) {
    const leave = () => this.#readers.delete(reader);
    const reader = new Reader(first, this.#limit, this.#lagged, leave);
    if (this.#ended) reader.end();
    else this.#readers.add(reader);
    return reader;
  }
}

/** The latest value. A reader begins with it and skips what is out of date. */
export class Latest {
  #value;
  #listeners = new Listeners();
  #all = new Broadcast(1);

  subscribe = this.#listeners.subscribe;

  get value() {
    return this.#value;
  }

  [Symbol.asyncIterator]() {
    return this.#value === undefined ? this.#all.read() : this.#all.read(this.#value);
  }

  set(value) {
    this.#value = value;
    this.#all.push(value);
    this.#listeners.tell();
  }

  end() {
    this.#all.end();
  }
}

/** One reader: an iterator that waits for what comes. */
class Reader {
  #items;
  #lost = 0;
  #ended = false;
  /** Calls of `next` that wait, in order. */
  #waiting = [];
  #limit;
  #lagged;
  #leave;

  constructor(items, limit, lagged, leave) {
    this.#items = items;
    this.#limit = limit;
    this.#lagged = lagged;
    this.#leave = leave;
  }

  next() {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#serve();
    });
  }

  /** What `break` calls. */
  return() {
    this.#leave();
    this.#items = [];
    this.#lost = 0;
    this.end();
    return this.next();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  push(item) {
    this.#items.push(item);
    if (this.#items.length > this.#limit) {
      this.#items.shift();
      this.#lost += 1;
    }
    this.#serve();
  }

  end() {
    this.#ended = true;
    this.#serve();
  }

  #serve() {
    while (this.#waiting.length > 0) {
      if (this.#lost > 0 && this.#lagged) {
        this.#answer(this.#lagged(this.#lost));
        this.#lost = 0;
      } else if (this.#items.length > 0) {
        this.#answer(this.#items.shift());
      } else if (this.#ended) {
        this.#waiting.shift()({ value: undefined, done: true });
      } else {
        return;
      }
    }
  }

  #answer(value) {
    this.#waiting.shift()({ value, done: false });
  }
}
