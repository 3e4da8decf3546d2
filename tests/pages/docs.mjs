// The page that describes a port's calls, as somebody who writes a client reads it.

import assert from "node:assert/strict";
import {
  assertAccessible, assertFits, assertNoComplaints, assertNothingRan, assertWeighsAtMost, given, NARROW, newPage, picture,
  tellFirstPaint, WIDE, withBrowser,
} from "./browser.mjs";

const MAX_BYTES = 150 * 1024;

async function open(browser, port, options) {
  const page = await newPage(browser, options);
  await page.goto(`${given[port]}docs`);
  await page.locator("details.call").first().waitFor();
  return page;
}

async function describesEveryCall(browser) {
  for (const port of ["api", "admin"]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const [size, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
        const page = await open(browser, port, { colorScheme, viewport });
        await tellFirstPaint(page, `${port} ${size}`);
        assertWeighsAtMost(page, MAX_BYTES);
        const { paths } = await page.evaluate(() => fetch("openapi.json").then((answer) => answer.json()));
        assert.deepEqual(await page.locator("details.call .path").allTextContents().then((shown) => shown.sort()), Object.keys(paths).sort());
        await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
        await page.locator("details.answer").last().waitFor();
        await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
        const examples = await page.locator("details.call > .inside > pre").allTextContents();
        assert.equal(examples.length, Object.keys(paths).length);
        for (const example of examples) assert.match(example, /^curl [\s\S]*'http:\/\//);
        await assertAccessible(page, `${port} ${colorScheme} ${size}`);
        await assertFits(page, `${port} ${size}`);
        await assertNothingRan(page);
        assertNoComplaints(page);
        if (colorScheme === "light") await picture(page, `docs-${port}-${size}.png`);
        await page.context().close();
      }
    }
  }
}

async function isOpenedByKeyboard(browser) {
  const page = await open(browser, "api");
  assert.equal(await page.locator("#servers li").count(), 2);
  await page.getByLabel("Find").focus();
  await page.keyboard.press("Tab");
  const first = page.locator("details.call").first();
  assert.ok(await first.locator("summary").first().evaluate((summary) => summary.matches(":focus-visible")));
  await page.keyboard.press("Enter");
  await first.locator("h3", { hasText: "Answers" }).waitFor();
  await page.goto(`${given.api}docs#%`);
  await page.reload();
  await page.locator("details.call").first().waitFor();
  assert.doesNotMatch(await page.locator("#told").textContent(), /can't be read/);
  assertNoComplaints(page);
  await page.context().close();
}

async function findsACall(browser) {
  const page = await open(browser, "admin");
  await page.getByLabel("Find").fill("article first");
  const shown = page.locator("details.call:visible .path");
  assert.deepEqual(await shown.allTextContents(), ["/profiles/{name}/pin"]);
  assert.equal(await page.locator("section:visible").count(), 1);
  await page.getByLabel("Find").fill("");
  assert.ok(await shown.count() > 20);
  await page.goto(`${given.admin}docs#pin`);
  await page.reload();
  await page.locator("#pin[open]").getByText("Where a key is asked for, it needs the right knowledge.").waitFor();
  await page.locator("#pin[open] td", { hasText: "at most 500 characters" }).waitFor();
  assertNoComplaints(page);
  await page.context().close();
}

await withBrowser(async (browser) => {
  for (const check of [describesEveryCall, isOpenedByKeyboard, findsACall]) {
    await check(browser);
    console.log(`${check.name}: done`);
  }
});
