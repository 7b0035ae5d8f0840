// The packed tarball in an app, by each bundler and by none, in a real browser under a strict
// Content-Security-Policy: it loads its module once and connects.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { launch } from "./lib/browser.mjs";
import { bundlers, makeApp, viteServer } from "./lib/bundlers.mjs";
import { startCloud } from "./lib/local.mjs";
import { startSite } from "./lib/site.mjs";

const PATIENCE = { timeout: 30_000 };

/** As strict as it can be, but for what `allowed` names. */
const policy = (script, connect) =>
  `default-src 'none'; img-src data:; script-src ${script}; connect-src ${connect}`;

describe("the package in an app", { timeout: 120_000 }, () => {
  let browser, cloud, app;

  before(async () => {
    [browser, cloud, app] = await Promise.all([launch(), startCloud(), makeApp()]);
  });

  after(async () => {
    await browser?.close();
    await cloud?.stop();
    await app?.remove();
  });

  /** What becomes of the clients of a page, and what it printed. */
  async function outcomeAt(url) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const printed = [];
    page.on("console", (message) => printed.push(message.text()));
    page.on("pageerror", (error) => printed.push(`uncaught: ${error.message}`));
    try {
      const { token } = await cloud.token({ subject: "viewer" });
      const hash = new URLSearchParams({ websocketUrl: cloud.websocketUrl, token });
      await page.goto(`${url}#${hash}`);
      const handle = await page.waitForFunction(() => window.outcome?.(), null, PATIENCE);
      return { ...(await handle.jsonValue()), printed };
    } catch (error) {
      throw new Error(`${error.message}\n${printed.join("\n")}`, { cause: error });
    } finally {
      await context.close();
    }
  }

  async function served(folder, script, connect) {
    const headers = { "content-security-policy": policy(script, connect) };
    return startSite({ folders: { "/": pathToFileURL(`${folder}/`) }, headers });
  }

  const gateway = () => new URL(cloud.websocketUrl).origin;

  for (const [name, bundle] of Object.entries(bundlers)) {
    it(`connects from ${name}, and fetches its module once`, async () => {
      const folder = await bundle(app);
      const site = await served(folder, "'self' 'wasm-unsafe-eval'", `'self' ${gateway()}`);
      try {
        const { kinds, printed } = await outcomeAt(site.url("/index.html"));
        assert.deepEqual(kinds, ["connected", "connected", "connected"], printed.join("\n"));
        assert.deepEqual(printed, []);
        const modules = site.asked.filter((path) => path.endsWith(".wasm"));
        assert.equal(modules.length, 1, modules.join(" "));
      } finally {
        site.stop();
      }
    });
  }

  it("connects from Vite's server for development", async () => {
    const server = await viteServer(app);
    try {
      const { kinds, printed } = await outcomeAt(`${server.origin}/index.html`);
      assert.deepEqual(kinds, ["connected", "connected", "connected"], printed.join("\n"));
    } finally {
      await server.stop();
    }
  });

  it("says what a page's policy lacks", async () => {
    const folder = await bundlers["a plain folder"](app);
    const cases = {
      "'wasm-unsafe-eval'": ["'self'", `'self' ${gateway()}`, "misconfigured"],
      "connect-src": ["'self' 'wasm-unsafe-eval'", gateway(), "network_unreachable"],
    };
    for (const [lack, [script, connect, code]] of Object.entries(cases)) {
      const site = await served(folder, script, connect);
      try {
        const { kinds, error, printed } = await outcomeAt(site.url("/index.html"));
        assert.deepEqual(kinds, ["failed", "failed", "failed"]);
        assert.equal(error.code, code, JSON.stringify(error));
        assert.ok(error.message.includes(lack), error.message);
        assert.ok(!printed.some((line) => line.startsWith("uncaught")), printed.join("\n"));
      } finally {
        site.stop();
      }
    }
  });
});
