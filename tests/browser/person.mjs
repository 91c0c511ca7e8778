// One user's browser: what every step of the walk needs.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const DESKTOP = { width: 1180, height: 860 };
// Not `isMobile`: a change of it loads the page again, and so sends its form again.
export const PHONE = { width: 360, height: 740 };

/** Counts what held and what did not. */
export const tally = { passed: 0, failed: 0 };

export function check(held, what) {
  tally[held ? "passed" : "failed"] += 1;
  console.log(held ? `  ok    ${what}` : `  FAIL  ${what}`);
}

/** A user with their own cookies, a list of the messages on the console, and one of requests to other origins. */
export class Person {
  constructor(page, origin, directory) {
    this.page = page;
    this.origin = origin;
    this.directory = directory;
    this.complaints = [];
    this.foreign = [];
    // The provider is another origin, to which the browser goes: its own page may load what it wants.
    const isOurs = () => page.url().startsWith(origin);
    page.on("console", (message) => {
      const text = message.text();
      // Browsers log a refused page as a resource that failed to load.
      if (isOurs() && ["error", "warn"].includes(message.type()) && !text.startsWith("Failed to load resource")) {
        this.complaints.push(text);
      }
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("request", (request) => {
      const navigates = request.isNavigationRequest();
      // The icons of the browser's own fields are data of the browser.
      const isLocal = request.url().startsWith(origin) || request.url().startsWith("data:");
      if (!navigates && isOurs() && !isLocal) this.foreign.push(request.url());
    });
  }

  static async signIn(browser, origin, directory, name, { script = true, language = "en" } = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(DESKTOP);
    await page.setJavaScriptEnabled(script);
    await page.setExtraHTTPHeaders({ "Accept-Language": language });
    const person = new Person(page, origin, directory);
    await page.goto(`${origin}/`);
    await person.click(`button[value=${name}]`);
    return person;
  }

  async open(address) {
    return this.page.goto(address.startsWith("http") ? address : `${this.origin}${address}`);
  }

  /** Clicks, and waits for the resulting page. */
  async click(selector) {
    await Promise.all([this.page.waitForNavigation(), this.page.click(selector)]);
  }

  /** Chooses a service, and waits for the provider's page. */
  async choose(provider) {
    await this.page.click(`button.pick[value=${provider}]`);
    await this.page.waitForSelector("button[name=decision]");
  }

  /** Agrees at the provider, with this account. */
  async allow(account) {
    await this.page.click(`input[name=account][value=${account}]`);
    await this.click("button[value=allow]");
  }

  text() {
    return this.page.$eval("body", (body) => body.innerText);
  }

  /** Returns the services in the list, without the filters above it. */
  rows() {
    return this.page.$$eval("ul.rows h2", (names) => names.map((name) => name.innerText.trim()));
  }

  /** Returns the address of the first row with this text. */
  async row(text) {
    const find = (links, text) => links.find((link) => link.closest("li").innerText.includes(text))?.getAttribute("href");
    return this.page.$$eval("ul.rows h2 a", find, text);
  }

  async shot(name, options = {}) {
    await this.page.screenshot({ path: path.join(this.directory, `${name}.png`), ...options });
  }

  /** Sets the colour scheme, without transitions: the contrast of a changing colour cannot be measured. */
  async scheme(scheme) {
    await this.page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: scheme },
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
  }

  async violations() {
    await this.page.evaluate(axe);
    return this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run();
      return violations.map((it) => `${it.impact}: ${it.id}: ${it.nodes.map((node) => node.html).slice(0, 2).join(" | ")}`);
    });
  }

  overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  /**
   * Checks one state of a page: axe reports nothing on a desktop in light and on a phone in dark colours, nothing is
   * wider than either, and the whole page can be used by its headings.
   */
  async state(what) {
    for (const [viewport, scheme, device] of [
      [DESKTOP, "light", "desktop"],
      [PHONE, "dark", "phone"],
    ]) {
      await this.page.setViewport(viewport);
      await this.scheme(scheme);
      const violations = await this.violations();
      for (const line of violations) console.log(`        ${line}`);
      const overflow = await this.overflow();
      check(violations.length === 0 && overflow <= 0, `${what}: accessible and fitting on a ${device} (${overflow})`);
    }
    await this.page.setViewport(DESKTOP);
    await this.scheme("light");
  }
}
