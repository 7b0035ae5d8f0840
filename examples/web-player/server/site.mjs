// Static files and a mint of tokens, on loopback.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

/** Taken if it is free, so that the address stays the same from day to day. */
const PORT = 8300;

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

// The strictest that the page works under: no foreign address, no inline script or style.
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Serves `folders` by prefix, `config` as JSON, and what `mint` makes to pages of its own. */
export async function startSite({ port, folders, config, mint }) {
  const server = createServer(async (request, response) => {
    const answered = answer(request, { folders, config, mint });
    const { status, type, body } = await answered.catch(() => text(400, 'not understood'));
    response.writeHead(status, { ...HEADERS, 'content-type': type }).end(body);
  });
  await listen(server, port === undefined ? [PORT, 0] : [Number(port)]);
  const { port: bound } = server.address();
  return {
    url: `http://127.0.0.1:${bound}/`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function listen(server, ports) {
  for (const port of ports) {
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return;
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
    }
  }
  throw new Error(`port ${ports.at(-1)} is taken; choose another --port`);
}

async function answer(request, { folders, config, mint }) {
  // A page that reached this port through a name of its own sends that name.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? ''))
    return text(403, 'loopback only');
  const { pathname } = new URL(request.url, 'http://page');
  const post = request.method === 'POST';
  if (pathname === '/token') return post ? token(request, mint) : text(405, 'POST a reason as JSON');
  if (request.method !== 'GET') return text(405, 'GET only');
  if (pathname === '/config.json') return json(config);
  return file(folders, pathname);
}

/** Only for JSON, which no other site's page can send without being asked first. */
async function token(request, mint) {
  request.resume();
  if (request.headers['content-type'] !== 'application/json') return text(415, 'expected application/json');
  try {
    return json(await mint());
  } catch {
    return text(503, 'the local cloud does not answer');
  }
}

async function file(folders, pathname) {
  const path = normalize(pathname === '/' ? '/index.html' : decodeURIComponent(pathname));
  const prefix = Object.keys(folders).find((prefix) => path.startsWith(prefix));
  try {
    const body = await readFile(join(folders[prefix], path.slice(prefix.length)));
    return { status: 200, type: TYPES[extname(path)] ?? 'application/octet-stream', body };
  } catch {
    return text(404, 'no such page');
  }
}

const json = (value) => ({ status: 200, type: 'application/json', body: JSON.stringify(value) });

const text = (status, body) => ({ status, type: 'text/plain', body });
