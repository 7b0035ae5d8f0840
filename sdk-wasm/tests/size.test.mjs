// What a user downloads, as a server sends it: compressed by brotli.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { it } from 'node:test';
import { brotliCompressSync, constants } from 'node:zlib';

import { install } from './lib/package.mjs';

/** In kB: a page of video should not notice it. */
const MOST = 100;

const installed = await install();
const read = (path) => readFileSync(installed.file(path));

const kilobytes = (bytes) => {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return brotliCompressSync(bytes, { params }).length / 1000;
};

it('is small', (test) => {
  const scripts = readdirSync(installed.file('')).filter((name) => name.endsWith('.js'));
  const wasm = kilobytes(read('wasm/wakecast_bg.wasm'));
  const glue = kilobytes(read('wasm/wakecast.js'));
  // As a bundler joins them; it would make them smaller yet.
  const face = kilobytes(Buffer.concat(scripts.map((name) => read(name))));
  const figures = { wasm, glue, 'wasm and glue': wasm + glue, face, total: wasm + glue + face };
  const line = Object.entries(figures).map(([name, kB]) => `${name} ${kB.toFixed(1)} kB`);
  test.diagnostic(`brotli: ${line.join(', ')}`);
  assert.ok(wasm + glue <= MOST, `wasm and glue take more than ${MOST} kB: ${line.join(', ')}`);
});

it('tells nothing of the machine that built it', () => {
  const module = read('wasm/wakecast_bg.wasm').toString('latin1');
  const ours = /[\x20-\x7e]*(\.cargo|\/root\/|\/home\/|\/Users\/|[A-Z]:\\|registry\/src)[\x20-\x7e]*/.exec(module);
  assert.equal(ours, null, ours?.[0]);
  // It would hold nothing either if it named no source at all, or the search were wrong.
  assert.match(module, /serde_json-[\d.]+\/src\//);
});
