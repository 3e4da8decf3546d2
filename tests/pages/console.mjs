// The console, as an operator uses it.

import assert from "node:assert/strict";
import {
  assertAccessible, assertFits, assertNoComplaints, assertNothingRan, assertOneLine, assertWeighsAtMost, given, NARROW, newPage,
  picture, tellFirstPaint, WIDE, withBrowser,
} from "./browser.mjs";

const MAX_BYTES = 150 * 1024;
const VIEWS = ["overview", "decisions", "try", "gaps", "shadow", "settings"];

/** What a browser says of an answer that the page expects: there is no way to keep it from that. */
const isUnauthorized = (complaint) => complaint.includes("401");

/** That all that is known of an actor can be read: a phone that hides a part shows an operator on call half of it. */
async function assertActorsAreWhole(page, where) {
  const rows = await page.$$eval("#actors tbody tr", (all) => all.map((row) => {
    const { left: from, right: to } = row.closest(".panel").getBoundingClientRect();
    const isSeen = (one) => {
      const { width, height, left, right } = one.getBoundingClientRect();
      return width > 0 && height > 0 && left >= from && right <= to;
    };
    const parts = [...row.querySelectorAll("td, .chip, .doing, .bound, button")];
    const unseen = parts.filter((one) => !isSeen(one)).map((one) => one.className || one.tagName);
    return { name: row.cells[0].textContent, number: row.cells.length, isBounded: !!row.querySelector(".bound"), unseen };
  }));
  assert.ok(rows.length > 5 && rows.some(({ isBounded }) => isBounded), `${where}: ${JSON.stringify(rows)}`);
  for (const { name, number, unseen } of rows) assert.deepEqual([name, number, unseen], [name, 6, []], where);
  await assertOneLine(page, "#actors td:first-child, #actors td.number");
}

/** Without a head each number says itself what it is. */
async function assertRowsAreStacked(page) {
  await assertOneLine(page, "#actors .doing");
  const named = await page.$$eval("#actors tbody tr:first-child td.number", (cells) => cells.map((cell) => getComputedStyle(cell, "::before").content));
  assert.deepEqual(named, ['"Queue"', '"Busy"', '"Restarts"']);
}

async function open(browser, options, view = "overview") {
  const page = await newPage(browser, options);
  // As after a key was given.
  await page.addInitScript((key) => sessionStorage.setItem("cuecard-key", key), given.key);
  await page.goto(`${given.console}console/#${view}`);
  await page.locator("#link.good").waitFor();
  return page;
}

async function asksForAKey(browser) {
  const page = await newPage(browser);
  await page.goto(given.console);
  assert.equal(page.url(), `${given.console}console/`);
  await page.getByRole("heading", { name: /401/ }).waitFor();
  await tellFirstPaint(page, "console without a key");
  const showsNothing = async () => {
    const text = await page.locator("body").textContent();
    for (const secret of given.secrets) assert.ok(!text.includes(secret), secret);
    for (const view of VIEWS) assert.ok(await page.locator(`#${view}`).isHidden(), view);
  };
  await showsNothing();
  await assertAccessible(page, "asked for a key");
  await page.keyboard.type("not the key");
  await page.keyboard.press("Enter");
  await page.getByText("That key does not open this port.").waitFor();
  await showsNothing();
  await page.evaluate(() => { location.hash = "#settings"; });
  await showsNothing();
  await page.getByLabel("Key").focus();
  await page.keyboard.type(given.key);
  await page.keyboard.press("Enter");
  await page.locator("#link.good").waitFor();
  assertNoComplaints(page, isUnauthorized);
  await page.context().close();
}

async function looksRight(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
      const page = await open(browser, { colorScheme, viewport });
      await page.locator("#actors tbody tr").first().waitFor();
      await page.locator("#stages li").nth(5).waitFor();
      if (colorScheme === "light" && size === "wide") {
        await tellFirstPaint(page, "console");
        assertWeighsAtMost(page, MAX_BYTES);
      }
      await assertActorsAreWhole(page, `${colorScheme}, ${size}`);
      if (size === "narrow") await assertRowsAreStacked(page);
      await page.locator("#profiles .chip", { hasText: /^all circuits closed$/ }).waitFor();
      for (const view of VIEWS) {
        await page.locator(`#tabs a[href="#${view}"]`).click();
        await page.locator(`#${view}`).waitFor();
        // The feed goes on, so the network is never idle; a view says itself while it waits.
        await page.waitForFunction((id) => !/(looking|asking) …/.test(document.getElementById(id).innerText), view);
        const where = `${view}, ${colorScheme}, ${size}`;
        await assertFits(page, where);
        await assertOneLine(page, ".figures dt, .figures dd, #stages .rate, #stages .took, .entry .at, .entry .took, .number");
        await assertAccessible(page, where);
        await assertNothingRan(page);
        await picture(page, `console-${view}-${colorScheme}-${size}.png`);
      }
      assertNoComplaints(page);
      await page.context().close();
    }
  }
}

