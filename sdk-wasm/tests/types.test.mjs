// The declarations, under `tsc --strict`: the surface, what must not compile, and every snippet of
// the guide and the README.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { install } from './lib/package.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const installed = await install();

/** A folder in here, where React's types are found, with the package beside what is checked. */
const folder = await mkdtemp(here('./.checked-'));
after(() => rm(folder, { recursive: true }));
await mkdir(join(folder, 'node_modules'));
await cp(installed.file('.'), join(folder, 'node_modules/wakecast'), { recursive: true });
await writeFile(join(folder, 'package.json'), '{ "type": "module" }');

const STRICT = {
  strict: true,
  noEmit: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
  isolatedModules: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  target: 'es2022',
  module: 'nodenext',
  jsx: 'react-jsx',
  lib: ['es2022', 'esnext.disposable', 'dom', 'dom.asynciterable'],
  types: [],
};

/** Runs `tsc` on files of the folder, and returns what it said. */
async function tsc(files, options = {}) {
  const config = join(folder, `tsconfig.${files.length}.${Object.keys(options).join('.')}.json`);
  await writeFile(config, JSON.stringify({ compilerOptions: { ...STRICT, ...options }, files }));
  return new Promise((resolve) => {
    execFile(here('../node_modules/.bin/tsc'), ['-p', config, '--pretty', 'false'], (error, stdout) =>
      resolve(stdout),
    );
  });
}

/** The TypeScript of a page, block by block, each a module of its own. */
async function snippets(name, path) {
  const page = await readFile(here(path), 'utf8');
  const blocks = [...page.matchAll(/^```(tsx?)\n(.*?)^```/gms)];
  const files = blocks.map(([, kind], index) => `${name}-${index + 1}.${kind}`);
  for (const [index, file] of files.entries()) {
    await writeFile(join(folder, file), `${blocks[index][2]}\nexport {};\n`);
  }
  return files;
}

for (const file of ['surface.ts', 'no-dom.ts']) await cp(here(`types/${file}`), join(folder, file));

describe('the declarations', () => {
  it('say what an app may do, and what it may not', async () => {
    assert.equal(await tsc(['surface.ts']), '');
  });

  it('are found by bundlers as well', async () => {
    assert.equal(await tsc(['surface.ts'], { module: 'esnext', moduleResolution: 'bundler' }), '');
  });

  it('want no types of a browser, and take those of Node', async () => {
    assert.equal(await tsc(['no-dom.ts'], { lib: ['es2022'] }), '');
    assert.equal(await tsc(['no-dom.ts'], { lib: ['es2022'], types: ['node'] }), '');
  });

  it('hold no any and no bigint', async () => {
    const types = await readFile(installed.file('index.d.ts'), 'utf8');
    const code = types.replaceAll(/\/\*\*.*?\*\//gs, '').replaceAll(/\/\/.*$/gm, '');
    assert.doesNotMatch(code, /\b(any|bigint|BigInt)\b/);
  });

  it('describe all that they export', async () => {
    const types = await readFile(installed.file('index.d.ts'), 'utf8');
    const bare = [...types.matchAll(/(?<!\*\/\n)^export (?!\{).*$/gm)].map(([line]) => line);
    assert.deepEqual(bare, []);
  });
});

describe('snippets', () => {
  it('of the guide and the README compile', async () => {
    const guide = await snippets('guide', '../../docs/guide/web.md');
    const readme = await snippets('readme', '../npm/README.md');
    assert.ok(guide.length >= 5, `${guide.length} in the guide`);
    assert.ok(readme.length >= 1, `${readme.length} in the README`);
    assert.equal(await tsc([...guide, ...readme], { module: 'esnext', moduleResolution: 'bundler' }), '');
  });
});
