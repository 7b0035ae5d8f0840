import { randomId } from './random.js';

/**
 * How long a page waits for the lock of the one before it. After a reload the browser may not yet
 * have taken the lock from the page that is gone; a tab that was duplicated keeps it.
 */
const HANDOVER_MS = 250;

/** What clients of this page keep: a second one of that name keeps nothing. */
const keptHere = new Set();

/**
 * Keeps the ids of one tab over a reload, in `sessionStorage`: never a token, never an endpoint.
 *
 * A duplicated tab begins with a copy of the storage. A lock, named in it, tells the two apart:
 * whoever does not get it begins anew, with one of its own. Without locks everybody begins anew.
 */
export async function openSession(name) {
  const key = `wakecast:${name}`;
  if (!globalThis.navigator?.locks) return new Session();
  const stored = read(key);
  const tab = stored?.tab ?? beginAnew(key);
  const release = await lock(key, tab);
  if (release) return new Session(key, tab, release);
  if (keptHere.has(key)) return new Session();
  const own = beginAnew(key);
  return new Session(key, own, await lock(key, own));
}

class Session {
  #key;
  #tab;
  #release;
  /** Ids that this page uses: each is given once. */
  #taken = new Set();
  #stopWatching = () => {};

  /** Without a key nothing is kept. */
  constructor(key, tab, release) {
    this.#key = key;
    this.#tab = tab;
    this.#release = release;
    if (key === undefined) return;
    keptHere.add(key);
    this.#watchPage();
  }

  /** The id that a wish of this name had before the reload. */
  take(name) {
    const kept = this.#ids().find(([of, id]) => of === name && !this.#taken.has(id));
    if (kept) this.#taken.add(kept[1]);
    return kept?.[1];
  }

  /** Gives an id back that was not used after all. */
  giveBack(id) {
    this.#taken.delete(id);
  }

  keep(name, id) {
    this.#taken.add(id);
    this.#write([...this.#without((kept) => kept === id), [name, id]]);
  }

  forget(id) {
    this.#write(this.#without((kept) => kept === id));
  }

  /** Lets the ids go to whoever comes next; with `forget`, none of them. */
  end({ forget }) {
    if (forget) this.#write(this.#without((kept) => this.#taken.has(kept)));
    this.#stopWatching();
    this.#release?.();
    keptHere.delete(this.#key);
    this.#key = undefined;
  }

  /**
   * A page that is left lets go at once: the next one of this tab wants the lock, and some browsers
   * keep no page for the back button that holds one. A page that comes back takes it again; if
   * another tab has it now, one of its own.
   */
  #watchPage() {
    const watch = ({ type, persisted }) => {
      if (type === 'pagehide') this.#release?.();
      else if (persisted) void this.#takeAgain();
    };
    const names = ['pagehide', 'pageshow'];
    for (const name of names) addEventListener(name, watch);
    this.#stopWatching = () => names.forEach((name) => removeEventListener(name, watch));
  }

  async #takeAgain() {
    this.#release = await lock(this.#key, this.#tab);
    if (!this.#release) {
      this.#tab = randomId();
      this.#write(this.#ids());
      this.#release = await lock(this.#key, this.#tab);
    }
    // It may have ended meanwhile.
    if (this.#key === undefined) this.#release?.();
  }

  #ids() {
    return (this.#key === undefined ? undefined : read(this.#key))?.ids ?? [];
  }

  #without(unwanted) {
    return this.#ids().filter(([, id]) => !unwanted(id));
  }

  #write(ids) {
    if (this.#key !== undefined) write(this.#key, this.#tab, ids);
  }
}

function beginAnew(key) {
  const tab = randomId();
  write(key, tab, []);
  return tab;
}

function write(key, tab, ids) {
  try {
    sessionStorage.setItem(key, JSON.stringify({ tab, ids }));
  } catch {
    // Storage is off or full: a reload then begins anew.
  }
}

/** Reads what is kept; undefined if there is nothing, or something else. */
function read(key) {
  try {
    const { tab, ids } = JSON.parse(sessionStorage.getItem(key));
    const isPair = (pair) => pair.length === 2 && pair.every((part) => typeof part === 'string');
    return typeof tab === 'string' && ids.every(isPair) ? { tab, ids } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes a lock until the returned function is called or the page is gone; undefined if it is held. */
async function lock(key, tab) {
  return new Promise((taken) => {
    navigator.locks
      .request(`${key}:${tab}`, { signal: AbortSignal.timeout(HANDOVER_MS) }, () => {
        return new Promise((release) => taken(release));
      })
      .catch(() => taken(undefined));
  });
}
