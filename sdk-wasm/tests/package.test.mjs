// The packed tarball: what is in it, what it exports, and what importing it does.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

import { install, load } from './lib/package.mjs';

const run = promisify(execFile);
const installed = await install();
const root = new URL('../../', import.meta.url);
const text = (path) => readFile(new URL(path, root), 'utf8');
const manifest = JSON.parse(await readFile(installed.file('package.json'), 'utf8'));

describe('the tarball', () => {
  it('holds what an app needs, and nothing else', async () => {
    const files = (await readdir(installed.file('.'), { recursive: true })).sort();
    const unexpected = files.filter((file) => !/^([a-z]+\.js|index\.d\.ts|wasm(\/wakecast(_bg\.wasm|\.js))?|LICENSE-(MIT|APACHE)|README\.md|package\.json)$/.test(file));
    assert.deepEqual(unexpected, []);
    for (const file of ['index.js', 'index.d.ts', 'README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'wasm/wakecast_bg.wasm']) {
      assert.ok(files.includes(file), file);
    }
    assert.equal(manifest.scripts, undefined, 'nothing runs when it is installed');
    assert.equal(manifest.dependencies, undefined);
  });

  it('names its types first, and has no fault that publint finds', async () => {
    assert.equal(Object.keys(manifest.exports['.'])[0], 'types');
    const { messages, pkg } = await publint({ pkgDir: installed.file('.'), strict: true, pack: false });
    assert.deepEqual(messages.map((message) => formatMessage(message, pkg)), []);
  });

  it('has the version of the crate', async () => {
    const [, version] = /^version = "(.+)"$/m.exec(await text('Cargo.toml'));
    assert.equal(manifest.version, version);
    const { SDK } = await load(installed, 'version.js');
    assert.equal(SDK, `wakecast-web/${version}`);
  });

  it('exports what its types declare', async () => {
    const declared = [...(await text('sdk-wasm/npm/index.d.ts')).matchAll(/^export declare (?:class|function|const) (\w+)/gm)];
    const exported = Object.keys(await load(installed)).sort();
    assert.deepEqual(exported, declared.map(([, name]) => name).sort());
  });

  it('knows the error codes and remedies of the crate', async () => {
    const { ERROR_CODES, remedyOf } = await load(installed);
    const table = [...(await text('sdk-core/src/error.rs')).matchAll(/^ {4}\w+ = "(\w+)", (?:true|false), \w+,\s+"(.*)";$/gm)];
    assert.equal(table.length, 26);
    assert.deepEqual(table.map(([, code]) => code), [...ERROR_CODES]);
    for (const [, code, remedy] of table) assert.equal(remedyOf(code), remedy);
    const types = await text('sdk-wasm/npm/index.d.ts');
    const [, union] = /export type KnownErrorCode =([^;]+);/.exec(types);
    assert.deepEqual([...union.matchAll(/'(\w+)'/g)].map(([, code]) => code), [...ERROR_CODES]);
    assert.match(remedyOf('of_tomorrow'), /update the SDK/);
    assert.match(remedyOf('constructor'), /update the SDK/);
  });
});

describe('importing it on a server', () => {
  it('touches no global, fetches nothing, starts nothing, and makes a client', async () => {
    const script = `
      const before = new Set(Reflect.ownKeys(globalThis));
      const touched = [];
      for (const name of ['fetch', 'setTimeout', 'setInterval', 'addEventListener', 'queueMicrotask']) {
        const real = globalThis[name];
        globalThis[name] = (...values) => { touched.push(name); return real?.(...values); };
        before.add(name);
      }
      for (const name of ['compile', 'instantiate', 'instantiateStreaming', 'compileStreaming']) {
        WebAssembly[name] = () => { touched.push(name); };
      }
      const { Client, fixedToken, httpTokenProvider } = await import('wakecast');
      const client = new Client('wss://gateway.example.com/prod', { tokenProvider: fixedToken('t') });
      httpTokenProvider('/token');
      const leave = client.subscribe(() => {});
      leave();
      client.retry();
      const resumed = await Client.resume('wss://gateway.example.com/prod', { tokenProvider: fixedToken('t') });
      await resumed.close();
      await client.close();
      const added = Reflect.ownKeys(globalThis).filter((name) => !before.has(name));
      console.log(JSON.stringify({ touched, added: added.map(String), state: client.state }));
    `;
    await writeFile(join(installed.folder, 'server.mjs'), script);
    const { stdout, stderr } = await run(process.execPath, ['server.mjs'], { cwd: installed.folder });
    assert.equal(stderr, '');
    // Making the microtask that frees nothing is what closing does.
    const { touched, added, state } = JSON.parse(stdout);
    assert.deepEqual(touched.filter((name) => name !== 'queueMicrotask'), []);
    assert.deepEqual(added, []);
    assert.deepEqual(state, { kind: 'closed' });
  });
});

describe('React', () => {
  it('renders the state on a server, and takes subscribe as it is', async () => {
    const { createElement, useSyncExternalStore } = await import('react');
    const { renderToString } = await import('react-dom/server');
    const { Client, fixedToken } = await load(installed);
    const client = new Client('wss://gateway.example.com/prod', { tokenProvider: fixedToken('t') });
    const read = () => client.state;
    const App = () => createElement('p', null, useSyncExternalStore(client.subscribe, read, read).kind);
    assert.equal(renderToString(createElement(App)), '<p>idle</p>');
  });
});
