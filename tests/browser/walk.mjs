// A real browser walks through the example `gateway`: all actions of a user, and the refusals.
// Usage: node walk.mjs GATEWAY_BINARY CHROMIUM SCREENSHOT_DIRECTORY

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import path from "node:path";
import puppeteer from "puppeteer-core";

const [, , binary, chromium, directory] = process.argv;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(directory, { recursive: true });

let passed = 0;
let failed = 0;

function check(held, what) {
  if (held) {
    passed += 1;
    console.log(`  ok    ${what}`);
  } else {
    failed += 1;
    console.log(`  FAIL  ${what}`);
  }
}

/** Starts the example and reads its address from its output. */
function start() {
  const child = spawn(binary, [], { stdio: ["ignore", "pipe", "inherit"] });
  const origin = new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => {
      const found = line.match(/page is at\s+(http:\/\/\S+?)\/$/);
      if (found) resolve(found[1]);
    });
    child.on("exit", (code) => reject(new Error(`the example ended with ${code}`)));
  });
  return { child, origin };
}

/** One user's browser, with its own cookies and a list of the messages on its console. */
class Person {
  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
    this.complaints = [];
    page.on("console", (message) => {
      const text = message.text();
      // Browsers log a refused page as a resource that failed to load. On its way to the server's
      // page, a browser may still request our icon, which that page's policy forbids.
      const ours = page.url().startsWith(origin);
      if (ours && ["error", "warn"].includes(message.type()) && !text.startsWith("Failed to load resource")) {
        this.complaints.push(text);
      }
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
  }

  static async signIn(browser, origin, name, { script = true } = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport({ width: 1180, height: 860 });
    await page.setJavaScriptEnabled(script);
    const person = new Person(page, origin);
    await page.goto(`${origin}/`);
    await person.click(`button[value=${name}]`);
    return person;
  }

  async open(address) {
    return this.page.goto(address.startsWith("http") ? address : `${this.origin}/connections${address}`);
  }

  /** Clicks, and waits for the resulting page. */
  async click(selector) {
    await Promise.all([this.page.waitForNavigation(), this.page.click(selector)]);
  }

  /** Chooses a service, and waits for the provider's page. */
  async choose(provider) {
    await this.page.click(`button.card[value=${provider}]`);
    await this.page.waitForSelector("button[name=decision]");
  }

  text() {
    return this.page.$eval("body", (body) => body.innerText);
  }

  /** Returns the services in the list, without the filters above it. */
  rows() {
    return this.page.$$eval("ul.rows h2", (names) => names.map((name) => name.innerText.trim()));
  }

  async shot(name, options = {}) {
    await this.page.screenshot({ path: path.join(directory, `${name}.png`), ...options });
  }

  /** Checks that axe-core reports nothing serious or worse, in light and in dark. */
  async accessible(what) {
    for (const scheme of ["light", "dark"]) {
      await this.scheme(scheme);
      await this.page.evaluate(axe);
      const { violations } = await this.page.evaluate(() => globalThis.axe.run());
      const grave = violations.filter((it) => ["serious", "critical"].includes(it.impact));
      for (const it of violations) {
        console.log(`        ${it.impact}: ${it.id}: ${it.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
      }
      check(grave.length === 0, `${what} is accessible (${scheme})`);
    }
    await this.scheme("light");
  }

  /** Sets the colour scheme, without transitions: the contrast of a changing colour cannot be measured. */
  async scheme(scheme) {
    await this.page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: scheme },
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
  }

  async fits(what) {
    await this.page.setViewport({ width: 360, height: 740, isMobile: true });
    const overflow = await this.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    check(overflow <= 0, `${what} fits a phone (${overflow})`);
  }

  async desktop() {
    await this.page.setViewport({ width: 1180, height: 860 });
  }
}

async function walk(browser, origin) {
  console.log("Ada connects her notes");
  const ada = await Person.signIn(browser, origin, "ada");
  check((await ada.text()).includes("Workspace connection"), "she sees the workspace connection, marked as such");
  await ada.accessible("her list");
  await ada.open("/connect");
  await ada.shot("connect");
  await ada.accessible("the choice of a service");
  await ada.fits("the choice of a service");
  await ada.shot("connect-phone", { fullPage: true });
  await ada.desktop();
  await ada.click("a[href$='provider=notes']");
  await ada.shot("together");
  await ada.accessible("the choice of what comes with it");
  await ada.fits("the choice of what comes with it");
  await ada.desktop();
  await ada.open("/connect");
  await ada.choose("notes");
  await ada.shot("provider");
  await ada.click("button[value=allow]");
  const url = new URL(ada.page.url());
  check(url.origin === origin && /^\/connections\/connections\/[0-9a-f-]{36}$/.test(url.pathname), "she is back at her connection");
  check(!/code|state/.test(url.search), "the code has left the address bar");
  check((await ada.text()).includes("ada@example.test"), "it shows whose account it is");
  await ada.shot("connection");
  await ada.accessible("a connection");
  await ada.fits("a connection");
  await ada.desktop();
  const connection = url.pathname.replace(/^\/connections/, "");
  await ada.click("form[action$='/refresh'] button");
  check((await ada.text()).includes("Refreshed. The new tokens are stored."), "she refreshes it");
  await ada.open(`${origin}/agent`);
  check((await ada.text()).includes("Note G"), "an agent reads her notes");
  await ada.open("/");
  check((await ada.rows()).includes("Sandbox Notes"), "she sees it in her list");
  await ada.page.keyboard.press("Tab");
  check(
    (await ada.page.evaluate(() => document.activeElement.textContent)) === "Skip to the content",
    "the keyboard reaches the way to the content first",
  );

  console.log("Ada reads the pages in Russian and in her time zone");
  await ada.page.setExtraHTTPHeaders({ "Accept-Language": "ru-RU,ru;q=0.9" });
  await ada.page.emulateTimezone("Asia/Tokyo");
  for (const [address, what] of [
    ["/", "her list"],
    ["/connect", "the choice of a service"],
    [connection, "a connection"],
    [`${connection}/revoke`, "the question before a revocation"],
  ]) {
    await ada.open(address);
    const lang = await ada.page.$eval("html", (html) => html.lang);
    check(lang === "ru" && /[а-я]{4}/.test(await ada.text()), `${what} is in Russian`);
    await ada.accessible(`${what} in Russian`);
    await ada.fits(`${what} in Russian`);
    await ada.desktop();
  }
  await ada.open(connection);
  check((await ada.text()).includes("Создавать и менять данные"), "access is explained in words");
  const [shown, told] = await ada.page.$eval(".facts time", (time) => [time.textContent, time.title]);
  check(told.endsWith("UTC") && shown !== told && !shown.endsWith("UTC"), "times are in her zone");
  await ada.shot("connection-russian");
  await ada.page.setExtraHTTPHeaders({});

  console.log("Grace declines, and does not see Ada's connection");
  const grace = await Person.signIn(browser, origin, "grace", { script: false });
  check(!(await grace.rows()).includes("Sandbox Notes"), "Ada's notes are not in her list");
  const hidden = await grace.open(connection);
  check(hidden.status() === 404, "Ada's connection does not exist for her");
  await grace.open("/connect");
  await grace.choose("notes");
  await grace.click("button[value=deny]");
  check((await grace.text()).includes("Access was declined"), "the page shows the result, without script");
  check(!grace.page.url().includes("error="), "the provider's words have left the address bar");
  await grace.shot("denied");

  console.log("Olga manages all connections");
  // Uses are recorded by the example's upkeep, which runs every few seconds.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  const olga = await Person.signIn(browser, origin, "olga");
  const list = await olga.text();
  check(list.includes("ada") && list.includes("grace"), "she sees both");
  check(list.includes("Needs consent"), "and the problem of Grace's connection");
  check(list.includes("Needs attention (1)"), "which comes first");
  check(/Used\s+just now/.test(list), "and when it was last used");
  await olga.shot("list");
  await olga.accessible("her list");
  await olga.scheme("dark");
  await olga.shot("list-dark");
  await olga.fits("her list");
  await olga.shot("list-phone", { fullPage: true });
  await olga.scheme("light");
  await olga.desktop();
  await Promise.all([olga.page.waitForNavigation(), olga.page.select("select[name=status]", "needs_consent")]);
  check((await olga.rows()).join() === "Sandbox Mail", "she filters by status");
  await olga.open("/?q=matches-nothing");
  check((await olga.text()).includes("No connections match"), "an empty search says so");
  await olga.shot("empty");

  console.log("Only Ada can use a link for Ada");
  await olga.open("/connect");
  await olga.page.type("input[name=user]", "ada");
  await olga.shot("connect-operator");
  await olga.accessible("the operator's choice of a service");
  await olga.click("button.card[value=mail]");
  const link = await olga.page.$eval("#link", (field) => field.value);
  await olga.shot("link");
  await olga.accessible("the link");
  const refused = await grace.open(link);
  check(refused.status() === 404, "Grace is refused");
  check((await grace.text()).includes("made for someone else"), "and sees the possible reasons");
  await grace.shot("refused");
  await ada.open(link);
  await ada.page.waitForSelector("button[name=decision]");
  await ada.click("button[value=allow]");
  check((await ada.text()).includes("Sandbox Mail"), "Ada opens it and connects");
  await ada.open(link);
  check((await ada.text()).includes("ada@example.test"), "opened again, it leads to the connection");
  await ada.page.goBack();
  await ada.page.goForward();
  check((await ada.text()).includes("Sandbox Mail"), "Back and Forward end there as well");

  console.log("Olga revokes Ada's notes");
  await olga.open(connection);
  await olga.click("a.danger");
  await olga.shot("revoke");
  await olga.accessible("the question");
  await olga.click("button.danger");
  const result = await olga.text();
  check(result.includes("Erased") && result.includes("has confirmed the revocation"), "the page shows the outcome in both places");
  await olga.shot("revoked");
  await olga.accessible("the answer");
  await ada.open(`${origin}/agent`);
  check((await ada.text()).includes("Give access"), "the agent has to ask Ada again");

  console.log("Grace connects two services by one consent and adds a third, without script");
  await grace.open("/connect?provider=calendar");
  await grace.page.click("input[name=also][value=steps]");
  await grace.click("button[name=provider]");
  await grace.page.waitForSelector("button[name=decision]");
  await grace.click("button[value=allow]");
  check(/Shares its consent with\s+Sandbox Steps/.test(await grace.text()), "two services came by one consent");
  await grace.page.click("input[name=also][value=tasks]");
  await grace.click("button[name=extends]");
  await grace.page.waitForSelector("button[name=decision]");
  await grace.click("button[value=allow]");
  await grace.open("/");
  const rows = await grace.rows();
  check(["Calendar", "Steps", "Tasks"].every((it) => rows.includes(`Sandbox ${it}`)), "a third has joined them");

  const complaints = [ada, grace, olga].flatMap((person) => person.complaints);
  check(complaints.length === 0, `no console complained ${complaints.join(" | ")}`);
}

const { child, origin } = start();
let browser;
try {
  browser = await puppeteer.launch({
    executablePath: chromium,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  await walk(browser, await origin);
} catch (error) {
  failed += 1;
  console.log(`  FAIL  ${error.stack}`);
} finally {
  await browser?.close();
  child.removeAllListeners("exit");
  child.kill();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
