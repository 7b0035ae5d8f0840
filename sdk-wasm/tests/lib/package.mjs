// The packed tarball, installed as an app would install it.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const TARBALL = fileURLToPath(new URL('../../../target/npm/wakecast.tgz', import.meta.url));

async function newFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'wakecast-npm-'));
  after(() => rm(folder, { recursive: true }));
  return { folder, file: (path) => join(folder, 'node_modules/wakecast', path) };
}

/** A new folder, an ES module package, with the tarball installed; gone after the tests. */
export async function install() {
  const installed = await newFolder();
  const { folder } = installed;
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  // Offline: it has no dependencies, and a test reaches no registry.
  const flags = ['--offline', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'];
  await run('npm', ['install', ...flags, TARBALL], { cwd: folder });
  return installed;
}

/** A copy, which Node takes for another package: it has loaded nothing yet. */
export async function copyOf({ folder }) {
  const copy = await newFolder();
  await cp(folder, copy.folder, { recursive: true });
  return copy;
}

/** The package as `import 'wakecast'` finds it. */
export const load = ({ file }, path = 'index.js') => import(pathToFileURL(file(path)));
