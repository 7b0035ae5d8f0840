// An app in a tab of a real browser; whatever its client tells goes into its journal.

import assert from "node:assert/strict";

import { Journal } from "./journal.mjs";

// Each entry of an app's journal has exactly one of these fields.
const KINDS = [
  "state",
  "progress",
  "lease",
  "settled",
  "endpoint",
  "released",
  "diagnostic",
  "token",
  // What the browser does with the page; no other language has it.
  "page",
];

export class App {
  #urls;

  constructor({ cloud }, page, urls) {
    this.#urls = { websocketUrl: cloud.websocketUrl, accessUrl: cloud.accessUrl, ...urls };
    this.page = page;
    this.journal = new Journal((entry) => {
      const kind = KINDS.find((kind) => Object.hasOwn(entry, kind));
      assert.ok(kind, `${JSON.stringify(entry)} has none of ${KINDS}`);
      return kind;
    });
  }

  /** Opens a tab with an app. `urls` are other ones than the cloud's own, or `resume`. */
  static async open(world, name, setup = {}, urls = {}) {
    return App.adopt(world, await world.context.newPage(), name, setup, urls);
  }

  /** Opens an app in a tab that is there. */
  static async adopt(world, page, name, setup = {}, urls = {}) {
    const app = new App(world, page, urls);
    const { journal } = app;
    world.journals.push([name, journal]);
    page.on("pageerror", ({ message }) => journal.push({ diagnostic: `the page failed: ${message}` }));
    const wrong = (setup.tokens ?? []).map((_, nth) => `wrong-${nth}`);
    await page.exposeFunction("tell", (entry) => journal.push(entry));
    await page.exposeFunction("askToken", async (reason) => {
      journal.push({ token: reason });
      if (wrong.length > 0) return { token: wrong.shift() };
      return world.cloud.token({ subject: setup.subject ?? name, life_s: setup.token_life_s });
    });
    await page.goto(world.site.url("/page/scenario.html"));
    await app.start();
    return app;
  }

  /** Makes the client of a page that has just been loaded. */
  start() {
    return this.page.evaluate(async (urls) => (await window.ready).open(urls), this.#urls);
  }

  does(what) {
    return this.page.evaluate((what) => window.app.does(what), what);
  }

  now(about) {
    return this.page.evaluate((about) => window.app.now(about), about);
  }

  id(name) {
    return this.page.evaluate((name) => window.app.id(name), name);
  }

  refusal(endpoint, stream) {
    return this.page.evaluate((asked) => window.app.refusal(...asked), [endpoint, stream]);
  }

  async sees(...wanted) {
    for (const entry of wanted) await this.journal.sees(entry);
  }

  counts(wanted) {
    return this.journal.counts(wanted);
  }
}
