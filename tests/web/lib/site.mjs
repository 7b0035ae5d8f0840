// Serves files on loopback: unless told otherwise the test's pages, the vendor's SDK and the npm
// package.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDERS = {
  "/page/": new URL("../page/", import.meta.url),
  "/sdk/": new URL("../node_modules/@antmedia/webrtc_adaptor/dist/es/", import.meta.url),
  // As `cargo xtask npm` builds it.
  "/wakecast/": new URL("../../../target/npm/wakecast/", import.meta.url),
};
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Serves folders by the path they begin with, or those of the tests, and counts what is asked for. */
export async function startSite({ folders = FOLDERS, headers = {} } = {}) {
  const asked = [];
  const server = createServer(async (request, response) => {
    try {
      const path = normalize(new URL(request.url, "http://site").pathname);
      asked.push(path);
      const mount = Object.keys(folders).find((prefix) => path.startsWith(prefix));
      const file = new URL(path.slice(mount.length), folders[mount]);
      const body = await readFile(fileURLToPath(file));
      const type = TYPES[extname(path)] ?? "text/plain";
      response.writeHead(200, { "content-type": type, ...headers });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    asked,
    url: (path) => `http://127.0.0.1:${server.address().port}${path}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