async function tellsWhy(browser) {
  const page = await open(browser, {}, "decisions");
  const card = page.locator(".entry", { hasText: given.card });
  await card.first().waitFor();
  await card.first().locator("summary").focus();
  await page.keyboard.press("Enter");
  await card.getByText("Chosen: “").first().waitFor();
  await card.getByText(given.dog).first().waitFor();
  // Titles and words of markup stand there as what they are.
  await page.locator(".entry", { hasText: given.hostile }).first().waitFor();
  await page.locator(".entry", { hasText: given.hostile }).first().locator("summary").click();
  await page.locator(".entry", { hasText: given.hostile }).getByText("What was said, masked").waitFor();
  await assertNothingRan(page);
  await assertAccessible(page, "an open decision");
  await picture(page, "console-why-light-wide.png");
  await page.getByLabel("Outcome").selectOption("silent");
  await page.locator("#list .entry").first().waitFor();
  assert.deepEqual(new Set(await page.locator("#list .entry summary .chip").allTextContents()), new Set(["silent"]));
  assertNoComplaints(page);
  await page.context().close();
}

async function triesAConversation(browser) {
  const page = await open(browser, { viewport: NARROW }, "try");
  await page.getByLabel("Conversation", { exact: true }).fill(`agent: Hello.\n${given.dog}\nWhere do I park my caravan on the ferry?`);
  await page.keyboard.press("Control+Enter");
  await page.locator("#trial-turns .turn").nth(1).waitFor();
  assert.equal(await page.locator("#trial-turns .turn .title").first().textContent(), given.card);
  await page.locator("#trial-turns summary").nth(1).click();
  await page.getByText("Key phrases").nth(1).waitFor();
  await assertFits(page, "tried");
  await assertAccessible(page, "tried");
  await assertNothingRan(page);
  await page.getByLabel("Conversation", { exact: true }).fill("agent: Only me.");
  await page.getByRole("button", { name: "See what would be shown" }).click();
  await page.getByText("no turn of the customer's").waitFor();
  assertNoComplaints(page, (complaint) => complaint.includes("422"));
  await page.context().close();
}

async function findsACall(browser) {
  const page = await open(browser, { viewport: NARROW }, "decisions");
  await page.getByLabel("Call or decision").fill("call-1");
  await page.keyboard.press("Enter");
  await page.locator("#found .entry", { hasText: given.card }).locator("summary").click();
  const id = await page.locator("#found .inside code").first().textContent();
  await page.getByLabel("Call or decision").fill(id);
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("1 found", { exact: true }).waitFor();
  assert.equal(await page.locator("#found .entry").count(), 1);
  await assertFits(page, "found");
  await assertAccessible(page, "found");
  await page.getByLabel("Call or decision").fill("call-9");
  await page.keyboard.press("Enter");
  await page.getByText("No decision about this call is kept.").waitFor();
  assertNoComplaints(page);
  await page.context().close();
}

/** A key that opens the gaps and not the feed: the page says so once, and shows what it may. */
async function showsAKnowledgeManagerTheGaps(browser) {
  const page = await newPage(browser, { viewport: NARROW });
  await page.addInitScript((key) => sessionStorage.setItem("cuecard-key", key), given.knowledgeKey);
  let feeds = 0;
  page.on("request", (request) => { feeds += request.url().includes("/console/feed") ? 1 : 0; });
  await page.goto(`${given.console}console/#gaps`);
  await page.getByText("does not have the right `operate`").waitFor();
  await page.locator(".cluster").first().waitFor();
  await page.locator('#tabs a[href="#try"]').click();
  await page.waitForFunction(() => document.getElementById("trial-profile").options.length > 0);
  await page.getByLabel("Conversation", { exact: true }).fill(given.dog);
  await page.keyboard.press("Control+Enter");
  await page.locator("#trial-turns .turn .title", { hasText: given.card }).waitFor();
  await assertFits(page, "refused by the feed");
  await assertAccessible(page, "refused by the feed");
  assert.equal(feeds, 1, "the same key is not tried again and again");
  await page.getByRole("button", { name: "Other key" }).click();
  await page.keyboard.type(given.key);
  await page.keyboard.press("Enter");
  await page.locator("#link.good").waitFor();
  assert.ok(await page.locator("#feed").isHidden());
  assertNoComplaints(page, (complaint) => complaint.includes("403"));
  await page.context().close();
}

