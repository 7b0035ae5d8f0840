// Looks at a page as people do: with their eyes, in light and dark, and with a screen reader.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** To be called before the page is opened: its own policy lets no script in afterwards. */
export async function bringAxe(page) {
  await page.addInitScript(await readFile(AXE, "utf8"));
}

/** Takes a picture in both themes into `folder`, and wants axe to find nothing in either. */
export async function look(page, folder, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const suffix = colorScheme === "dark" ? "-dark" : "";
    await page.screenshot({ path: join(folder, `${name}${suffix}.png`), animations: "disabled" });
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(", ")}`);
    });
    assert.deepEqual(found, [], `${name}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** Nothing may be cut off, or be reached only by scrolling sideways. */
export async function fits(page, name) {
  const [content, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= room, `${name}: ${content} px in ${room} px`);
}
