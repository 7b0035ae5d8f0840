// What an app sees of a client, in every state: the packed package with its real module, over a
// socket and a clock of the test.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { inspect } from 'node:util';

import { install, load } from './lib/package.mjs';
import { ENDPOINT, STREAM_TOKEN, TOKEN, URL_OF_GATEWAY, makeWorld, moduleOf, ready } from './lib/world.mjs';

const installed = await install();
const { Client, TokenError, configure, isWakecastError } = await load(installed);
configure({ wasm: moduleOf(installed) });

const WISH = { app: 'live', streamId: 'match-1' };

let world, gateway, clients;

beforeEach(() => {
  world = makeWorld();
  ({ gateway } = world);
  clients = [];
});

afterEach(async () => {
  for (const client of clients) void client.close();
  await world.advance(2_000);
  world.end();
  assert.deepEqual(world.unhandled, [], 'no rejection is left unhandled');
  const printed = inspect(world.printed, { depth: 10 });
  assert.ok(!printed.includes('canary'), `no secret reaches the console: ${printed}`);
});

function make(options = {}) {
  const client = new Client(URL_OF_GATEWAY, { tokenProvider: () => TOKEN, ...options });
  clients.push(client);
  return client;
}

/** A client with a lease. */
async function granted(options) {
  const client = make();
  const acquisition = client.acquire({ ...WISH, ...options });
  await world.settle();
  gateway.push(...ready(acquisition.id));
  await world.advance(1_000);
  return { client, acquisition, lease: await acquisition };
}

/** How a promise has ended by now. */
async function outcomeOf(promise) {
  let outcome = 'pending';
  const ended = (value) => (outcome = value);
  promise.then(ended, ended);
  await world.settle();
  return outcome;
}