/** The service takes no such ids; should it ever tell one, the page makes nothing of it but text. */
async function showsIdsOfMarkupAsText(browser) {
  const page = await newPage(browser, { viewport: NARROW });
  await page.addInitScript((key) => sessionStorage.setItem("cuecard-key", key), given.key);
  const renamed = (decision) => ({ ...decision, interaction: given.markup, profile: given.markup });
  await page.route("**/explain/*", async (route) => {
    const told = renamed(await (await route.fetch()).json());
    const ranked = told.ranking.candidates.map((candidate) => ({ ...candidate, id: given.markup, title: "" }));
    await route.fulfill({ json: { ...told, why: [given.markup, ...told.why], ranking: { ...told.ranking, candidates: ranked } } });
  });
  await page.goto(`${given.console}console/#decisions`);
  await page.getByLabel("Call or decision").fill("call-1");
  await page.keyboard.press("Enter");
  const found = page.locator("#found .entry", { hasText: given.markup });
  await found.first().locator("summary").click();
  await found.first().locator(".inside td", { hasText: given.markup }).first().waitFor();
  await found.first().locator(".inside li", { hasText: given.markup }).first().waitFor();
  await assertFits(page, "ids of markup");
  await assertNothingRan(page);
  // What a feed tells, and an id that is no UUID.
  const of = { id: given.markup, at: new Date().toISOString(), outcome: "silent", interaction: given.markup, profile: given.markup };
  const decision = { ...of, utterance: 1, latency_ms: 1, silence: given.markup, ending: given.markup, live: { cards: [] } };
  const event = `event: decisions\ndata: ${JSON.stringify({ counted: 1, decisions: [decision] })}\n\n`;
  await page.route("**/console/feed?*", (route) => route.fulfill({ contentType: "text/event-stream", body: event }), { times: 1 });
  await page.getByLabel("Outcome").selectOption("silent");
  const told = page.locator("#list .entry", { hasText: given.markup }).first();
  await told.locator("summary").click();
  await told.locator(".inside", { hasText: /^(?!asking)./ }).waitFor();
  await assertFits(page, "told an id of markup");
  await assertNothingRan(page);
  await page.context().close();
}

async function listsGapsAndShadows(browser) {
  const page = await open(browser, {}, "gaps");
  await page.getByText("1 rejected").waitFor();
  const example = page.locator(".cluster details", { hasText: "Where do I park my caravan" });
  await example.locator("summary").click();
  await example.getByText("What was said, masked").waitFor();
  await assertNothingRan(page);
  await page.locator('#tabs a[href="#shadow"]').click();
  await page.getByText(/held back or would have been others/).waitFor();
  await page.locator("#shadow-counts li").first().waitFor();
  assertNoComplaints(page);
  await page.context().close();
}

async function restartsAnActor(browser) {
  const page = await open(browser);
  const row = page.locator("#actors tr", { hasText: "ranker" });
  await row.locator(".doing", { hasText: /idle|working|waiting/ }).waitFor();
  await row.locator("td.number .bound", { hasText: /of \d+/ }).waitFor();
  await row.getByRole("button").click();
  assert.equal(await row.getByRole("button").textContent(), "Sure?", "one press restarts nothing");
  assert.match(await page.locator("#actors-told").textContent(), /^Press again to restart ranker\./);
  await row.getByRole("button", { name: "Sure? Press again to restart ranker" }).click();
  await page.waitForFunction(() => !document.getElementById("actors-told").textContent.startsWith("Press again"));
  assert.equal(await page.locator("#actors-told").textContent(), "ranker was told to restart.");
  await row.locator("td.number", { hasText: /^1$/ }).waitFor();
  assertNoComplaints(page);
  await page.context().close();
}

async function showsSettings(browser) {
  const page = await open(browser, {}, "settings");
  await page.getByLabel("Find").fill("client_secret");
  await page.locator("#settings-table td", { hasText: /^\*\*\*$/ }).first().waitFor();
  await page.getByLabel("Find").fill("");
  await page.getByLabel("Only what was set").check();
  await page.locator("#settings-table td", { hasText: "environment: CXONE_BASE_URL" }).first().waitFor();
  assertNoComplaints(page);
  await page.context().close();
}

/** The feed is asked for again whenever it ends, and says so while nobody answers. */
async function comesBack(browser) {
  const page = await open(browser);
  let feeds = 0;
  page.on("request", (request) => { feeds += request.url().includes("/console/feed") ? 1 : 0; });
  await page.route("**/console/feed?*", (route) => route.abort());
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.locator("#link.bad", { hasText: "not reached" }).waitFor();
  await page.unroute("**/console/feed?*");
  await page.locator("#link.good").waitFor();
  assert.ok(feeds >= 2, `${feeds} feeds`);
  await page.context().close();
}

await withBrowser(async (browser) => {
  for (const check of [asksForAKey, looksRight, tellsWhy, findsACall, triesAConversation, showsIdsOfMarkupAsText, listsGapsAndShadows, showsAKnowledgeManagerTheGaps, restartsAnActor, showsSettings, comesBack]) {
    await check(browser);
    console.log(`${check.name}: done`);
  }
});
