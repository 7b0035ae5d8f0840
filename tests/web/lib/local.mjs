// Starts wakecast-local and stops it again, and speaks with its admin.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Journal, countIn } from "./journal.mjs";

const BINARY =
  process.env.WAKECAST_LOCAL ??
  fileURLToPath(new URL("../../../target/debug/wakecast-local", import.meta.url));

// A boot takes about a second; more than this is a hang.
const START_LIMIT_MS = 60_000;

const SERVER_SECRET = "a-server-secret-for-one-test-run-only";
const STREAM_SECRET = "a-stream-secret-for-one-test-run-only";

/** A whole cloud at a test's pace, and the journal of its timeline. */
export async function startCloud(options = []) {
  const child = spawn(BINARY, ["--profile=test", "--media-address=none", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
    // Its alarms are what the tests provoke.
    env: { RUST_LOG: "off", ...process.env },
  });
  const greeting = await until(child, "cut_sockets");
  const url = (name) => new RegExp(`${name} +(\\S+)`).exec(greeting)[1];
  const [websocketUrl, accessUrl, admin] = ["websocket", "access", "admin"].map(url);
  const journal = new Journal(({ what }) => what);
  void follow(admin, journal);
  return {
    websocketUrl,
    accessUrl,
    journal,
    /** A fault, or `mend`, which ends all of them. */
    does: (what) =>
      what === "mend" ? ask(`${admin}/faults`, "DELETE") : ask(`${admin}/faults`, "POST", what),
    /** A token, as an app's own backend hands it out. */
    async token(request) {
      const { token, expires_in_ms: expiresIn } = await ask(`${admin}/token`, "POST", request);
      return { token, expiresIn };
    },
    /** What the vendor's SDK takes as its `httpEndpointUrl`; for a cloud with `--vendor-sdk`. */
    async endpointUrl(request) {
      const { endpoint_url: url } = await ask(`${admin}/ticket`, "POST", request);
      return url;
    },
    status: () => ask(`${admin}/status`, "GET"),
    /** How often it has happened by now. */
    counts: async (wanted) => countIn(await ask(`${admin}/timeline`, "GET"), wanted),
    stop: () => end(child),
  };
}

async function ask(url, method, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${url}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Writes down what happens, until the cloud has ended. */
async function follow(admin, journal) {
  for (let from = 0; ; ) {
    const answer = await ask(`${admin}/timeline?from=${from}`, "GET").catch(() => undefined);
    if (!answer) return;
    for (const event of answer.events) journal.push(event);
    from = answer.next;
  }
}

/** A media server that is warm: booted, ready, with stream tokens and its REST control on. */
export async function startMediaServer() {
  const folder = await mkdtemp(join(tmpdir(), "wakecast-web-"));
  const [serverFile, streamFile] = [join(folder, "server"), join(folder, "stream")];
  await writeFile(serverFile, SERVER_SECRET);
  await writeFile(streamFile, STREAM_SECRET);
  const child = spawn(
    BINARY,
    [
      "media",
      "--port=0",
      "--profile=demonstration",
      `--media-secret-file=${serverFile}`,
      `--media-stream-secret-file=${streamFile}`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const greeting = await until(child, "  ready\n");
  await rm(folder, { recursive: true });
  const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(greeting)[0];
  const headers = { ProxyAuthorization: jwt(SERVER_SECRET, {}) };

  return {
    origin,
    websocketUrl: `${origin.replace("http", "ws")}/live/websocket`,
    greeting,
    streamToken: (streamId, type) =>
      jwt(STREAM_SECRET, { streamId, type, exp: Math.floor(Date.now() / 1000) + 60 }),
    async counts() {
      const answer = await fetch(`${origin}/rest/v2/system-resources`, { headers });
      const resources = await answer.json();
      return {
        streams: resources.localWebRTCLiveStreams,
        viewers: resources.localWebRTCViewers,
        total: resources.totalLiveStreamSize,
      };
    },
    stop: () => end(child),
  };
}

async function end(child) {
  child.kill("SIGINT");
  const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
  return code;
}

/** Waits until the program printed `mark`, and returns all that it printed. */
async function until(child, mark) {
  let printed = "";
  const late = setTimeout(() => child.kill("SIGKILL"), START_LIMIT_MS);
  try {
    child.stdout.setEncoding("utf8");
    for await (const piece of child.stdout.iterator({ destroyOnReturn: false })) {
      printed += piece;
      if (printed.includes(mark)) {
        child.stdout.resume();
        return printed;
      }
    }
  } finally {
    clearTimeout(late);
  }
  throw new Error(`${BINARY} ended before it said ${JSON.stringify(mark)}:\n${printed}`);
}

function jwt(secret, claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
