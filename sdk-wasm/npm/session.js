import { randomId } from './random.js';

/**
 * Keeps the ids of one tab over a reload, in `sessionStorage`: never a token, never an endpoint.
 *
 * A duplicated tab begins with a copy of the storage. A lock that lives as long as the page tells the
 * two apart: whoever does not get it draws ids of its own.
 */
export async function openSession(name) {
  const key = `wakecast:${name}`;
  const stored = read(key);
  const kept = stored && (await lock(`${key}:${stored.clientId}`));
  if (kept) return new Session(key, stored.clientId, new Map(stored.ids), kept);
  const clientId = randomId();
  const release = await lock(`${key}:${clientId}`);
  const session = new Session(key, clientId, new Map(), release);
  session.write();
  return session;
}

class Session {
  #key;
  #ids;
  #taken = new Set();
  #release;

  constructor(key, clientId, ids, release) {
    this.#key = key;
    this.clientId = clientId;
    this.#ids = ids;
    this.#release = release;
  }

  /** The id that an acquisition of this name had before the reload; each is given once. */
  take(name) {
    const id = this.#ids.get(name);
    if (id === undefined || this.#taken.has(id)) return undefined;
    this.#taken.add(id);
    return id;
  }

  keep(name, id) {
    this.#taken.add(id);
    this.#ids.set(name, id);
    this.write();
  }

  forget(id) {
    for (const [name, kept] of this.#ids) {
      if (kept === id) this.#ids.delete(name);
    }
    this.write();
  }

  /** Lets the ids go to whoever comes next. */
  end() {
    this.#release?.();
  }

  write() {
    try {
      const ids = [...this.#ids];
      sessionStorage.setItem(this.#key, JSON.stringify({ clientId: this.clientId, ids }));
    } catch {
      // Storage is off or full: a reload then begins anew.
    }
  }
}

function read(key) {
  try {
    const { clientId, ids } = JSON.parse(sessionStorage.getItem(key));
    return typeof clientId === 'string' && Array.isArray(ids) ? { clientId, ids } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes a lock until the returned function is called or the page is gone; undefined if it is held. */
async function lock(name) {
  // Without locks two tabs cannot be told apart, and one that begins anew harms nobody.
  if (!globalThis.navigator?.locks) return undefined;
  return new Promise((taken) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (granted) => {
        if (!granted) return taken(undefined);
        return new Promise((release) => taken(release));
      })
      .catch(() => taken(undefined));
  });
}
