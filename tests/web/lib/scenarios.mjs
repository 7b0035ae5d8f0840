// The shared scenarios of tests/scenarios/end-to-end.json, played by a page per app.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { App } from "./app.mjs";
import { fits, written } from "./journal.mjs";
import { startCloud } from "./local.mjs";

const FILE = new URL("../../scenarios/end-to-end.json", import.meta.url);

export async function readScenarios() {
  const { scenarios } = JSON.parse(await readFile(FILE, "utf8"));
  return scenarios;
}

/** Plays one scenario in a context of its own, and holds what is so in each of them. */
export async function play(scenario, { browser, site }) {
  known(scenario, ["id", "proves", "cloud", "apps", "steps"], scenario.id);
  const options = Object.entries(scenario.cloud ?? {}).map(([name, value]) => `--${name}=${value}`);
  const cloud = await startCloud(options);
  const context = await browser.newContext();
  const world = { cloud, context, site, apps: new Map(), journals: [["cloud", cloud.journal]] };
  try {
    for (const [index, step] of scenario.steps.entries()) {
      try {
        const { who } = step;
        if (who !== "cloud" && who !== "media" && !world.apps.has(who)) {
          const setup = scenario.apps?.[who] ?? {};
          known(setup, ["subject", "token_life_s", "tokens"], `the app ${who}`);
          world.apps.set(who, await App.open(world, who, setup));
        }
        await take(step, world);
      } catch (error) {
        throw new Error(failure(scenario, index + 1, step, error, world), { cause: error });
      }
    }
    for (const [name, app] of world.apps) holdsTheLaws(name, app.journal.entries);
  } finally {
    await context.close();
    await cloud.stop();
  }
}

const WORDS = ["who", "does", "sees", "now", "counts", "is", "accepts", "refuses", "of", "stream", "note"];

async function take(step, world) {
  known(step, WORDS, "a step");
  const { who, does, sees, now, counts, is } = step;
  if (who === "media") return askMedia(step, world);
  const app = world.apps.get(who);
  const { journal } = app ?? world.cloud;
  const look = (path) => remembered(path, journal);
  if (does !== undefined) {
    await (app ? app.does(does) : world.cloud.does(does));
  } else if (sees !== undefined) {
    for (const wanted of [sees].flat()) await journal.sees(wanted, look);
  } else if (now !== undefined) {
    const found = await app.now(now);
    assert.ok(fits(now, found, look), `it is ${JSON.stringify(found)}`);
  } else if (counts !== undefined) {
    assert.equal(await (app ? journal : world.cloud).counts(counts, look), is);
  } else {
    throw new Error("a step has `does`, `sees`, `now`, or `counts` with `is`");
  }
}

async function askMedia({ accepts, refuses, of, stream }, { apps }) {
  const answer = await apps.get(of).refusal(accepts ?? refuses, stream);
  assert.equal(answer, accepts === undefined ? "unauthorized_access" : "no_stream_exist");
}

/** What `$name.field` stands for: a field of the endpoint that was got under this name. */
function remembered(path, journal) {
  const [name, field] = path.split(".");
  const entry = journal.entries.find((entry) => entry.endpoint === name);
  assert.ok(entry, `there is no endpoint \`${name}\` yet`);
  return entry[field];
}

/** What is so in every scenario, whatever it is about. */
function holdsTheLaws(name, entries) {
  const fractions = new Map();
  let closed = false;
  for (const entry of entries) {
    const isTold = ["state", "progress", "lease", "diagnostic"].some((kind) => kind in entry);
    assert.ok(!(closed && isTold), `${name} was told ${JSON.stringify(entry)} after closed`);
    closed ||= entry.state === "closed";
    // A lease that moves begins anew.
    if (entry.change === "moving") fractions.delete(entry.lease);
    if (entry.progress !== undefined) {
      const before = fractions.get(entry.progress) ?? 0;
      assert.ok(before <= entry.fraction, `${name}: the fraction fell to ${entry.fraction}`);
      fractions.set(entry.progress, entry.fraction);
    }
  }
}

function known(object, words, where) {
  const odd = Object.keys(object).filter((word) => !words.includes(word));
  assert.deepEqual(odd, [], `unknown words in ${where}`);
}

function failure({ id }, number, step, error, { journals }) {
  return [`${id}, step ${number}: ${error.message}`, JSON.stringify(step), written(journals)].join("\n\n");
}
