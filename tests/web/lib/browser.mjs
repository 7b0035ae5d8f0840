// Headless Chromium, with a fake camera and microphone.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

// A second or two on a quiet machine; more than this is a hang.
const START_LIMIT_MS = 60_000;

const OPTIONS = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    // The tests run as root in a container, where Chromium's own sandbox does not work.
    "--no-sandbox",
    // Nothing that a browser does on its own: the tests reach loopback alone.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
  ],
};

export const launch = () => chromium.launch(OPTIONS);

/** A browser of its own process, which can be killed. */
export async function launchToKill() {
  const server = await chromium.launchServer(OPTIONS);
  const browser = await chromium.connect(server.wsEndpoint());
  return { browser, kill: () => server.kill() };
}

/**
 * A browser as people have it: tabs of its own window hide each other and pages may go into the
 * back/forward cache, both of which the driver otherwise turns off.
 */
export async function launchPlain() {
  const profile = await mkdtemp(join(tmpdir(), "wakecast-chromium-"));
  const child = spawn(
    OPTIONS.executablePath,
    [
      ...OPTIONS.args,
      "--headless",
      "--no-startup-window",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const end = async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const options = { noDefaults: true, timeout: START_LIMIT_MS };
    const browser = await chromium.connectOverCDP(await listening(child), options);
    const [context] = browser.contexts();
    return { context, close: () => browser.close().finally(end) };
  } catch (error) {
    await end();
    throw error;
  }
}

async function listening(child) {
  let printed = "";
  child.stderr.setEncoding("utf8");
  for await (const piece of child.stderr.iterator({ destroyOnReturn: false })) {
    printed += piece;
    const [, endpoint] = /DevTools listening on (\S+)/.exec(printed) ?? [];
    if (endpoint) {
      child.stderr.resume();
      return endpoint;
    }
  }
  throw new Error(`Chromium ended before it listened:\n${printed}`);
}
