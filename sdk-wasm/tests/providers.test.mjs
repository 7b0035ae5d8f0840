// The ready-made token providers, against a backend of the test; what they say on the wire is what
// the other languages' providers say.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, describe, it, mock } from 'node:test';
import { inspect } from 'node:util';

import { install, load } from './lib/package.mjs';

const { Client, TokenError, fixedToken, httpTokenProvider } = await load(await install());

/** What the backend does with a request, and what it was asked. */
let answer;
const asked = [];
const server = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  const { method, url, headers } = request;
  asked.push({ method, url, headers, body });
  answer(response, request);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${server.address().port}`;
after(() => {
  server.closeAllConnections();
  server.close();
});

afterEach(() => {
  asked.length = 0;
  mock.reset();
});

const says = (status, body = '', headers = {}) => {
  answer = (response) => response.writeHead(status, headers).end(body);
};

const never = new AbortController().signal;
const ask = (options, reason = 'initial', signal = never) =>
  httpTokenProvider(`${origin}/token`, options)(reason, { signal });

/** The error, which names the host and quotes no secret. */
async function failure(promise) {
  const error = await promise.then(
    () => assert.fail('it gave a token'),
    (error) => error,
  );
  assert.ok(error instanceof TokenError, inspect(error));
  assert.ok(error.message.includes(`the token address on 127.0.0.1:`), error.message);
  assert.ok(!inspect(error, { depth: 5 }).includes('canary'), inspect(error));
  return error;
}

describe('httpTokenProvider', () => {
  it('posts why, as JSON, and reads the token and its life', async () => {
    says(200, '{"token":"a.b.c","expires_in":3600,"more":1}');
    const headers = async () => ({ authorization: 'Bearer canary' });
    assert.deepEqual(await ask({ headers }, 'rejected'), { token: 'a.b.c', expiresIn: 3_600_000 });
    const [{ method, url, headers: sent, body }] = asked;
    assert.deepEqual([method, url, body], ['POST', '/token', '{"reason":"rejected"}']);
    assert.deepEqual(
      [sent['content-type'], sent.accept, sent.authorization],
      ['application/json', 'application/json', 'Bearer canary'],
    );
  });

  it('leaves the life to the token where the backend does not know it', async () => {
    for (const life of ['', ',"expires_in":null', ',"expires_in":0']) {
      says(201, `{"token":"a.b.c"${life}}`);
      assert.deepEqual(await ask(), { token: 'a.b.c', expiresIn: undefined });
    }
  });

  it('takes 401 and 403 as a refusal of this user', async () => {
    for (const status of [401, 403]) {
      says(status, 'canary');
      const { refused, message } = await failure(ask());
      assert.equal(refused, true);
      assert.match(message, new RegExp(`HTTP ${status}`));
    }
  });

  it('keeps to the pause that 429 and 503 ask for, in seconds', async () => {
    const cases = [
      [429, '7', 7_000],
      [503, '0', 0],
      [503, 'Wed, 21 Oct 2026 07:28:00 GMT', undefined],
      [429, undefined, undefined],
      [500, '7', undefined],
    ];
    for (const [status, header, wait] of cases) {
      says(status, '', header === undefined ? {} : { 'retry-after': header });
      const { refused, retryAfter } = await failure(ask());
      assert.deepEqual([refused, retryAfter], [false, wait]);
    }
  });

  it('follows no redirect', async () => {
    says(302, '', { location: `${origin}/elsewhere` });
    const { message } = await failure(ask({ headers: { cookie: 'session=canary' } }));
    assert.match(message, /redirects, which is not followed/);
    assert.equal(asked.length, 1);
  });

  it('says what is wrong with an answer, and quotes none', async () => {
    const wrong = {
      'not JSON': '<html>canary',
      'expires_in': ['null', '[]', '{}', '{"token":5}', '{"token":""}', '{"token":"canary","expires_in":"1 h"}', '{"token":"canary","expires_in":-1}'],
    };
    for (const [words, bodies] of Object.entries(wrong)) {
      for (const body of [bodies].flat()) {
        says(200, body);
        const { message, refused } = await failure(ask());
        assert.ok(message.includes(words), message);
        assert.equal(refused, false);
      }
    }
  });

  it('gives up after 12 s, and when it is no longer waited for', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    for (const begin of [() => {}, (response) => response.writeHead(200).write('{"token":')]) {
      const reached = new Promise((resolve) => {
        answer = (response) => resolve(begin(response));
      });
      const failed = failure(ask());
      await reached;
      mock.timers.tick(11_999);
      mock.timers.tick(1);
      assert.match((await failed).message, /no whole answer within 12 s/);
    }
    const gone = new AbortController();
    const reached = new Promise((resolve) => (answer = resolve));
    const failed = failure(ask({}, 'initial', gone.signal));
    await reached;
    gone.abort();
    await failed;
  });

  it('says that nobody answers, or that a header is none, without quoting it', async () => {
    const closed = httpTokenProvider('http://127.0.0.1:1/token');
    await failure(closed('initial', { signal: never }));
    const { message } = await failure(ask({ headers: { cookie: 'canary\nx' } }));
    assert.match(message, /header cannot be sent/);
    const { message: theirs } = await failure(ask({ headers: () => Promise.reject(new Error('no session')) }));
    assert.match(theirs, /no session/);
    assert.equal(asked.length, 0);
  });
});

describe('fixedToken', () => {
  it('gives its token until that is refused', () => {
    const provider = fixedToken('a.b.c');
    assert.equal(provider('initial'), 'a.b.c');
    assert.equal(provider('expiring'), 'a.b.c');
    assert.throws(() => provider('rejected'), (error) => error instanceof TokenError && error.refused);
  });
});

describe('addresses', () => {
  const make = (url, options = {}) => new Client(url, { tokenProvider: () => 't', ...options });
  const refuses = (act, words) =>
    assert.throws(act, ({ code, message }) => {
      assert.equal(code, 'invalid_argument');
      assert.ok(!message.includes('canary'), message);
      return words.test(message);
    });

  it('are refused where they could never work or would give a token away, and never quoted', () => {
    const wss = /must begin with wss:/;
    for (const [url, words] of [
      ['', /is no address/],
      ['gateway.example.com', /is no address/],
      [undefined, /is no address/],
      ['https://gateway.example.com', wss],
      ['ws://gateway.example.com', wss],
      ['ws://localhost.example.com', wss],
      ['ws://127.0.0.1.example.com', wss],
      ['wss://canary@gateway.example.com', /no user name/],
      ['wss://user:canary@gateway.example.com', /no user name/],
      ['wss://gateway.example.com?token=canary', /query/],
      ['wss://gateway.example.com#canary', /fragment/],
    ]) {
      refuses(() => make(url), words);
      refuses(() => make('wss://x', { fallbacks: [{ url }] }), words);
    }
    refuses(() => make('wss://x', { accessUrl: 'wss://y' }), /^accessUrl must begin with https:/);
    refuses(() => make('wss://x', { accessUrl: 'http://example.com' }), /^accessUrl must begin with https:/);
    refuses(() => make('wss://x', { fallbacks: [{ url: 'wss://y', accessUrl: 'canary' }] }), /^fallbacks\[0\]\.accessUrl is no address/);
    refuses(() => make('wss://x', { fallbacks: Array(8).fill({ url: 'wss://y' }) }), /at most 7/);
    refuses(() => make('wss://x', { clientId: 'with space' }), /clientId/);
    refuses(() => make('wss://x', { clientId: '' }), /clientId/);
    refuses(() => make('wss://x', { tokenProvider: 'canary' }), /tokenProvider/);
    refuses(() => new Client('wss://x'), /tokenProvider/);
    refuses(() => httpTokenProvider('http://backend.example.com/token'), /must begin with https:/);
    refuses(() => httpTokenProvider('https://backend.example.com/token?key=canary'), /query/);
  });

  it('may be plain for this machine, and for hosts that are named', () => {
    for (const host of ['localhost', 'app.localhost', '127.0.0.1', '127.1.2.3', '[::1]']) {
      make(`ws://${host}:8080/prod`, { accessUrl: `http://${host}:8080/prod` });
      httpTokenProvider(`http://${host}/token`);
    }
    make('ws://192.168.1.5:8080/prod', { insecureHosts: ['192.168.1.5'], accessUrl: 'http://192.168.1.5/prod' });
    refuses(() => make('ws://192.168.1.5/prod', { insecureHosts: ['192.168.1.6'] }), /insecureHosts/);
    make('wss://x', { fallbacks: Array(7).fill({ url: 'wss://y' }) });
  });

  it('of a backend may be relative to the page, whose own origin needs no leave', async () => {
    Object.defineProperty(globalThis, 'location', { value: new URL(`${origin}/app/index.html`), configurable: true });
    try {
      says(200, '{"token":"a.b.c"}');
      await httpTokenProvider('token')('initial', { signal: never });
      await httpTokenProvider('/token')('initial', { signal: never });
      assert.deepEqual(asked.map(({ url }) => url), ['/app/token', '/token']);
      refuses(() => httpTokenProvider('http://backend.example.com/token'), /must begin with https:/);
    } finally {
      delete globalThis.location;
    }
    const onServer = httpTokenProvider('/token');
    await assert.rejects(onServer('initial', { signal: never }), { code: 'invalid_argument' });
  });
});
