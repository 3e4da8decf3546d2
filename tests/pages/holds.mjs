// The console of a service that leaves endpoints of CXone alone: one for which it was asked, one whose circuit is open.

import assert from "node:assert/strict";
import { assertAccessible, assertFits, assertNoComplaints, given, NARROW, newPage, picture, WIDE, withBrowser } from "./browser.mjs";

async function showsWhatIsLeftAlone(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
      const where = `${colorScheme}, ${size}`;
      const page = await newPage(browser, { colorScheme, viewport });
      await page.goto(`${given.console}console/`);
      await page.locator("#link", { hasText: "degraded" }).waitFor();
      await page.locator("#profiles .chip.warn", { hasText: /^feedback circuit open$/ }).waitFor();
      await page.locator("#profiles .chip.warn", { hasText: /^push held \d+ s more$/ }).waitFor();
      const chips = await page.locator("#profiles .chip").allTextContents();
      const about = chips.filter((text) => /circuit|held|holds|pushes/.test(text));
      assert.equal(about.length, 2, `${where}: ${about.join(", ")}`);
      await assertFits(page, where);
      await assertAccessible(page, where);
      assertNoComplaints(page);
      await picture(page, `console-holds-${colorScheme}-${size}.png`);
      await page.context().close();
    }
  }
}

await withBrowser(async (browser) => {
  await showsWhatIsLeftAlone(browser);
  console.log(`${showsWhatIsLeftAlone.name}: done`);
});
