// The vendor's SDK as it is released, with nothing but its `httpEndpointUrl` pointing to wakecast: it
// wakes a sleeping fleet, gets its endpoint and opens its socket.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { launch } from "./lib/browser.mjs";
import { startCloud } from "./lib/local.mjs";
import { startSite } from "./lib/site.mjs";

// Longer than anything takes on two busy cores; it is waited for, never slept.
const PATIENCE = { timeout: 30_000 };
const STREAM = "match-1";

let site, browser;
const clouds = new Set();
const pages = new Set();

before(async () => {
  [site, browser] = await Promise.all([startSite(), launch()]);
});

after(async () => {
  await browser?.close();
  site?.stop();
});

afterEach(async () => {
  await Promise.all([...pages].map((page) => page.close()));
  pages.clear();
  for (const cloud of clouds) assert.equal(await cloud.stop(), 0, "it ends well on an interrupt");
  clouds.clear();
});

async function cloudWith(...options) {
  const cloud = await startCloud(options);
  clouds.add(cloud);
  return cloud;
}

/** A tab of another origin than the cloud's, and what it asks of whom. */
async function tab() {
  const page = await browser.newPage();
  pages.add(page);
  const asked = [];
  page.on("response", (response) => {
    const url = new URL(response.url());
    asked.push({ method: response.request().method(), origin: url.origin, status: response.status() });
  });
  await page.goto(site.url("/page/media.html"));
  await page.waitForFunction(() => window.tab);
  return { page, asked };
}

const open = (page, httpEndpointUrl, isPlayMode) =>
  page.evaluate((options) => window.tab.open(options), { httpEndpointUrl, isPlayMode });

/** The stream token, which the page asks for by the same URL as its SDK. */
const streamToken = (page, url) =>
  page.evaluate(async (url) => {
    const response = await fetch(`${url}&source=sdk`);
    return (await response.json()).stream_token;
  }, url);

const hears = (page, word) =>
  page.waitForFunction((word) => window.tab.heard.includes(word), word, PATIENCE);

describe("the vendor's SDK, unchanged", { timeout: 120_000 }, () => {
  it("wakes a sleeping fleet, gets its endpoint, publishes and plays", async (test) => {
    const cloud = await cloudWith("--vendor-sdk", "--media-address=127.0.0.1");
    const publishes = await cloud.endpointUrl({ subject: "ann", stream: STREAM, purpose: "publish" });
    const { page: publisher, asked } = await tab();
    await open(publisher, publishes, false);

    const gateway = asked.filter(({ origin }) => origin === new URL(publishes).origin);
    const statuses = gateway.map(({ status }) => status);
    assert.deepEqual(statuses, [...Array(statuses.length - 1).fill(503), 200], "asked until answered");
    assert.ok(statuses.length > 1, "the fleet slept");
    const looks = asked.filter(({ method }) => method === "HEAD");
    assert.deepEqual(looks.map(({ status }) => status), [200], "the media server lets it look");
    assert.equal(await cloud.counts({ what: "ec2", happened: "launched" }), 1);

    let token = await streamToken(publisher, publishes);
    await publisher.evaluate(([id, token]) => window.tab.publish(id, token), [STREAM, token]);
    await hears(publisher, "publish_started");

    const plays = await cloud.endpointUrl({ subject: "bob", stream: STREAM, purpose: "play" });
    const { page: viewer } = await tab();
    await open(viewer, plays, true);
    token = await streamToken(viewer, plays);
    await viewer.evaluate(([id, token]) => window.tab.play(id, token), [STREAM, token]);
    await hears(viewer, "play_started");
    await viewer.waitForFunction(() => window.tab.firstFrameMs() !== undefined, null, PATIENCE);
    assert.equal(await cloud.counts({ what: "ec2", happened: "launched" }), 1);
    test.diagnostic(`asked ${statuses.length} times`);
  });

  it("gets no stream but its ticket's", async () => {
    const cloud = await cloudWith("--vendor-sdk");
    const plays = await cloud.endpointUrl({ subject: "ann", stream: STREAM, purpose: "play" });
    const { page } = await tab();
    await open(page, plays, false);
    const token = await streamToken(page, plays);
    for (const stream of [STREAM, "another"]) {
      await page.evaluate(([id, token]) => window.tab.publish(id, token), [stream, token]);
      await hears(page, "error: unauthorized_access");
      await page.evaluate(() => window.tab.heard.splice(0));
    }
  });

  it("is refused with words that a page can read", async () => {
    const cloud = await cloudWith("--vendor-sdk");
    const { page } = await tab();
    const refusal = (query) =>
      page.evaluate(async (url) => {
        const response = await fetch(url);
        const { code } = await response.json();
        return { status: response.status, code, cache: response.headers.get("cache-control") };
      }, `${cloud.accessUrl}/${query}`);
    const cache = "no-store";
    const forged = { status: 401, code: "token_rejected", cache };
    assert.deepEqual(await refusal("?source=sdk&ticket=forged"), forged);
    const { token } = await cloud.token({ subject: "ann" });
    assert.deepEqual(await refusal(`?source=sdk&ticket=${token}`), forged);
    const invalid = { status: 400, code: "invalid_argument", cache };
    assert.deepEqual(await refusal(""), invalid);
    assert.equal(await cloud.counts({ what: "ec2", happened: "launched" }), 0);
  });

  it("is not there unless it is asked for", async () => {
    const cloud = await cloudWith();
    const request = { subject: "ann", stream: STREAM, purpose: "play" };
    await assert.rejects(cloud.endpointUrl(request), /vendor_sdk_off/);
    const response = await fetch(`${cloud.accessUrl}/?source=sdk&ticket=x`);
    assert.equal(response.status, 404);
  });
});
