// The example page in a real browser: with the local cloud behind it, and with a scripted gateway
// for what takes long or seldom happens. Each state leaves a picture in `target/web-player`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { get } from "node:http";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { errorOf, KNOWN_ERRORS } from "../../examples/web-player/page/words.js";
import { startPlayer } from "../../examples/web-player/server/player.mjs";
import { ERROR_CODES } from "../../target/npm/wakecast/index.js";
import { launch } from "./lib/browser.mjs";
import { startMediaServer } from "./lib/local.mjs";
import { bringAxe, fits, look } from "./lib/looks.mjs";
import { ScriptedGateway } from "./lib/scripted.mjs";

const PICTURES = fileURLToPath(new URL("../../target/web-player", import.meta.url));
const STREAM = "stage";
const WIDE = { width: 1200, height: 880 };
// Longer than anything takes on two busy cores; it is waited for, never slept.
const PATIENCE = { timeout: 40_000 };

// Beside each other, since a cold start is mostly waiting.
const BESIDE = { concurrency: 3, timeout: 240_000 };
const ONE_BY_ONE = { concurrency: 1 };

let player, browser, media;

before(async () => {
  await rm(PICTURES, { recursive: true, force: true });
  await mkdir(PICTURES, { recursive: true });
  const servers = Promise.all([startMediaServer(), startMediaServer()]);
  const local = startPlayer({ local: process.env.WAKECAST_LOCAL, port: 0 });
  [player, browser, media] = await Promise.all([local, launch(), servers]);
});

after(async () => {
  await browser?.close();
  const ends = [player, ...(media ?? [])].map((started) => started?.stop());
  assert.deepEqual(await Promise.all(ends), [0, 0, 0], "everything ends well on an interrupt");
});

