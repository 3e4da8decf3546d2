// A real Chromium with pages that complain: a console error, a failed request, a refusal by the page's own policy or a serious
// finding of axe ends the check that uses them.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const tools = createRequire(join(process.env.CUECARD_BROWSER, "package.json"));
const { chromium } = tools("playwright-core");
const axe = tools("axe-core").source;

export const WIDE = { width: 1180, height: 760 };
/** The narrowest phone that anybody uses. */
export const NARROW = { width: 360, height: 740 };

/** What the Rust side of the check has set up. */
export const given = JSON.parse(process.argv[2]);

/** Does something with a browser, which is closed however it ends. */
export async function withBrowser(use) {
  // Containers and root have no sandbox to offer; nothing but this service's pages is loaded.
  const browser = await chromium.launch({ executablePath: process.env.CUECARD_CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await use(browser);
  } finally {
    await browser.close();
  }
}

/** A page of its own that keeps what goes wrong on it in `complaints`. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.complaints = [];
  page.weight = 0;
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("requestfailed", (request) => {
    const reason = request.failure()?.errorText;
    // A feed ends with its page.
    if (reason !== "net::ERR_ABORTED") page.complaints.push(`${request.url()}: ${reason}`);
  });
  page.on("response", async (response) => {
    const sizes = await response.request().sizes().catch(() => null);
    if (sizes) page.weight += sizes.responseBodySize + sizes.responseHeadersSize;
  });
  return page;
}

export function assertNoComplaints(page, but = () => false) {
  assert.deepEqual(page.complaints.filter((complaint) => !but(complaint)), []);
}

/** That nobody who can't see, or not well, is shut out. */
export async function assertAccessible(page, where) {
  // axe is put in by the debugger, past the policy of the page, which lets no script in.
  const client = await page.context().newCDPSession(page);
  await client.send("Runtime.evaluate", { expression: axe });
  const { result } = await client.send("Runtime.evaluate", {
    expression: "axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations))",
    awaitPromise: true, returnByValue: true,
  });
  const serious = JSON.parse(result.value).filter(({ impact }) => impact === "serious" || impact === "critical");
  const named = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`);
  assert.deepEqual(named, [], where);
}

/** That nothing is cut off or has to be scrolled to the side. */
export async function assertFits(page, where) {
  const [needed, given] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needed <= given, `${where}: ${needed} px are needed, ${given} are there`);
}

/** That what stands in one element stands in one line. */
export async function assertOneLine(page, selector) {
  const wrapped = await page.$$eval(selector, (elements) => elements.filter((element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const tops = new Set([...range.getClientRects()].filter(({ width }) => width > 0).map(({ top }) => Math.round(top)));
    return tops.size > 1;
  }).map((element) => element.textContent));
  assert.deepEqual(wrapped, [], selector);
}

/** That no markup of an article, a customer or an id became any: it would have set this. */
export async function assertNothingRan(page) {
  assert.equal(await page.evaluate(() => globalThis.ran), undefined);
  const foreign = await page.$$eval("img, iframe, object, embed, body script, body style, marquee", (found) => found.map((one) => one.outerHTML));
  assert.deepEqual(foreign, []);
}

/** Milliseconds until something was painted, which are told and not judged: they are the machine's as well. */
export async function tellFirstPaint(page, name) {
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`${name}: first paint after ${Math.round(paint)} ms, ${Math.round(page.weight / 1024)} KiB in all`);
}

/** Bytes of all that the page is made of. */
export function assertWeighsAtMost(page, bytes) {
  assert.ok(page.weight > 0 && page.weight <= bytes, `the page weighs ${page.weight} bytes`);
}

/** A picture, where somebody wants one. */
export async function picture(page, name) {
  if (given.pictures) await page.screenshot({ path: join(given.pictures, name) });
}
