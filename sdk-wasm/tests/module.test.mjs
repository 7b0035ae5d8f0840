// How the module is found, and what is said when it is not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it, mock } from 'node:test';

import { copyOf, install, load } from './lib/package.mjs';
import { TOKEN, URL_OF_GATEWAY, makeWorld, settle } from './lib/world.mjs';

const installed = await install();
const wasm = () => new Response(readFileSync(installed.file('wasm/wakecast_bg.wasm')), {
  headers: { 'content-type': 'application/wasm' },
});
let world;

/** A copy of the package of its own, which has loaded nothing; `answer` stands in for `fetch`. */
async function fresh(answer) {
  world = makeWorld();
  const fetch = mock.method(globalThis, 'fetch', answer);
  const face = await load(await copyOf(installed));
  const make = () => new face.Client(URL_OF_GATEWAY, { tokenProvider: () => TOKEN });
  return { ...face, fetch, make };
}

/** Waits for a state: compiling takes a while, and happens elsewhere. */
const until = (client, kind) =>
  new Promise((resolve) => {
    if (client.state.kind === kind) return resolve();
    client.subscribe(() => client.state.kind === kind && resolve());
  });

afterEach(async () => {
  await settle();
  assert.deepEqual(world.unhandled, []);
  world.end();
});

describe('the module', () => {
  it('is fetched once for many clients, and not before the first asks for something', async () => {
    const { fetch, make } = await fresh(async () => wasm());
    const clients = [make(), make(), make()];
    await settle();
    assert.equal(fetch.mock.callCount(), 0);
    for (const client of clients) client.connect();
    await Promise.all(clients.map((client) => until(client, 'connected')));
    assert.equal(fetch.mock.callCount(), 1);
    assert.match(String(fetch.mock.calls[0].arguments[0]), /\/wakecast\/wasm\/wakecast_bg\.wasm$/);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('that cannot be fetched fails what waits with a typed error, until it can', async () => {
    let reachable = false;
    const { make, fetch } = await fresh(async () => {
      if (!reachable) throw new TypeError('Failed to fetch');
      return wasm();
    });
    const client = make();
    const acquisition = client.acquire({ app: 'live', streamId: 'match-1' });
    const status = client.status();
    for (const promise of [acquisition, status]) {
      await assert.rejects(promise, ({ code, retryable, userAction, cause, message }) => {
        assert.deepEqual([code, retryable, userAction], ['network_unreachable', true, 'check_network']);
        assert.equal(cause.message, 'Failed to fetch');
        return /wakecast_bg\.wasm.*connect-src/.test(message);
      });
    }
    assert.equal(client.state.kind, 'failed');
    client.retry();
    await settle();
    assert.equal(client.state.kind, 'failed');
    assert.equal(fetch.mock.callCount(), 2);
    reachable = true;
    client.retry();
    await until(client, 'connected');
    await client.close();
  });

  it('that is missing, or refused by the page, says what to do', async () => {
    const answers = {
      network_unreachable: async () => new Response('not here', { status: 404 }),
      misconfigured: async () => new Response('<!doctype html>', { headers: { 'content-type': 'application/wasm' } }),
    };
    for (const [code, answer] of Object.entries(answers)) {
      const { make } = await fresh(answer);
      const client = make();
      const error = await client.acquire({ app: 'live', streamId: 'match-1' }).catch((error) => error);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, code === 'misconfigured' ? /'wasm-unsafe-eval'/ : /configure\(\)/);
      assert.equal(typeof JSON.parse(JSON.stringify(error)).cause, 'string');
      await client.close();
      world.end();
    }
    world = makeWorld();
  });

  it('is not waited for by a client that is closed', async () => {
    let arrive;
    const { make } = await fresh(() => new Promise((resolve) => (arrive = resolve)));
    const client = make();
    const acquisition = client.acquire({ app: 'live', streamId: 'match-1' });
    await client.close();
    await assert.rejects(acquisition, { code: 'closed' });
    await settle();
    arrive(wasm());
    await settle();
    assert.equal(client.state.kind, 'closed');
    assert.equal(world.gateway.sockets.length, 0);
  });

  it('may be given: an address, an answer, bytes, or a promise of them', async () => {
    const bytes = readFileSync(installed.file('wasm/wakecast_bg.wasm'));
    for (const given of ['https://cdn.example.com/w.wasm', new URL('https://cdn.example.com/w.wasm'), wasm(), bytes, Promise.resolve(bytes.buffer)]) {
      const { configure, make, fetch } = await fresh(async () => wasm());
      configure({ wasm: given });
      const client = make();
      client.connect();
      await until(client, 'connected');
      const isAddress = typeof given === 'string' || given instanceof URL;
      assert.equal(fetch.mock.callCount(), isAddress ? 1 : 0);
      assert.throws(() => configure({ wasm: bytes }), { code: 'invalid_argument' });
      await client.close();
      world.end();
    }
    world = makeWorld();
  });
});
