// What only a browser does to a page: networks that come and go, tabs that hide, freeze, reload, are
// duplicated, and come back.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import { App } from "./lib/app.mjs";
import { launchPlain } from "./lib/browser.mjs";
import { written } from "./lib/journal.mjs";
import { startCloud } from "./lib/local.mjs";
import { startProxy } from "./lib/proxy.mjs";
import { startSite } from "./lib/site.mjs";

const PUBLISH = { acquire: "lease", purpose: "publish", stream: "match-1" };
const GRANTED = { settled: "lease", answer: "lease" };
const LAUNCHED = { what: "ec2", happened: "launched" };
const RUNNING = { what: "ec2", happened: "running" };
const CONNECTED = { what: "connected" };
const DISCONNECTED = { what: "disconnected" };

// What the client promises after a return from the back/forward cache.
const RESTORED_WITHIN_MS = 3_000;

describe("a page in a browser", { timeout: 240_000 }, () => {
  let browser, site, world;

  before(async () => {
    [browser, site] = await Promise.all([launchPlain(), startSite()]);
  });

  after(async () => {
    await browser?.close();
    site?.stop();
  });

  // One window, of which one tab is seen at a time: these tests cannot share it.
  beforeEach(async () => {
    const cloud = await startCloud();
    world = { cloud, context: browser.context, site, journals: [["cloud", cloud.journal]] };
  });

  afterEach(async () => {
    await world.context.setOffline(false);
    await Promise.all(world.context.pages().map((page) => page.close()));
    await world.cloud.stop();
  });

  /** A failure says what everybody was told. */
  const told = (test) => async (context) => {
    try {
      await test(context);
    } catch (error) {
      throw new Error(`${error.message}\n\n${written(world.journals)}`, { cause: error });
    }
  };

  /** An app that holds a lease, and where. */
  async function holding(urls) {
    const app = await App.open(world, "alice", {}, urls);
    await app.does(PUBLISH);
    await app.sees(GRANTED);
    return { app, endpoint: await endpoint(app, "before") };
  }

  async function endpoint(app, name) {
    await app.does({ endpoint: "lease", as: name });
    const { websocket_url: url, error } = await app.journal.sees({ endpoint: name });
    assert.equal(error, undefined);
    return url;
  }

  const cloudSees = (wanted) => world.cloud.journal.sees(wanted);
  const cloudCounts = (wanted) => world.cloud.counts(wanted);

  /** Nothing was lost on the way: one server, and the lease is where it was. */
  async function holdsStill(app, before) {
    assert.deepEqual(await app.now({ lease: "lease" }), { lease: "lease", status: "held" });
    assert.equal(await endpoint(app, "after"), before);
    assert.equal(await cloudCounts(LAUNCHED), 1);
    assert.equal(await cloudCounts({ what: "stand", stand: "draining" }), 0);
  }

  it("n12_a_dead_link_is_left_at_once_and_its_late_end_is_ignored", told(async (test) => {
    const url = new URL(world.cloud.websocketUrl);
    const proxy = await startProxy(url.port);
    test.after(() => proxy.stop());
    url.port = proxy.port;
    const { app, endpoint } = await holding({ websocketUrl: url.href });
    const deliver = proxy.swallow();
    await world.context.setOffline(true);
    await app.sees({ page: "offline" });
    await world.context.setOffline(false);
    await app.sees({ page: "online" });
    // No close ever comes: the browser waits for an answer to its own.
    await app.sees({ state: "connected" }, { state: "reconnecting" }, { state: "connected" });
    assert.equal(await cloudCounts(DISCONNECTED), 0);
    const states = app.counts({ state: "*" });
    deliver();
    await cloudSees(DISCONNECTED);
    await holdsStill(app, endpoint);
    assert.equal(app.counts({ state: "*" }), states);
    assert.equal(await cloudCounts(CONNECTED), 2);
  }));

  it("n19_offline_while_the_link_works_changes_nothing", told(async () => {
    const { app, endpoint } = await holding();
    const states = app.counts({ state: "*" });
    // As under a VPN that the browser knows nothing of: it says so, and everything goes on.
    await browserSays(app, "offline");
    await holdsStill(app, endpoint);
    await browserSays(app, "online");
    await holdsStill(app, endpoint);
    assert.equal(app.counts({ state: "*" }), states);
    assert.equal(await cloudCounts(CONNECTED), 1);
  }));

  it("n17_a_hidden_tab_goes_on_as_it_was", told(async () => {
    await world.cloud.does({ fault: "media_hangs" });
    const app = await App.open(world, "alice");
    await app.does(PUBLISH);
    await app.sees({ state: "connected" });
    await cloudSees(RUNNING);
    const states = app.counts({ state: "*" });
    const other = await world.context.newPage();
    await other.bringToFront();
    await app.sees({ page: "hidden" });
    await world.cloud.does("mend");
    await app.sees(GRANTED);
    const before = await endpoint(app, "before");
    await app.page.bringToFront();
    await app.sees({ page: "visible" });
    await holdsStill(app, before);
    assert.equal(app.counts({ state: "*" }), states);
    assert.equal(await cloudCounts(CONNECTED), 1);
  }));

  it("n17_a_frozen_tab_goes_on_with_its_lease_when_it_thaws", told(async () => {
    const { app, endpoint } = await holding();
    const thaw = await freeze(app);
    await app.sees({ page: "freeze" });
    await thaw();
    await app.sees({ page: "resume" });
    await holdsStill(app, endpoint);
    assert.equal((await app.now({})).state, "connected");
    // Some versions of the browser close the socket of a page that was frozen: once, then.
    assert.ok((await cloudCounts(CONNECTED)) <= 2);
    assert.equal(app.counts({ state: "connected" }), await cloudCounts(CONNECTED));
  }));

  it("n10_a_frozen_tab_that_wants_nothing_makes_no_attempts", told(async () => {
    const app = await App.open(world, "alice");
    await app.does("connect");
    await app.sees({ state: "connected" });
    const thaw = await freeze(app);
    await cloudSees(DISCONNECTED);
    await thaw();
    await app.sees({ state: "paused" }, { state: "connected" });
    assert.equal(app.counts({ state: "reconnecting" }), 0);
    assert.equal(await cloudCounts(CONNECTED), 2);
  }));

  it("n18_n43_a_page_back_from_the_cache_is_connected_within_3_s_and_holds_its_lease", told(async (test) => {
    const { app, endpoint } = await holding({ resume: "player" });
    await leave(app);
    await cloudSees(DISCONNECTED);
    test.diagnostic(`connected after ${await comeBack(app)} ms`);
    await holdsStill(app, endpoint);
    assert.equal(await cloudCounts(CONNECTED), 2);
  }));

  it("n18_n43_a_page_back_from_the_cache_is_granted_what_it_waits_for", told(async () => {
    await world.cloud.does({ fault: "media_hangs" });
    const app = await App.open(world, "alice");
    await app.does(PUBLISH);
    await cloudSees(RUNNING);
    await leave(app);
    await cloudSees(DISCONNECTED);
    await world.cloud.does("mend");
    await cloudSees({ what: "stand", stand: "ready" });
    await comeBack(app);
    await app.sees(GRANTED);
    assert.equal(await cloudCounts(LAUNCHED), 1);
  }));

  it("a page of the same app holds on to what the one before it in its tab held", told(async () => {
    const { app, endpoint: where } = await holding({ resume: "player" });
    const id = await app.id("lease");
    await app.page.goto(world.site.url("/page/scenario.html?second"));
    await app.start();
    await app.does(PUBLISH);
    await app.sees(GRANTED);
    assert.equal(await app.id("lease"), id);
    await holdsStill(app, where);
  }));

  it("a reload in mid-boot waits on for the same server", told(async () => {
    await world.cloud.does({ fault: "media_hangs" });
    const app = await App.open(world, "alice", {}, { resume: "player" });
    await app.does(PUBLISH);
    await cloudSees(RUNNING);
    const id = await app.id("lease");
    await app.page.reload();
    await app.start();
    await app.does(PUBLISH);
    assert.equal(await app.id("lease"), id);
    await app.sees({ state: "connected" }, { state: "connected" });
    await world.cloud.does("mend");
    await app.sees(GRANTED);
    await holdsStill(app, await endpoint(app, "before"));
  }));

  it("a reload with a lease holds the same one again", told(async () => {
    const { app, endpoint } = await holding({ resume: "player" });
    const id = await app.id("lease");
    await app.page.reload();
    await app.start();
    await app.does(PUBLISH);
    assert.equal(await app.id("lease"), id);
    await app.sees(GRANTED);
    await holdsStill(app, endpoint);
    assert.equal(app.counts({ lease: "lease", status: "lost" }), 0);
    const { rows } = await world.cloud.status();
    assert.equal(rows.length, 1);
  }));

  it("a duplicated tab becomes a client of its own and takes nothing from the first", told(async () => {
    const { app, endpoint } = await holding({ resume: "player" });
    // The new tab begins with a copy of the first one's storage.
    const [page] = await Promise.all([
      world.context.waitForEvent("page"),
      app.page.evaluate(() => void window.open("/page/media.html")),
    ]);
    const copied = await page.evaluate(() => sessionStorage.getItem("wakecast:player"));
    assert.equal(copied, await app.page.evaluate(() => sessionStorage.getItem("wakecast:player")));
    const twin = await App.adopt(world, page, "alice", {}, { resume: "player" });
    await twin.does(PUBLISH);
    await twin.sees(GRANTED);
    assert.notEqual(await twin.id("lease"), await app.id("lease"));
    await holdsStill(app, endpoint);
    assert.equal(app.counts({ lease: "lease" }), 0);
    const { rows } = await world.cloud.status();
    assert.equal(rows.length, 2);
  }));

  /** Freezes the page as the browser does with tabs that nobody looks at; returns how to end it. */
  async function freeze(app) {
    const devtools = await world.context.newCDPSession(app.page);
    await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
    return () => devtools.send("Page.setWebLifecycleState", { state: "active" });
  }

  async function browserSays(app, name) {
    await app.page.evaluate((name) => {
      Object.defineProperty(navigator, "onLine", { value: name === "online", configurable: true });
      window.dispatchEvent(new Event(name));
    }, name);
    await app.sees({ page: name });
  }

  /** To another page, which leaves this one in the back/forward cache. */
  async function leave(app) {
    await app.page.goto(world.site.url("/page/media.html"));
  }

  /** Back again. The driver of the browser hears of no load, since there is none. */
  async function comeBack(app) {
    await app.page.evaluate(() => void history.back());
    const { connected_after_ms: took } = await app.journal.sees({ page: "restored" });
    assert.ok(took <= RESTORED_WITHIN_MS, `connected after ${took} ms`);
    return Math.round(took);
  }
});
