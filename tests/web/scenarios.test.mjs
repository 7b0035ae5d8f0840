// The shared scenarios in a real browser, by the npm package as it is packed.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { launch } from "./lib/browser.mjs";
import { play, readScenarios } from "./lib/scenarios.mjs";
import { startSite } from "./lib/site.mjs";

const PLAYED = [
  "acquire",
  "progress",
  "ready",
  "endpoint-refreshed",
  "renew",
  "cut-in-mid-boot",
  "gateway-restart",
  "gateway-restart-in-mid-boot",
  "token-refused",
  "throttled",
  "socket-blocked",
  "drain",
  "moved",
  "cancel",
  "deadline",
  "resumed",
  "taken-over",
  "close",
];

const scenarios = await readScenarios();

// Each has a cloud and a tab of its own and mostly waits: as many at once as two cores take.
describe("the shared scenarios, in a browser", { concurrency: 4, timeout: 240_000 }, () => {
  let browser, site;

  before(async () => {
    [browser, site] = await Promise.all([launch(), startSite()]);
  });

  after(async () => {
    await browser?.close();
    site?.stop();
  });

  it("plays every scenario of the file, and no other", () => {
    assert.deepEqual(
      scenarios.map(({ id }) => id),
      PLAYED,
    );
  });

  for (const scenario of scenarios.filter(({ id }) => PLAYED.includes(id))) {
    it(`${scenario.id}: ${scenario.proves}`, () => play(scenario, { browser, site }));
  }
});
