// Finishes the package that `cargo xtask npm` builds: the shrunk module, its glue, the face.
//
// usage: node build.mjs FOLDER, where FOLDER/wasm holds what wasm-bindgen wrote

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { transformSync } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [folder] = process.argv.slice(2);

const module = join(folder, 'wasm/wakecast_bg.wasm');
// Measured: -Oz makes a smaller module and a larger download, since it compresses less well.
execFileSync(here('node_modules/.bin/wasm-opt'), ['-O1', module, '-o', module]);

const glue = join(folder, 'wasm/wakecast.js');
const { code } = transformSync(readFileSync(glue, 'utf8'), { minify: true, target: 'es2022' });
writeFileSync(glue, code);

cpSync(here('npm'), folder, { recursive: true });
for (const licence of ['LICENSE-MIT', 'LICENSE-APACHE']) {
  copyFileSync(here(`../${licence}`), join(folder, licence));
}
