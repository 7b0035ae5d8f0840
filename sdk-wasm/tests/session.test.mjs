// What a tab remembers of its wishes, with a storage and locks of the test. The same in a real
// browser, reloads and duplicated tabs included: `tests/web`.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';

import { copyOf, install, load } from './lib/package.mjs';
import { ENDPOINT, TOKEN, URL_OF_GATEWAY, makeWorld, moduleOf, ready } from './lib/world.mjs';

const installed = await install();
const { Client, configure } = await load(installed);
configure({ wasm: moduleOf(installed) });

const WISH = { app: 'live', streamId: 'match-1', purpose: 'publish' };
const NAMES = ['navigator', 'sessionStorage', 'addEventListener', 'removeEventListener'];

/** The browser's locks, which every tab shares. */
class Locks {
  #held = new Set();
  #waiting = [];

  request(name, { signal }, act) {
    return new Promise((resolve, reject) => {
      const begin = () => {
        this.#held.add(name);
        act({ name }).then((value) => {
          this.#held.delete(name);
          const next = this.#waiting.findIndex((waiting) => waiting.name === name);
          if (next >= 0) this.#waiting.splice(next, 1)[0].begin();
          resolve(value);
        });
      };
      if (!this.#held.has(name)) return begin();
      const waiting = { name, begin };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(signal.reason);
      });
    });
  }

  held() {
    return [...this.#held];
  }
}

class Storage {
  #items;
  constructor(copied) {
    this.#items = new Map(copied?.#items);
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, value);
  }
  read() {
    return JSON.parse(this.getItem('wakecast:default'));
  }
}

let world, locks, storage, page, before;

beforeEach(() => {
  world = makeWorld();
  before = NAMES.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  locks = new Locks();
  storage = new Storage();
  page = new EventTarget();
  put('navigator', { locks });
  put('sessionStorage', storage);
  put('addEventListener', (...listener) => page.addEventListener(...listener));
  put('removeEventListener', (...listener) => page.removeEventListener(...listener));
  mock.method(AbortSignal, 'timeout', (ms) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), ms);
    return controller.signal;
  });
});

afterEach(() => {
  for (const [name, descriptor] of before) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else delete globalThis[name];
  }
  assert.deepEqual(world.unhandled, []);
  world.end();
});

function put(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

const resume = (options) => Client.resume(URL_OF_GATEWAY, { tokenProvider: () => TOKEN, ...options });

/** Lets the time pass that a page waits for another one's lock. */
async function patiently(promise) {
  await world.advance(300);
  return promise;
}

/** The page is hidden, for good or for the back button. */
async function hide() {
  page.dispatchEvent(new Event('pagehide'));
  await world.settle();
}

async function show() {
  page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
  await world.settle();
}

/** Another tab: modules of its own. */
async function loadAnotherPage() {
  const face = await load(await copyOf(installed));
  face.configure({ wasm: moduleOf(installed) });
  return face;
}

describe('a tab that is reloaded', () => {
  it('asks with the ids of before, each once, in their order', async () => {
    const client = await resume();
    const asked = [client.acquire(WISH), client.acquire({ ...WISH, purpose: 'play' }), client.acquire(WISH)];
    await world.settle();
    const ids = asked.map(({ id }) => id);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), ids);
    await client.detach();

    const successor = await resume();
    const again = [successor.acquire(WISH), successor.acquire(WISH), successor.acquire({ ...WISH, purpose: 'play' })];
    assert.deepEqual(again.map(({ id }) => id), [ids[0], ids[2], ids[1]]);
    const more = successor.acquire(WISH);
    assert.ok(!ids.includes(more.id));
    await successor.close();
  });

  it('keeps ids only: no token, no endpoint', async () => {
    const client = await resume();
    const acquisition = client.acquire(WISH);
    await world.settle();
    world.gateway.push(...ready(acquisition.id));
    await world.advance(1_000);
    const lease = await acquisition;
    await lease.endpoint();
    const kept = storage.getItem('wakecast:default');
    assert.ok(!kept.includes('canary') && !kept.includes(ENDPOINT.http_url), kept);
    assert.deepEqual(Object.keys(storage.read()), ['tab', 'ids']);
    await client.detach();
  });

  it('forgets what has ended', async () => {
    const client = await resume();
    const [released, lost, cancelled, mine] = ['a', 'b', 'c', 'd'].map((streamId) => client.acquire({ ...WISH, streamId }));
    await world.settle();
    for (const { id } of [released, lost]) world.gateway.push(...ready(id));
    await world.advance(1_000);
    await (await released).release();
    world.gateway.push({ type: 'lost', lease: lost.id, rev: 9, reason: 'stopped' });
    cancelled.cancel();
    await world.settle();
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [mine.id]);
    assert.equal(mine.detach(), mine.id);
    assert.deepEqual(storage.read().ids, [], 'an id that the app has taken over is its own business');
    const held = client.acquire(WISH);
    await world.settle();
    void client.close();
    await world.advance(2_000);
    assert.deepEqual(storage.read().ids, [], held.id);
    assert.deepEqual(locks.held(), []);
  });

  it('keeps an id that could not be asked for', async () => {
    const client = await resume();
    const wrong = client.acquire({ ...WISH, deadline: 1 });
    await assert.rejects(wrong, { code: 'invalid_argument' });
    assert.deepEqual(storage.read().ids, []);
    const twice = [client.acquire({ ...WISH, id: 'mine' }), client.acquire({ ...WISH, id: 'mine' })];
    await assert.rejects(twice[1], { code: 'invalid_argument' });
    assert.deepEqual(storage.read().ids.map(([, id]) => id), ['mine'], 'the first one goes on');
    await client.detach();
  });
});

