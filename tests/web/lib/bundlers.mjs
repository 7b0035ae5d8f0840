// An app that imports the packed tarball, bundled as each bundler does it by itself.

import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import * as esbuild from "esbuild";
import * as vite from "vite";
import webpack from "webpack";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TARBALL = here("../../../target/npm/wakecast.tgz");

/** An app with the packed tarball installed, in a folder outside of the repository. */
export async function makeApp() {
  const folder = await mkdtemp(join(tmpdir(), "wakecast-app-"));
  await cp(here("../bundles"), folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  await writeFile(join(folder, "index.html"), page("./app.js"));
  // Offline: it has no dependencies, and a test reaches no registry.
  const flags = ["--offline", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"];
  await promisify(execFile)("npm", ["install", ...flags, TARBALL], { cwd: folder });
  return { folder, remove: () => rm(folder, { recursive: true }) };
}

const page = (script) =>
  `<!doctype html><title>app</title><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;

/** Each makes a folder that is served as it is. */
export const bundlers = {
  async vite({ folder }) {
    const outDir = join(folder, "dist-vite");
    await vite.build({ root: folder, logLevel: "silent", build: { outDir } });
    return outDir;
  },

  async webpack({ folder }) {
    const path = join(folder, "dist-webpack");
    const compiler = webpack({
      mode: "production",
      context: folder,
      entry: "./app.js",
      output: { path, filename: "app.js" },
      performance: { hints: false },
    });
    const stats = await promisify(compiler.run).call(compiler);
    await promisify(compiler.close).call(compiler);
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString());
    await writeFile(join(path, "index.html"), page("./app.js"));
    return path;
  },

  async esbuild({ folder }) {
    const outdir = join(folder, "dist-esbuild");
    const { warnings } = await esbuild.build({
      absWorkingDir: folder,
      entryPoints: ["app.esbuild.js"],
      entryNames: "app",
      bundle: true,
      minify: true,
      format: "esm",
      splitting: true,
      target: "es2022",
      loader: { ".wasm": "file" },
      outdir,
      logLevel: "silent",
    });
    if (warnings.length > 0) throw new Error(JSON.stringify(warnings));
    await writeFile(join(outdir, "index.html"), page("./app.js"));
    return outdir;
  },

  /** No bundler: the package's folder beside the page. */
  async "a plain folder"({ folder }) {
    const out = join(folder, "dist-folder");
    await cp(join(folder, "node_modules/wakecast"), join(out, "wakecast"), { recursive: true });
    const app = await readFile(join(folder, "app.js"), "utf8");
    await writeFile(join(out, "app.js"), app.replace('"wakecast"', '"./wakecast/index.js"'));
    await writeFile(join(out, "index.html"), page("./app.js"));
    return out;
  },
};

/** Vite's server for development, which serves modules one by one. */
export async function viteServer({ folder }) {
  const server = await vite.createServer({
    root: folder,
    logLevel: "silent",
    server: { host: "127.0.0.1", port: 0, hmr: false, ws: false },
  });
  await server.listen();
  return { origin: server.resolvedUrls.local[0].replace(/\/$/, ""), stop: () => server.close() };
}
