// The vendor's SDK publishes in one tab of a real browser and plays in another, through the media
// stand-in: what arrives is video.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { launch, launchToKill } from "./lib/browser.mjs";
import { startMediaServer } from "./lib/local.mjs";
import { startSite } from "./lib/site.mjs";

// Longer than anything takes on two busy cores; it is waited for, never slept.
const PATIENCE = { timeout: 30_000 };
// What the server promises for a publisher that is gone without a word.
const FREED_WITHIN_MS = 30_000;

const STREAM = "match-1";

let server, site, browser;
const pages = new Set();

before(async () => {
  [server, site, browser] = await Promise.all([startMediaServer(), startSite(), launch()]);
});

after(async () => {
  await browser?.close();
  site?.stop();
  assert.equal(await server?.stop(), 0, "it ends well on an interrupt");
});

afterEach(async () => {
  await Promise.all([...pages].map((page) => page.close()));
  await counts({ streams: 0, viewers: 0 });
});

async function open(where, isPlayMode) {
  const page = await where.newPage();
  pages.add(page);
  page.on("close", () => pages.delete(page));
  page.on("pageerror", (error) => console.error("page:", error.message));
  await page.goto(site.url("/page/media.html"));
  await page.waitForFunction(() => window.tab);
  await page.evaluate((options) => window.tab.open(options), {
    websocketUrl: server.websocketUrl,
    isPlayMode,
  });
  return page;
}

async function publish(where) {
  const page = await open(where, false);
  const token = server.streamToken(STREAM, "publish");
  await page.evaluate(([id, token]) => window.tab.publish(id, token), [STREAM, token]);
  await hears(page, "publish_started");
  return page;
}

async function play(where) {
  const page = await open(where, true);
  const token = server.streamToken(STREAM, "play");
  await page.evaluate(([id, token]) => window.tab.play(id, token), [STREAM, token]);
  await hears(page, "play_started");
  await page.waitForFunction(() => window.tab.firstFrameMs() !== undefined, null, PATIENCE);
  return page;
}

const hears = (page, word) =>
  page.waitForFunction((word) => window.tab.heard.includes(word), word, PATIENCE);

const heard = (page) => page.evaluate(() => window.tab.heard);

const stats = (page) => page.evaluate((id) => window.tab.stats(id), STREAM);

/** Asks until it is so, and returns how long that took. */
async function counts(wanted, within = PATIENCE.timeout) {
  const begun = Date.now();
  for (;;) {
    const seen = await server.counts();
    const took = Date.now() - begun;
    if (Object.entries(wanted).every(([name, value]) => seen[name] === value)) return took;
    assert.ok(took < within, `${JSON.stringify(seen)} after ${took} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Waits until a number in a connection's statistics passes a limit, and returns them all. */
const passes = (page, kind, name, limit) =>
  page.evaluate(
    async ([id, kind, name, limit, patience]) => {
      const begun = performance.now();
      for (;;) {
        const seen = await window.tab.stats(id);
        if (seen[kind]?.[name] > limit) return seen;
        if (performance.now() - begun > patience) {
          throw new Error(`${kind}.${name} is ${seen[kind]?.[name]} and not above ${limit}`);
        }
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
    },
    [STREAM, kind, name, limit, PATIENCE.timeout],
  );

/** Waits for this many more decoded frames. */
async function framesGrow(page, by) {
  const first = await passes(page, "video", "framesDecoded", 0);
  return passes(page, "video", "framesDecoded", first.video.framesDecoded + by);
}

describe("media through the stand-in, with the vendor's SDK", { timeout: 150_000 }, () => {
  it("carries moving pictures and sound from one tab to another, and counts them", async (test) => {
    assert.match(server.greeting, /WebRTC on 127\.0\.0\.1, this machine only: for development/);
    const publisher = await publish(browser);
    await counts({ streams: 1, viewers: 0, total: 1 });
    const viewer = await play(browser);
    await counts({ streams: 1, viewers: 1 });

    const before = await viewer.evaluate(() => window.tab.picture());
    const seen = await framesGrow(viewer, 40);
    const now = await viewer.evaluate(() => window.tab.picture());
    const changed = now.filter((value, index) => Math.abs(value - before[index]) > 16).length;
    assert.ok(changed > 50, `the picture stands still: ${changed} values changed`);
    assert.equal(seen.video.frameWidth, 640);
    // A second of sound was decoded and played out, at 48 kHz.
    await passes(viewer, "audio", "jitterBufferEmittedCount", 48_000);

    // A second viewer in mid-stream waits for no regular keyframe.
    const asked = (await stats(publisher)).video.pliCount;
    const second = await play(browser);
    const waits = await Promise.all(
      [viewer, second].map((page) => page.evaluate(() => window.tab.firstFrameMs())),
    );
    assert.ok(waits[1] < 3_000, `${waits[1]} ms to the first frame`);
    await passes(publisher, "video", "pliCount", asked);
    await framesGrow(second, 20);
    await counts({ viewers: 2 });

    test.diagnostic(`first frame after ${waits.join(" and ")} ms`);
    test.diagnostic(`${seen.video.codec}, ${seen.video.framesDecoded} frames decoded`);
    test.diagnostic(`${seen.video.framesPerSecond} frames a second, ${seen.video.packetsLost} packets lost`);

    await publisher.evaluate((id) => window.tab.stop(id), STREAM);
    await Promise.all([viewer, second].map((page) => hears(page, "play_finished")));
    await counts({ streams: 0, viewers: 0, total: 0 });
    for (const page of [publisher, viewer, second]) {
      const errors = (await heard(page)).filter((word) => word.startsWith("error"));
      assert.deepEqual(errors, []);
    }
  });

  it("refuses with the vendor's words", async () => {
    const viewer = await open(browser, true);
    const [wrong, token] = [
      server.streamToken(STREAM, "publish"),
      server.streamToken(STREAM, "play"),
    ];
    await viewer.evaluate(([id, token]) => window.tab.play(id, token), [STREAM, wrong]);
    await hears(viewer, "error: unauthorized_access");
    await viewer.evaluate(([id, token]) => window.tab.play(id, token), [STREAM, token]);
    await hears(viewer, "error: no_stream_exist");
  });

  it("frees the stream of a browser that is killed", async (test) => {
    const { browser: doomed, kill } = await launchToKill();
    test.after(kill);
    await publish(doomed);
    const viewer = await play(browser);
    await counts({ streams: 1, viewers: 1 });
    await kill();
    const took = await counts({ streams: 0, total: 0 }, FREED_WITHIN_MS);
    await hears(viewer, "play_finished");
    await counts({ viewers: 0 });
    test.diagnostic(`freed after ${took} ms`);
    await publish(browser);
  });
});
