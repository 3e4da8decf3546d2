// The agent's desktop, as an agent uses it.

import assert from "node:assert/strict";
import {
  assertAccessible, assertFits, assertNoComplaints, assertNothingRan, assertOneLine, assertWeighsAtMost, given, NARROW, newPage,
  picture, tellFirstPaint, WIDE, withBrowser,
} from "./browser.mjs";

/** Of everything that is loaded until a conversation stands there. */
const MAX_BYTES = 150 * 1024;

async function opened(browser, options) {
  const page = await newPage(browser, options);
  await page.goto(given.desktop);
  await page.locator(".card").first().waitFor();
  return page;
}

async function looksRight(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
      const where = `${colorScheme}, ${size}`;
      const page = await opened(browser, { colorScheme, viewport });
      if (where === "light, wide") {
        await tellFirstPaint(page, "desktop");
        assertWeighsAtMost(page, MAX_BYTES);
      }
      await page.getByRole("switch", { name: "Show why" }).check();
      await page.locator(".why li").first().waitFor();
      await assertFits(page, where);
      await assertOneLine(page, ".figures dt, .figures dd, .card .chip, .score");
      await assertAccessible(page, where);
      await assertNothingRan(page);
      await picture(page, `desktop-${colorScheme}-${size}.png`);
      assertNoComplaints(page);
      await page.context().close();
    }
  }
}

async function namesByTitles(browser) {
  const page = await opened(browser);
  assert.equal(await page.locator("#title").textContent(), given.title);
  const names = await page.locator("#list .name").allTextContents();
  assert.ok(names.includes(given.title), names.join());
  assert.equal(await page.locator(".insight h3").first().locator("span").nth(1).textContent(), given.card);
  await page.context().close();
}

/** A conversation in which the customer said nothing yet has nothing but its id. */
async function namesByItsIdWhatHasNoTitle(browser) {
  const page = await opened(browser, { viewport: NARROW });
  await page.locator("#list button", { hasText: given.call }).click();
  assert.equal(await page.locator("#title").textContent(), given.call);
  assert.equal(await page.locator("#title").getAttribute("title"), given.call);
  await page.locator(".bubble", { hasText: "Hello?" }).waitFor();
  await assertFits(page, "named by an id");
  await assertNothingRan(page);
  assertNoComplaints(page);
  await page.context().close();
}

async function explains(browser) {
  const page = await opened(browser);
  assert.equal(await page.locator(".why").count(), 0);
  await page.getByRole("switch", { name: "Show why" }).focus();
  await page.keyboard.press("Space");
  await page.locator(".why li").first().waitFor();
  const told = await page.locator(".why").first().textContent();
  assert.match(told, /Chosen: “.*The newest customer turn looks like.*extract \d/s);
  await page.keyboard.press("Space");
  assert.equal(await page.locator(".why").count(), 0);
  assertNoComplaints(page);
  await page.context().close();
}

async function showsTheWholeText(browser) {
  const page = await opened(browser);
  await page.locator(".whole summary").first().focus();
  await page.keyboard.press("Enter");
  const text = page.locator(".whole p").first();
  await text.filter({ hasText: given.body.slice(0, 60) }).waitFor();
  assert.equal(await text.textContent(), given.body);
  await assertNothingRan(page);
  await page.context().close();
}

async function rejectsWithAReason(browser) {
  const page = await opened(browser, { viewport: NARROW });
  const reject = page.getByRole("button", { name: "Reject" }).first();
  await reject.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("group", { name: "Why does it not fit?" }).waitFor();
  await assertAccessible(page, "asked for a reason");
  await assertFits(page, "asked for a reason");
  await page.keyboard.press("Escape");
  assert.ok(await reject.evaluate((element) => element === document.activeElement), "Escape leaves everything as it was");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Wrong product");
  await page.keyboard.press("Enter");
  await page.getByText("Wrong product · stored for training").first().waitFor();
  assert.ok(await reject.isDisabled());
  await assertAccessible(page, "rejected");
  assertNoComplaints(page);
  await page.context().close();
}

async function makesFaults(browser) {
  for (const viewport of [WIDE, NARROW]) {
    const page = await newPage(browser, { viewport });
    await page.goto(`${given.desktop}_sim/faults`);
    await page.locator("tr.entry").first().waitFor();
    const opener = page.locator("tr.entry").first().getByRole("button", { expanded: false });
    await opener.press("Enter");
    await page.locator("tr.detail").waitFor();
    const open = page.locator("tr.entry").first().getByRole("button", { expanded: true });
    await open.press("Space");
    assert.equal(await page.locator("tr.detail").count(), 0);
    await page.locator("tr.entry").first().getByRole("button", { expanded: false }).click();
    await page.locator("tr.detail").waitFor();
    await assertAccessible(page, "faults");
    await assertFits(page, "faults");
    await assertNothingRan(page);
    assertNoComplaints(page);
    await page.context().close();
  }
}

/** The ids of articles and what they are called stand in what the client sent. */
async function tellsOfPushesAsTheyCame(browser) {
  const page = await newPage(browser, { viewport: NARROW });
  await page.goto(`${given.desktop}_sim/faults`);
  const pushed = page.locator("tr.entry", { has: page.locator("td.route", { hasText: /^insights$/ }) });
  await pushed.first().getByRole("button", { expanded: false }).click();
  const written = (text) => JSON.stringify(text).slice(1, -1);
  for (const text of [given.article, given.card]) await page.locator("tr.detail pre", { hasText: written(text) }).waitFor();
  await assertFits(page, "a push");
  await assertNothingRan(page);
  assertNoComplaints(page);
  await page.context().close();
}

await withBrowser(async (browser) => {
  for (const check of [looksRight, namesByTitles, namesByItsIdWhatHasNoTitle, explains, showsTheWholeText, rejectsWithAReason, makesFaults, tellsOfPushesAsTheyCame]) {
    await check(browser);
    console.log(`${check.name}: done`);
  }
});
