// Measures, for `cargo xtask bench web`: how long after the server is warm an app knows of it, and what
// it asks until then. wakecast and the vendor's SDK wait for the same boot in the same page.

import { launch } from "./lib/browser.mjs";
import { startCloud } from "./lib/local.mjs";
import { startSite } from "./lib/site.mjs";

const RUNS = 24;
// Any will do: the boots of two runs of this program are the same.
const SEED = 20_261_123;
// The vendor's SDK asks every 3 s: boots that differ by as much, evenly, find it anywhere in between.
const BOOT_MS = { shortest: 1_000, spread: 3_000 };
// A boot of the profile at 100 percent.
const USUAL_BOOT_MS = 4_550;
const STREAM = "match-1";

/** Small and good enough to spread boots: mulberry32. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Each boot lies in a part of the spread of its own, and the parts come in a random order. */
function boots() {
  const next = random(SEED);
  const parts = [...Array(RUNS).keys()].map((part) => [next(), (part + next()) / RUNS]);
  return parts.sort(([a], [b]) => a - b).map(([, at]) => BOOT_MS.shortest + BOOT_MS.spread * at);
}

/** What a page sends to whom. */
function count(page, { gateway, http }) {
  const sent = { vendor: { cloud: 0, server: 0 }, wakecast: { cloud: 0, server: 0 } };
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.host === http && url.pathname === "/") sent.vendor.cloud += 1;
    else if (url.host === http) sent.wakecast.cloud += 1;
    else if (request.method() === "HEAD") sent.vendor.server += 1;
  });
  page.on("websocket", (socket) => {
    const url = new URL(socket.url());
    if (url.host === gateway) {
      sent.wakecast.cloud += 1;
      socket.on("framesent", () => (sent.wakecast.cloud += 1));
    } else if (url.searchParams.has("target")) {
      // The vendor's SDK names a target in each of its sockets; what it says there is the app's.
      sent.vendor.server += 1;
    } else {
      sent.wakecast.server += 1;
      socket.on("framesent", () => (sent.wakecast.server += 1));
    }
  });
  return sent;
}

async function run(browser, site, bootMs) {
  const cloud = await startCloud(["--profile=demonstration", "--token-life=3600", "--vendor-sdk"]);
  const page = await browser.newPage();
  try {
    const percent = Math.round((100 * bootMs) / USUAL_BOOT_MS);
    await cloud.does({ fault: "media_boots_slowly", percent });
    const [endpointUrl, { token }] = await Promise.all([
      cloud.endpointUrl({ subject: "vendor", stream: STREAM, purpose: "play" }),
      cloud.token({ subject: "wakecast" }),
    ]);
    const hosts = { gateway: new URL(cloud.websocketUrl).host, http: new URL(cloud.accessUrl).host };
    const sent = count(page, hosts);
    await page.goto(site.url("/page/bench.html"));
    await page.waitForFunction(() => window.race);
    const { websocketUrl, accessUrl } = cloud;
    const asks = { vendor: endpointUrl, wakecast: { websocketUrl, accessUrl, token, streamId: STREAM } };
    const knows = page.evaluate((asks) => window.race(asks), asks);
    const [told, { at: warm }] = await Promise.all([
      knows,
      cloud.journal.sees({ what: "media", phase: "ready" }),
    ]);
    return { sent, vendor: told.vendor - warm, wakecast: told.wakecast - warm };
  } finally {
    await page.close();
    await cloud.stop();
  }
}

/** The nearest rank. */
function rank(sorted, part) {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

function told(runs) {
  const sorted = (numbers) => numbers.toSorted((a, b) => a - b);
  const times = (who) => sorted(runs.map((run) => run[who]));
  const requests = (who, whom) => sorted(runs.map(({ sent }) => sent[who][whom]));
  const quantiles = [0, 0.5, 0.9, 1];
  const row = (name, cells) => `| ${[name, ...cells].join(" | ")} |`;
  const ms = (who) => quantiles.map((part) => Math.round(rank(times(who), part)));
  const [vendor, wakecast] = [ms("vendor"), ms("wakecast")];
  const ratio = vendor.map((value, index) => (value / wakecast[index]).toFixed(1));
  const range = (numbers) => {
    const [least, middle, most] = [numbers[0], rank(numbers, 0.5), numbers.at(-1)];
    return least === most ? `${middle}` : `${middle} (${least} to ${most})`;
  };
  const seconds = (ms) => `${ms / 1_000}`;
  return `\
Each client in one page of headless Chromium, both waiting for the same cold start, ${runs.length} times, each in a \
cloud of its own (\`wakecast-local --profile demonstration\`, loopback). The media server's part of the boot takes \
${seconds(BOOT_MS.shortest)} to ${seconds(BOOT_MS.shortest + BOOT_MS.spread)} s, spread evenly over the 3 s between two \
requests of the vendor's SDK. *Warm* is the moment when the media server's app is ready, which nobody has been told by \
then; the reconciler looks once a second. The app *knows* when wakecast gives it the lease, after a ping that the \
server answered, and when the vendor's SDK calls \`initialized\`, after its socket has opened.

From warm until the app knows, in milliseconds; the ratio is of the same columns, above 1 wakecast is sooner:

${row("", ["min", "P50", "P90", "max"])}
|---|---|---|---|---|
${row("wakecast", wakecast)}
${row("the vendor's SDK", vendor)}
${row("ratio", ratio)}

What a page sends in such a cold start: handshakes, requests, and messages on sockets. What the vendor's SDK sends to \
the cloud grows with the boot, by one in 3 s; a minute's boot takes 21.

${row("", ["to the cloud", "to the media server"])}
|---|---|---|
${row("wakecast", [range(requests("wakecast", "cloud")), range(requests("wakecast", "server"))])}
${row("the vendor's SDK", [range(requests("vendor", "cloud")), range(requests("vendor", "server"))])}`;
}

const [site, browser] = await Promise.all([startSite(), launch()]);
const runs = [];
try {
  for (const bootMs of boots()) {
    runs.push(await run(browser, site, bootMs));
    const { vendor, wakecast } = runs.at(-1);
    console.error(
      `${runs.length}/${RUNS}: wakecast ${Math.round(wakecast)} ms, the vendor's SDK ${Math.round(vendor)} ms`,
    );
  }
} finally {
  await browser.close();
  site.stop();
}
console.log(told(runs));
