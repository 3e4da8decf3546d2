// The pictures of docs/: what a newcomer sees of the demo.

import { given, NARROW, newPage, WIDE, withBrowser } from "./browser.mjs";
import { join } from "node:path";

/** Turns that make a page worth looking at. */
const ENOUGH = 12;

async function draw(browser, name, options, open) {
  const page = await newPage(browser, options);
  await open(page);
  await page.screenshot({ path: join(given.folder, `${name}.png`) });
  await page.context().close();
}

async function desktop(page) {
  await page.goto(given.desktop);
  await page.waitForFunction((enough) => Number(document.getElementById("turns").textContent) >= enough, ENOUGH, { timeout: 120_000 });
  await page.getByLabel("Follow the newest").uncheck();
  // The newest conversation that has a card.
  await page.locator("#list button", { hasText: /[1-9] cards?/ }).first().click();
  await page.getByRole("switch", { name: "Show why" }).check();
  await page.locator(".why li").first().waitFor();
}

const view = (name, then = () => {}) => async (page) => {
  await page.goto(`${given.console}#${name}`);
  await page.locator("#link.good").waitFor();
  await then(page);
};

async function overview(page) {
  await page.locator("#actors tbody tr").first().waitFor();
  // Rates are those of ten seconds.
  await page.waitForFunction(() => Number.parseFloat(document.getElementById("heard").textContent) > 0);
}

async function why(page) {
  await page.locator("#list .entry", { has: page.locator(".chip.good") }).first().locator("summary").click();
  await page.locator(".inside h4").first().waitFor();
  await page.getByRole("checkbox", { name: "Live" }).uncheck();
}

await withBrowser(async (browser) => {
  await draw(browser, "desktop", { viewport: WIDE }, desktop);
  await draw(browser, "desktop-narrow", { viewport: NARROW, colorScheme: "dark" }, desktop);
  await draw(browser, "console", { viewport: WIDE }, view("overview", overview));
  await draw(browser, "console-narrow", { viewport: NARROW, colorScheme: "dark" }, view("overview", overview));
  await draw(browser, "console-why", { viewport: WIDE }, view("decisions", why));
});