describe('a tab that was duplicated', () => {
  it('begins anew, and leaves the original alone', async () => {
    const original = await resume();
    const { id } = original.acquire(WISH);
    const ofOriginal = storage;
    const copyOfPage = await loadAnotherPage();
    storage = new Storage(ofOriginal);
    put('sessionStorage', storage);
    const twin = await patiently(copyOfPage.Client.resume(URL_OF_GATEWAY, { tokenProvider: () => TOKEN }));
    const other = twin.acquire(WISH);
    assert.notEqual(other.id, id);
    assert.notEqual(storage.read().tab, ofOriginal.read().tab);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [other.id]);
    assert.deepEqual(ofOriginal.read().ids.map(([, id]) => id), [id]);
    assert.equal(locks.held().length, 2);
    await twin.close();
    await original.close();
    assert.deepEqual(locks.held(), []);
  });
});

describe('a page that comes back by the back button', () => {
  it('holds no lock while it is away, and takes it again', async () => {
    const client = await resume();
    const acquisition = client.acquire(WISH);
    const [lock] = locks.held();
    await hide();
    assert.deepEqual(locks.held(), []);
    await show();
    assert.deepEqual(locks.held(), [lock]);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [acquisition.id]);
    await client.close();
    assert.deepEqual(locks.held(), []);
    await hide();
    await show();
    assert.deepEqual(locks.held(), [], 'a closed one takes none');
  });

  it('takes one of its own if another tab has it now', async () => {
    const client = await resume();
    const acquisition = client.acquire(WISH);
    const { tab } = storage.read();
    await hide();
    let release;
    void locks.request(`wakecast:default:${tab}`, {}, () => new Promise((resolve) => (release = resolve)));
    await show();
    await world.advance(300);
    assert.notEqual(storage.read().tab, tab);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [acquisition.id]);
    assert.equal(locks.held().length, 2);
    release();
    await client.close();
  });
});

describe('a page', () => {
  it('that has two clients of one name keeps the ids of the first', async () => {
    const [first, second] = [await resume(), await patiently(resume())];
    const { id } = first.acquire(WISH);
    second.acquire(WISH);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [id]);
    const third = await resume({ name: 'preview' });
    third.acquire(WISH);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [id]);
    for (const client of [second, first, third]) await client.close();
    assert.deepEqual(locks.held(), []);
  });

  it('that mounts twice, as in development, keeps the ids of the second', async () => {
    const mounting = resume();
    const second = resume();
    await (await mounting).close();
    const client = await second;
    const { id } = client.acquire(WISH);
    assert.deepEqual(storage.read().ids.map(([, id]) => id), [id]);
    await client.close();
  });

  it('without locks or storage, or with something else in it, begins anew', async () => {
    const broken = {
      getItem: () => {
        throw new Error('denied');
      },
      setItem: () => {
        throw new Error('full');
      },
    };
    const kept = (text) => Object.assign(new Storage(), { getItem: () => text });
    const pages = [
      () => put('navigator', undefined),
      () => put('navigator', {}),
      () => put('sessionStorage', broken),
      () => put('sessionStorage', undefined),
      () => put('sessionStorage', kept('{')),
      () => put('sessionStorage', kept('null')),
      () => put('sessionStorage', kept('{"tab":"t","ids":[5,["a"]]}')),
      () => put('sessionStorage', kept('{"tab":5,"ids":[]}')),
    ];
    for (const change of pages) {
      put('navigator', { locks });
      change();
      const client = await resume();
      const acquisition = client.acquire(WISH);
      assert.match(acquisition.id, /^[0-9a-f]{32}$/);
      await client.close();
    }
  });

  it('refuses options that could never work as a rejection', async () => {
    await assert.rejects(resume({ tokenProvider: undefined }), { code: 'invalid_argument' });
    await assert.rejects(Client.resume('http://x', { tokenProvider: () => '' }), { code: 'invalid_argument' });
  });
});