async function open(test, { gateway, viewport = WIDE, prepare, ...options } = {}) {
  const context = await browser.newContext({ viewport, reducedMotion: "reduce", ...options });
  test.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  page.on("pageerror", (error) => console.error("page:", error.stack));
  page.on("request", (request) => assert.equal(new URL(request.url()).hostname, "127.0.0.1"));
  await bringAxe(page);
  await prepare?.(page);
  if (gateway) await gateway.attach(page, player.websocketUrl);
  await page.goto(player.url);
  await says(page, "Ready when you are");
  return page;
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

const says = (page, title) => page.getByRole("heading", { level: 2, name: title, exact: true }).waitFor();

const text = (page, id) => page.locator(`#${id}`).textContent();

/** Waits until an element holds a text. */
const tells = (page, id, wanted) => page.locator(`#${id}`).filter({ hasText: wanted }).waitFor();

const lines = (page) => page.locator("#timeline li span").allTextContents();

const buttons = (page) => page.locator("#actions button:visible").allTextContents();

/** Asks the page's server under another name, as a page that was led here by its DNS name would. */
const asHost = async (host) => (await once(get(player.url, { headers: { host } }), "response"))[0];

/** Where a scripted gateway sends people. */
const at = (server) => (purpose) => ({
  websocket_url: server.websocketUrl,
  http_url: server.origin,
  app: "live",
  stream_token: server.streamToken(STREAM, purpose === "publish" ? "publish" : "play"),
  stream_token_expires_in_ms: 60_000,
});

/** Waits until the picture that is shown has changed this often. */
const framesGrow = (page, by) =>
  page.evaluate(async (by) => {
    const screen = document.getElementById("screen");
    const begun = screen.getVideoPlaybackQuality().totalVideoFrames;
    while (screen.getVideoPlaybackQuality().totalVideoFrames < begun + by) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }, by);

describe("the example page", BESIDE, () => {
  describe("with the local cloud", ONE_BY_ONE, () => {
    it("goes live by keyboard alone, and a second tab watches", async (test) => {
      const viewer = await open(test);
      await press(viewer, "Watch");
      await says(viewer, "Waiting for somebody to go live");
      await look(viewer, PICTURES, "waiting");

      const host = await open(test);
      await look(host, PICTURES, "idle");
      await host.keyboard.press("Tab");
      await host.keyboard.press("Enter");
      const started = Date.now();
      await host.locator("#progress").waitFor();
      assert.equal(await host.evaluate(() => document.activeElement.textContent), "Stop");
      await says(host, "The server is booting");
      await look(host, PICTURES, "starting");
      await says(viewer, "Somebody is going live");
      await look(viewer, PICTURES, "somebody-starts");

      await says(host, "You are live");
      await says(viewer, "Watching");
      await framesGrow(viewer, 20);
      console.log(`# live and watched ${Date.now() - started} ms after the key`);
      await look(host, PICTURES, "live");
      await look(viewer, PICTURES, "watching");
      const story = ["You asked to go live", "Launching a server", "The server is booting", "You are live"];
      const told = await lines(host);
      assert.deepEqual(
        told.filter((line) => story.includes(line)),
        story,
      );

      await host.keyboard.press("Enter");
      await says(host, "Ready when you are");
      assert.equal(await host.evaluate(() => document.activeElement.textContent), "Go live");
      await says(viewer, "The stream has ended");
      await viewer.locator("#notice").waitFor();
      assert.match(await text(viewer, "notice"), /Nobody needs this server any more\. It stops in \d+ s/);
      await look(viewer, PICTURES, "draining");
    });
  });

  describe("with a scripted gateway", ONE_BY_ONE, () => {
    /** Opens a page and makes its wish, which then waits for the script. */
    async function wish(test, button, options = {}) {
      const gateway = new ScriptedGateway();
      const page = await open(test, { gateway, ...options });
      await press(page, button);
      return { gateway, page, wish: await gateway.wished() };
    }

    /** Makes a wish and has it granted. */
    async function granted(test, button, server, title, options) {
      const opened = await wish(test, button, options);
      opened.gateway.ready(opened.wish, at(server));
      await says(opened.page, title);
      return opened;
    }

    it("tells every phase once, aloud, and not each second", async (test) => {
      const { gateway, page, wish: asked } = await wish(test, "Go live");
      await page.evaluate(() => {
        window.announced = [];
        const announcer = document.getElementById("announcer");
        new MutationObserver(() => window.announced.push(announcer.textContent)).observe(announcer, {
          childList: true,
          characterData: true,
          subtree: true,
        });
      });
      const bar = page.getByRole("progressbar");
      gateway.progress(asked, "launching", { p50: 40_000, p90: 70_000 });
      await says(page, "Launching a server");
      assert.equal(await text(page, "detail"), "Ready in about 40 s, seldom more than 70 s.");
      // Ticks by itself between two pushes.
      await tells(page, "detail", "Ready in about 38 s");
      gateway.progress(asked, "booting", { elapsed: 3_000, p50: 900, p90: 5_000 });
      await says(page, "The server is booting");
      assert.equal(await text(page, "detail"), "Any moment, seldom more than 5 s.");
      assert.match(await bar.getAttribute("aria-valuetext"), /^The server is booting, \d+ percent$/);
      assert.equal(await page.locator("[aria-current=step]").textContent(), "Boot");
      gateway.progress(asked, "booting", { elapsed: 4_000, p50: 0, p90: 0, overdue: true });
      await tells(page, "detail", "Longer than usual.");
      const announced = await page.evaluate(() => window.announced);
      assert.deepEqual(announced, [
        "Launching a server",
        "The server is booting",
        "The server is booting. It takes longer than usual",
      ]);
    });

    it("says without alarm that it takes longer than usual, and looks right narrow and large", async (test) => {
      const { gateway, page, wish: asked } = await wish(test, "Go live");
      gateway.progress(asked, "booting", { elapsed: 62_000, p50: 5_000, p90: 58_000 });
      await says(page, "The server is booting");
      gateway.progress(asked, "booting", { elapsed: 125_000, p50: 0, p90: 0, overdue: true });
      await tells(page, "detail", "Longer than usual.");
      assert.equal(
        await text(page, "detail"),
        "Longer than usual. Nine in ten are ready within 2 min; this one is still on its way.",
      );
      await look(page, PICTURES, "overdue");
      await page.setViewportSize({ width: 320, height: 800 });
      await fits(page, "320 px");
      await look(page, PICTURES, "overdue-narrow");
      // 200 % zoom of a window of 1280 px is a window of half as many CSS pixels.
      await page.setViewportSize({ width: 640, height: 400 });
      await fits(page, "200 %");
      await look(page, PICTURES, "overdue-zoomed");
      await page.emulateMedia({ forcedColors: "active" });
      await page.setViewportSize(WIDE);
      await page.screenshot({ path: `${PICTURES}/overdue-forced-colors.png` });
    });

    it("explains why it is so, and hands out a report", async (test) => {
      const { gateway, page, wish: asked } = await wish(test, "Go live", { permissions: ["camera", "microphone", "clipboard-read", "clipboard-write"] });
      gateway.progress(asked, "booting");
      await page.getByText("Why is that?", { exact: true }).click();
      await tells(page, "statements", "waits for a server that starts");
      await look(page, PICTURES, "explained");
      await page.setViewportSize({ width: 320, height: 800 });
      await fits(page, "explained, 320 px");
      gateway.fails(asked, "misconfigured");
      await press(page, "Copy a report");
      await tells(page, "said", "The report is on your clipboard.");
      const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
      assert.ok(Object.keys(report).length > 0);
      await page.locator("#explain[open]").waitFor();
    });

    it("waits for capacity, and cancels when told to stop", async (test) => {
      const { gateway, page, wish: asked } = await wish(test, "Go live");
      gateway.progress(asked, "waiting_for_capacity");
      await says(page, "Looking for a free server");
      await look(page, PICTURES, "no-capacity");
      await press(page, "Stop");
      await says(page, "Ready when you are");
      assert.deepEqual(await buttons(page), ["Go live", "Watch"]);
    });

    it("goes over to a new server by itself, and waits again when the server is gone", async (test) => {
      const hosts = await granted(test, "Go live", media[0], "You are live");
      const host = hosts.page;
      const viewers = await granted(test, "Watch", media[0], "Watching");
      await framesGrow(viewers.page, 5);

      for (const { gateway, page, wish } of [hosts, viewers]) {
        gateway.moving(wish);
        await says(page, "Getting another server");
      }
      await look(host, PICTURES, "moving");
      hosts.gateway.moved(hosts.wish, at(media[1]));
      await tells(host, "timeline", "There is a new server; the video goes over");
      await says(host, "You are live");
      viewers.gateway.moved(viewers.wish, at(media[1]));
      await tells(viewers.page, "timeline", "There is a new server; the video goes over");
      await says(viewers.page, "Watching");
      await framesGrow(viewers.page, 20);
      assert.deepEqual(await media[1].counts(), { streams: 1, viewers: 1, total: 1 });
      assert.equal(await host.locator("#notice:visible").count(), 0);
      await look(viewers.page, PICTURES, "moved");

      viewers.gateway.draining(viewers.wish, 65_000);
      await tells(viewers.page, "notice", /It stops in 6\d s; you need do nothing\./);
      viewers.gateway.lost(viewers.wish, "stopped");
      await says(viewers.page, "Waiting for somebody to go live");
      assert.equal((await viewers.gateway.wished()).purpose, "watch");

      hosts.gateway.lost(hosts.wish, "taken_over");
      await says(host, "Your server is gone");
      assert.match(await text(host, "detail"), /^Another window took it over\./);
      await look(host, PICTURES, "taken-over");
    });

    it("opens the video again when it breaks, with a fresh token", async (test) => {
      const server = await startMediaServer();
      const { page } = await granted(test, "Go live", server, "You are live");
      await server.stop();
      await says(page, "Opening the video again");
      assert.equal(await page.locator("#notice:visible").count(), 0);
      await look(page, PICTURES, "video-broke");
      await press(page, "Stop");
    });

    it("says that somebody is live already, and lets one watch them", async (test) => {
      const { page: host } = await granted(test, "Go live", media[0], "You are live");
      const { gateway, page } = await granted(test, "Go live", media[0], "Somebody is live already");
      await look(page, PICTURES, "error-stream_in_use");
      assert.deepEqual(await buttons(page), ["Watch", "Try again", "Back"]);
      await press(page, "Watch");
      gateway.ready(await gateway.wished(), at(media[0]));
      await says(page, "Watching");
      await press(host, "Stop");
      await says(page, "The stream has ended");
    });

    it("keeps the video while the link is down, and asks to sign in again when it must", async (test) => {
      const { gateway, page } = await granted(test, "Go live", media[0], "You are live");
      await gateway.cut();
      await tells(page, "notice", "The video goes on; the connection is tried again by itself.");
      assert.equal(await text(page, "title"), "You are live");
      await look(page, PICTURES, "reconnecting");
      gateway.welcomes = true;
      await page.locator("#link[data-kind=connected]").waitFor();
      await page.locator("#notice").waitFor({ state: "hidden" });
      gateway.bye("token_rejected");
      await tells(page, "notice", "You are signed out.");
      assert.deepEqual(await buttons(page), ["Sign in again", "Stop"]);
      await look(page, PICTURES, "signed-out-while-live");
      await press(page, "Sign in again");
      await page.locator("#link[data-kind=connected]").waitFor();
      assert.equal(await text(page, "title"), "You are live");
    });
  });

  describe("with an error", ONE_BY_ONE, () => {
    const REPORT = "Copy a report";
    // What is offered first where it is not to try again.
    const FIRST = {
      token_rejected: "Sign in again",
      token_expired: "Sign in again",
      client_too_old: "Load the page anew",
      closed: "Load the page anew",
      forbidden: REPORT,
      protocol_error: REPORT,
      start_failed: REPORT,
      quota_exceeded: REPORT,
      misconfigured: REPORT,
      invalid_argument: REPORT,
      message_too_large: REPORT,
    };

    it("has words for every code", () => {
      const unworded = ERROR_CODES.filter((code) => !KNOWN_ERRORS.includes(code));
      assert.deepEqual(unworded, []);
    });

    it("says of each what happened and what can be done, with a button for it", async (test) => {
      const gateway = new ScriptedGateway();
      const page = await open(test, { gateway });
      for (const code of [...ERROR_CODES, "of_tomorrow"]) {
        await press(page, "Watch");
        gateway.fails(await gateway.wished(), code);
        await page.getByText(`Code: ${code}`, { exact: true }).waitFor();
        const { title, help } = errorOf({ code });
        assert.equal(await text(page, "title"), title);
        assert.ok((await text(page, "detail")).startsWith(help), code);
        const shown = await buttons(page);
        assert.deepEqual(shown, [FIRST[code] ?? "Try again", "Back"], code);
        const focused = await page.evaluate(() => document.activeElement.textContent);
        assert.equal(focused, shown[0], `${code}: who pressed Stop stands on the remedy`);
        await look(page, PICTURES, `error-${code}`);
        await press(page, "Back");
      }
    });

    it("names the wait that the service asks for", async (test) => {
      const gateway = new ScriptedGateway();
      const page = await open(test, { gateway });
      await press(page, "Go live");
      gateway.fails(await gateway.wished(), "quota_exceeded", { retry_after_ms: 90_000 });
      await tells(page, "detail", "It asks for 90 s.");
      assert.deepEqual(await buttons(page), [REPORT, "Back"]);
    });

    it("wakes nothing without a camera", async (test) => {
      const gateway = new ScriptedGateway();
      const refuse = () => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", window.refusal));
      };
      const page = await open(test, { gateway, prepare: (page) => page.addInitScript(refuse) });
      for (const [refusal, title, code] of [
        ["NotAllowedError", "The camera is not allowed", "camera_refused"],
        ["NotFoundError", "No camera was found", "camera_missing"],
      ]) {
        await page.evaluate((refusal) => (window.refusal = refusal), refusal);
        await press(page, "Go live");
        await says(page, title);
        assert.match(await text(page, "detail"), /No server was started\.$/);
        await look(page, PICTURES, `error-${code}`);
        await press(page, "Back");
      }
      assert.deepEqual(await lines(page).then((all) => all.filter((line) => /Connected/.test(line))), []);
    });

    it("signs in again after the page's own server refused", async (test) => {
      const gateway = new ScriptedGateway();
      const page = await open(test, { gateway });
      await page.route("**/token", (route) => route.fulfill({ status: 401 }));
      await press(page, "Watch");
      await says(page, "Signing in did not work");
      await look(page, PICTURES, "error-refused-sign-in");
      await page.unroute("**/token");
      await press(page, "Try again");
      assert.equal((await gateway.wished()).purpose, "watch");
      await says(page, "Waiting for somebody to go live");
    });
  });

  describe("its server", () => {
    it("mints tokens for its own pages alone, and shows no other file", async () => {
      const ask = (path, init) => fetch(new URL(path, player.url), init);
      const json = { "content-type": "application/json" };
      const minted = await ask("/token", { method: "POST", headers: json, body: "{}" });
      assert.deepEqual(Object.keys(await minted.json()), ["token", "expires_in"]);
      const statuses = [];
      for (const [path, init] of [
        ["/token", { method: "POST", body: "{}" }],
        ["/token", {}],
        ["/page/../../package.json", {}],
        ["/%2e%2e/package.json", {}],
        ["/wakecast/..%2f..%2f..%2fCargo.toml", {}],
        ["/%zz", {}],
        ["/", { method: "PUT" }],
      ]) {
        statuses.push((await ask(path, init)).status);
      }
      assert.deepEqual(statuses, [415, 405, 404, 404, 404, 400, 405]);
      const foreign = await asHost("rebound.example");
      assert.equal(foreign.statusCode, 403);
    });

    it("ends with the cloud behind it on Ctrl-C", async () => {
      const child = spawn(process.execPath, ["server/main.mjs", "--port=0"], {
        cwd: fileURLToPath(new URL("../../examples/web-player", import.meta.url)),
        // A group of its own, which gets the interrupt as a terminal's does.
        detached: true,
        stdio: ["ignore", "pipe", "inherit"],
      });
      let printed = "";
      for await (const piece of child.stdout.iterator({ destroyOnReturn: false })) {
        printed += piece;
        if (printed.includes("Ctrl-C")) break;
      }
      const [, url] = /open +(\S+)/.exec(printed);
      assert.equal((await fetch(url)).status, 200);
      process.kill(-child.pid, "SIGINT");
      assert.deepEqual(await once(child, "exit"), [0, null]);
      await assert.rejects(fetch(url));
    });
  });
});
