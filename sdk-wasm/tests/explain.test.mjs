// What a client says about itself, in the machine's own words: the packed package with its real
// module, over a socket and a clock of the test.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { install, load } from './lib/package.mjs';
import { TOKEN, URL_OF_GATEWAY, makeWorld, moduleOf, ready } from './lib/world.mjs';

const installed = await install();
const { Client, TokenError, configure } = await load(installed);
configure({ wasm: moduleOf(installed) });

const WISH = { app: 'live', streamId: 'match-1' };

let world, gateway;

beforeEach(() => {
  world = makeWorld();
  ({ gateway } = world);
});

afterEach(() => world.end());

const make = (tokenProvider = () => TOKEN) => new Client(URL_OF_GATEWAY, { tokenProvider });

/** What is explained, as one text; and what is diagnosed, which holds no secret either. */
async function inspected(client) {
  const statements = await client.explain();
  assert.ok(statements.length > 0 && statements.every((statement) => statement.trim() !== ''));
  const report = JSON.stringify(await client.diagnostics());
  const text = statements.join('\n\n');
  assert.ok(!`${text}${report}`.includes('canary'), 'no secret is told');
  return { text, report };
}

describe('a client explains itself', () => {
  it('before it was asked for anything, without opening a link', async () => {
    const client = make();
    const { text } = await inspected(client);
    assert.match(text, /nothing/i);
    assert.equal(client.state.kind, 'idle');
    assert.equal(gateway.sockets.length, 0);
    await client.close();
  });

  it('while it connects again, with the last attempts and when the next one comes', async () => {
    gateway.accepts = () => false;
    const client = make();
    client.connect();
    await world.advance(3_000);
    const { text } = await inspected(client);
    assert.match(text, /because +\d+ m?s ago, .*refused/);
    assert.match(text, /next +tries again/);
    void client.close();
    await world.advance(2_000);
  });

  it('after a token was refused, with what a person can do', async () => {
    const client = make(() => {
      throw new TokenError('not with canary-in-the-providers-words', { refused: true });
    });
    client.connect();
    await world.advance(500);
    assert.equal(client.state.kind, 'failed');
    const { text } = await inspected(client);
    assert.match(text, /retry\(\)/);
    await client.close();
  });

  it('while a server starts, and with a lease', async () => {
    const client = make();
    const acquisition = client.acquire(WISH);
    await world.settle();
    const [progress, granted] = ready(acquisition.id);
    gateway.push(progress);
    await world.settle();
    assert.match((await inspected(client)).text, /boot/i);

    gateway.push(granted);
    await world.advance(1_000);
    await acquisition;
    const { text, report } = await inspected(client);
    assert.doesNotMatch(text, /boot/i);
    assert.match(report, new RegExp(acquisition.id));
    void client.close();
    await world.advance(2_000);
  });

  it('after it was closed, as it was at its end', async () => {
    const client = make();
    client.connect();
    await world.settle();
    void client.close();
    await world.advance(2_000);
    assert.equal(client.state.kind, 'closed');
    assert.match((await inspected(client)).text, /closed/i);
  });

  it('but not when it was closed before it was used', async () => {
    const client = make();
    await client.close();
    for (const asked of [client.explain(), client.diagnostics()]) {
      await assert.rejects(asked, { code: 'closed' });
    }
  });
});