async function failsWith(promise, code) {
  const error = await outcomeOf(promise);
  assert.ok(isWakecastError(error), `${inspect(error)} is not an error of the package`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

describe('a client', () => {
  it('goes from a wish to a lease and back', async () => {
    const client = make();
    const events = all(client.events());
    const seen = [];
    assert.deepEqual(client.state, { kind: 'idle' });
    const acquisition = client.acquire({ ...WISH, purpose: 'publish', onProgress: (p) => seen.push(p) });
    const iterated = all(acquisition.progress);
    await world.settle();
    assert.equal(client.state.kind, 'connected');
    const [, acquire] = gateway.received;
    assert.equal(acquire.id, acquisition.id);
    assert.equal(acquire.purpose, 'publish');
    gateway.push(...ready(acquisition.id));
    await world.advance(1_000);

    const lease = await acquisition;
    assert.equal(lease.id, acquisition.id);
    assert.equal(lease.status, 'held');
    const phases = seen.map(({ phase }) => phase);
    assert.equal(phases[0], 'requested', 'the first progress is told too');
    assert.deepEqual([...new Set(phases)], ['requested', 'booting', 'verifying', 'ready']);
    const booting = seen.find(({ phase }) => phase === 'booting');
    assert.deepEqual([booting.etaP50, booting.etaP90, booting.overdue], [30_000, 60_000, false]);
    assert.equal(seen.at(-1).fraction, 1);
    assert.equal((await iterated).at(-1).phase, 'ready', 'the iteration ends with the acquisition');
    assert.equal(acquisition.progress.value.phase, 'ready');

    const endpoint = await lease.endpoint();
    assert.equal(endpoint.websocketUrl, ENDPOINT.websocket_url);
    assert.equal(endpoint.streamToken, STREAM_TOKEN);
    const changes = all(lease.changes());
    gateway.push({ type: 'draining', lease: lease.id, rev: 3, deadline_ms: 30_000 });
    await world.settle();
    assert.equal(lease.status, 'draining');
    await lease.release();
    assert.equal(lease.status, 'released');
    assert.deepEqual(await changes, [{ kind: 'draining', endsIn: 30_000 }, { kind: 'released' }]);

    await client.close();
    assert.deepEqual(client.state, { kind: 'closed' });
    const told = await events;
    assert.deepEqual(told.at(-1), { type: 'state', state: { kind: 'closed' } });
    assert.ok(told.some(({ type, id }) => type === 'lease' && id === lease.id));
    assert.deepEqual(gateway.actions(), ['hello', 'acquire', 'release']);
  });

  it('keeps its state the same object until it changes, and tells each change once', async () => {
    const client = make();
    const states = [];
    const { subscribe } = client;
    const leave = subscribe(() => {
      assert.equal(client.state, client.state);
      states.push(client.state);
    });
    const twice = () => states.push('twice');
    const leaveTwice = [subscribe(twice), subscribe(twice)];
    leaveTwice[0]();
    leaveTwice[0]();
    client.connect();
    await world.settle();
    assert.equal(states.filter((state) => state === 'twice').length, states.length / 2);
    leaveTwice[1]();
    const kinds = states.filter((state) => state !== 'twice').map(({ kind }) => kind);
    assert.deepEqual([...new Set(kinds)], ['connecting', 'connected']);
    const before = client.state;
    await world.advance(10_000);
    assert.equal(client.state, before);
    assert.ok(Object.isFrozen(client.state));
    leave();
    const told = states.length;
    await client.close();
    assert.equal(states.length, told);
  });

  it('ends what waits when it is closed, in every state, and everything after that', async () => {
    const never = make();
    await never.close();
    await failsWith(never.acquire(WISH), 'closed');
    await failsWith(never.status(), 'closed');

    const loading = make();
    const early = loading.acquire(WISH);
    const ended = loading.close();
    await failsWith(early, 'closed');
    await ended;

    const { client, lease } = await granted();
    const waiting = client.acquire({ ...WISH, streamId: 'match-2' });
    const progress = all(waiting.progress);
    const changes = all(lease.changes());
    const closing = Promise.all([client.close(), client.close(), client.detach()]);
    await world.advance(2_000);
    await closing;
    await failsWith(waiting, 'closed');
    await failsWith(lease.endpoint(), 'closed');
    await failsWith(lease.release(), 'closed');
    await progress;
    await changes;
    client.connect();
    client.retry();
    waiting.cancel();
    assert.equal(waiting.detach(), waiting.id);
    assert.equal(client.state.kind, 'closed');
    assert.deepEqual(await all(client.events()), []);
    assert.ok(gateway.actions().includes('release'), 'what was held is given back');
  });

  it('says nothing to the server when it is detached', async () => {
    const { client, lease } = await granted();
    const changes = all(lease.changes());
    await client.detach();
    await changes;
    assert.deepEqual(gateway.actions(), ['hello', 'acquire']);
    assert.equal(client.state.kind, 'closed');
  });

  it('tells a slow reader how much it lost', async () => {
    const { client, lease } = await granted();
    const slow = client.events();
    for (let rev = 10; rev < 310; rev += 1) {
      const type = rev % 2 ? 'draining' : 'endpoint';
      gateway.push({ type, lease: lease.id, rev, deadline_ms: 1_000, endpoint: ENDPOINT });
    }
    await world.settle();
    const first = (await slow.next()).value;
    assert.equal(first.type, 'lagged');
    assert.equal(first.n, 300 - 256);
    const { value: next } = await slow.next();
    assert.equal(next.type, 'lease', 'what is left comes after it');
  });

  it('answers several calls of one reader in order, and ends it on return', async () => {
    const client = make();
    const reader = client.events();
    const [one, two] = [reader.next(), reader.next()];
    client.connect();
    await world.settle();
    assert.equal((await one).value.state.kind, 'connecting');
    assert.equal((await two).value.type, 'state');
    assert.deepEqual(await reader.return(), { value: undefined, done: true });
    assert.deepEqual(await reader.next(), { value: undefined, done: true });
  });

  it('survives callbacks that throw, and reports what they threw', async () => {
    const client = make();
    const oops = new Error('a mistake of the app');
    const fail = () => {
      throw oops;
    };
    let told = 0;
    client.subscribe(fail);
    client.subscribe(() => (told += 1));
    const acquisition = client.acquire({ ...WISH, onProgress: fail });
    acquisition.progress.subscribe(fail);
    await world.settle();
    gateway.push(...ready(acquisition.id));
    await world.advance(1_000);
    const lease = await acquisition;
    lease.subscribe(fail);
    await lease.release();
    assert.ok(told >= 2);
    assert.ok(world.reported.length >= 5);
    assert.ok(world.reported.every((error) => error === oops));
  });

  it('takes calls from inside its own callbacks', async () => {
    const client = make();
    const inner = [];
    client.subscribe(() => {
      if (client.state.kind !== 'connected' || inner.length > 0) return;
      inner.push(client.acquire({ ...WISH, streamId: 'inner' }));
      client.retry();
    });
    const outer = client.acquire({ ...WISH, onProgress: ({ phase }) => phase === 'booting' && outer.cancel() });
    await world.settle();
    gateway.push(...ready(outer.id).slice(0, 1));
    await failsWith(outer, 'cancelled');
    gateway.push(...ready(inner[0].id));
    client.subscribe(() => void client.close());
    await world.advance(1_000);
    const lease = await inner[0];
    gateway.link.drop();
    await world.advance(2_000);
    assert.equal(client.state.kind, 'closed');
    await failsWith(lease.endpoint(), 'closed');
  });
});

describe('an acquisition', () => {
  it('never throws for its arguments, and asks nothing', async () => {
    const client = make();
    const wrong = [
      undefined,
      {},
      { app: 'live' },
      { ...WISH, app: 5 },
      { ...WISH, purpose: 'record' },
      { ...WISH, fleet: 5 },
      { ...WISH, id: 5 },
      { ...WISH, signal: 'now' },
      { ...WISH, deadline: '10 s' },
      { ...WISH, onProgress: 'log' },
    ];
    for (const options of wrong) {
      const acquisition = client.acquire(options);
      assert.equal(typeof acquisition.id, 'string');
      await failsWith(acquisition, 'invalid_argument');
      assert.deepEqual(await all(acquisition.progress), []);
    }
    assert.equal(gateway.sockets.length, 0);
    assert.deepEqual(client.state, { kind: 'idle' });
    // The machine's part.
    for (const deadline of [-1, 0, NaN, Infinity, 999]) {
      await failsWith(client.acquire({ ...WISH, deadline }), 'invalid_argument');
    }
    await failsWith(client.acquire({ ...WISH, id: 'no spaces' }), 'invalid_argument');
    await failsWith(client.status(5), 'invalid_argument');
  });

  it('is cancelled by its signal, before and during, but not after', async () => {
    const client = make();
    const gone = client.acquire({ ...WISH, signal: AbortSignal.abort() });
    await failsWith(gone, 'cancelled');
    assert.equal(gateway.sockets.length, 0, 'nothing is asked at all');

    const during = new AbortController();
    const waiting = client.acquire({ ...WISH, signal: during.signal });
    await world.settle();
    during.abort();
    await failsWith(waiting, 'cancelled');
    assert.equal(gateway.received.find(({ action }) => action === 'cancel').acquire, waiting.id);

    const late = new AbortController();
    const acquisition = client.acquire({ ...WISH, signal: late.signal });
    await world.settle();
    gateway.push(...ready(acquisition.id));
    await world.advance(1_000);
    const lease = await acquisition;
    late.abort();
    await world.settle();
    assert.equal(lease.status, 'held');
  });

  it('keeps the first one of an id that is used twice', async () => {
    const client = make();
    const first = client.acquire({ ...WISH, id: 'the-same' });
    const second = client.acquire({ ...WISH, id: 'the-same' });
    await failsWith(second, 'invalid_argument');
    gateway.push(...ready(first.id));
    await world.advance(1_000);
    assert.equal((await first).id, 'the-same');
    assert.equal(first.progress.value.phase, 'ready');
  });

  it('is cancelled by the end of its block, and given back if nobody awaited it', async () => {
    const client = make();
    const open = client.acquire(WISH);
    await world.settle();
    await open[Symbol.asyncDispose]();
    await failsWith(open, 'cancelled');

    const unseen = client.acquire(WISH);
    await world.settle();
    gateway.push(...ready(unseen.id));
    await world.advance(1_000);
    await unseen[Symbol.asyncDispose]();
    await world.settle();
    assert.equal(gateway.received.at(-1).action, 'release');
    assert.equal(gateway.received.at(-1).lease, unseen.id);

    const { acquisition, lease } = await granted();
    await acquisition[Symbol.asyncDispose]();
    await world.settle();
    assert.equal(lease.status, 'held');
    await lease[Symbol.asyncDispose]();
    assert.equal(lease.status, 'released');
    await lease[Symbol.asyncDispose]();
  });

  it('goes on when it is detached, and so does a lease', async () => {
    const { client, lease } = await granted();
    const waiting = client.acquire({ ...WISH, streamId: 'match-2' });
    assert.equal(waiting.detach(), waiting.id);
    assert.equal(lease.detach(), lease.id);
    void client.close();
    await world.advance(2_000);
    assert.ok(!gateway.actions().includes('release'));
  });

  it('may be left alone when it fails', async () => {
    const client = make();
    client.acquire({ ...WISH, deadline: 1_000 });
    await world.advance(5_000);
    // `afterEach` looks for rejections that nobody handled.
  });

  it('gives the errors of the server as they are', async () => {
    const client = make();
    gateway.answers.acquire = ({ id }) => [
      { type: 'error', id, code: 'quota_exceeded', message: 'five starts an hour', retryable: true, retry_after_ms: 60_000, outcome: 'rejected' },
    ];
    const error = await failsWith(client.acquire(WISH), 'quota_exceeded');
    assert.deepEqual(
      [error.message, error.retryable, error.retryAfter, error.outcome, error.userAction],
      ['five starts an hour', true, 60_000, 'rejected', 'contact_operator'],
    );
    gateway.answers.acquire = ({ id }) => [
      { type: 'error', id, code: 'of_tomorrow', message: 'new', retryable: false, outcome: 'rejected' },
    ];
    await failsWith(client.acquire(WISH), 'of_tomorrow');
  });
});

describe('a token provider', () => {
  /** The cause of the first diagnostic, and the state. */
  async function failing(tokenProvider, wait = 0) {
    const client = make({ tokenProvider });
    const events = client.events();
    client.connect();
    await world.advance(wait);
    await world.settle();
    for (;;) {
      const { value } = await events.next();
      if (value.type === 'diagnostic') return { client, error: value.error };
    }
  }

  it('fails in any way with one typed error, and is asked again', async () => {
    const hostile = Object.create(null, { message: { get: () => { throw 1; } } });
    const providers = {
      'a mistake': () => { throw new Error('a mistake'); },
      'no backend': async () => { throw new Error('no backend'); },
      'a text': () => Promise.reject('a text'),
      'undefined': () => Promise.reject(),
      'something that has no text was thrown': () => Promise.reject(hostile),
    };
    for (const [cause, provider] of Object.entries(providers)) {
      let asked = 0;
      const { client, error } = await failing(() => (asked += 1, provider()));
      assert.equal(error.code, 'token_provider_failed');
      assert.equal(error.cause, cause);
      assert.equal(error.stage, 'token');
      assert.equal(client.state.kind, 'reconnecting');
      assert.equal(client.state.reason, 'token_provider_failed');
      await world.advance(10_000);
      assert.ok(asked >= 2, 'it is asked again');
    }
  });

  it('may return nonsense, which is never quoted', async () => {
    for (const nonsense of [undefined, null, 5, {}, { token: 5 }, { token: 'canary', expiresIn: '1 h' }, [], Symbol('s')]) {
      const { error } = await failing(() => nonsense);
      assert.equal(error.code, 'token_provider_failed');
      assert.match(error.cause, /^the token provider returned/);
    }
    for (const unusable of ['', 'has spaces', 'x'.repeat(5_000)]) {
      const { error } = await failing(async () => unusable);
      assert.equal(error.code, 'invalid_argument');
      assert.ok(!JSON.stringify(error).includes('has spaces'));
    }
  });

  it('that hangs is a typed error after 15 s, and its signal aborts', async () => {
    const signals = [];
    const hangs = (_, { signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const client = make({ tokenProvider: hangs });
    const acquisition = client.acquire({ ...WISH, deadline: 60_000 });
    await world.advance(14_900);
    assert.equal(client.state.kind, 'connecting');
    await world.advance(200);
    assert.equal(client.state.kind, 'reconnecting');
    assert.equal(client.state.reason, 'token_provider_failed');
    await world.advance(5_000);
    assert.equal(signals.length, 2);
    assert.deepEqual(signals.map(({ aborted }) => aborted), [true, false]);
    await world.advance(60_000);
    const error = await failsWith(acquisition, 'start_timeout');
    assert.match(error.cause, /did not answer within 15 s/);
    await client.close();
    assert.ok(signals.every(({ aborted }) => aborted));
  });

  it('refuses a user, or asks for a pause', async () => {
    let asked = 0;
    const refused = await failing(() => {
      asked += 1;
      throw new TokenError('not a subscriber', { refused: true });
    });
    assert.equal(refused.client.state.kind, 'failed');
    assert.equal(refused.client.state.error.code, 'token_provider_failed');
    assert.equal(refused.client.state.error.retryable, false);
    assert.equal(refused.client.state.error.cause, 'not a subscriber');
    await world.advance(60_000);
    assert.equal(asked, 1);
    refused.client.retry();
    await world.advance(5_100);
    assert.equal(asked, 2);

    asked = 0;
    await failing(() => {
      asked += 1;
      throw new TokenError('busy', { retryAfter: 30_000 });
    });
    await world.advance(29_000);
    assert.equal(asked, 1);
    await world.advance(15_000);
    assert.equal(asked, 2);
  });

  it('is told why, and how long a token lives is its own word', async () => {
    const reasons = [];
    const client = make({
      tokenProvider: async (reason) => (reasons.push(reason), { token: `${TOKEN}-${reasons.length}`, expiresIn: 60_000 }),
    });
    client.connect();
    await world.settle();
    assert.equal(client.state.kind, 'connected');
    assert.deepEqual(reasons, ['initial']);
  });
});

describe('secrets', () => {
  it('are in no log, error, event or copy', async () => {
    const { client, acquisition, lease } = await granted();
    const events = client.events();
    gateway.push({ type: 'moved', lease: lease.id, rev: 9, endpoint: ENDPOINT });
    await world.settle();
    const { value: event } = await events.next();
    assert.equal(event.change.kind, 'moved');
    const endpoint = await lease.endpoint();
    assert.equal(endpoint.streamToken, STREAM_TOKEN);
    const things = { client, acquisition, lease, event, endpoint, copy: { ...endpoint } };
    assert.ok(!inspect(things, { depth: 20 }).includes('canary'));
    assert.ok(!JSON.stringify(things).includes('canary'));
    assert.ok(Object.isFrozen(endpoint));
    for (const { url } of gateway.sockets) assert.ok(!url.includes('canary'));
  });
});
