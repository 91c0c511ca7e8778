// A real browser walks through the example `gateway`: all actions of users and operators, the refusals, and every state
// of the pages, in both languages, on a phone and a desktop.
// Usage: node walk.mjs GATEWAY_BINARY CHROMIUM SCREENSHOT_DIRECTORY

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";
import { DESKTOP, PHONE, Person, check, tally } from "./person.mjs";

const [, , binary, chromium, directory] = process.argv;
mkdirSync(directory, { recursive: true });

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

async function walk(browser, origin) {
  const people = [];
  const signIn = async (name, options) => {
    const person = await Person.signIn(browser, origin, directory, name, options);
    people.push(person);
    return person;
  };

  console.log("Ada connects a service for the first time");
  const ada = await signIn("ada");
  check((await ada.text()).includes("Workspace connection"), "she sees the workspace connections, marked as such");
  await ada.open("/connect");
  check((await ada.page.$$("button.pick")).length === 19, "nineteen services are offered");
  check((await ada.text()).includes("Full access to the data you select there"), "a service without scopes says so");
  await ada.shot("1-connect", { fullPage: true });
  await ada.state("the choice of a service");
  await ada.open("/connect?provider=google-tasks");
  check((await ada.text()).includes("Read only"), "she can allow reading only");
  await ada.shot("2-service");
  await ada.state("one service");
  await ada.open("/connect");
  await ada.choose("google-tasks");
  await ada.allow("ada");
  const url = new URL(ada.page.url());
  check(url.origin === origin && /^\/connections\/[0-9a-f-]{36}$/.test(url.pathname), "she is back at her connection");
  check(!/code|state/.test(url.search), "the code has left the address bar");
  check((await ada.text()).includes("ada@example.test"), "it shows whose account it is");
  await ada.shot("3-connection");
  await ada.state("a connection");
  const connection = url.pathname;
  await ada.click("form[action$='/refresh'] button");
  check((await ada.text()).includes("Refreshed. The new tokens are stored."), "she refreshes it");
  check((await ada.page.$("form[action$='/default']")) === null, "the only connection cannot be made the default");
  await ada.open("/agent");
  check((await ada.text()).includes("Note G"), "an agent works with it");
  await ada.open("/");
  check((await ada.rows()).includes("Google Tasks"), "she sees it in her list");
  await ada.page.keyboard.press("Tab");
  const focused = () => ada.page.evaluate(() => document.activeElement.textContent.trim());
  check((await focused()) === "Skip to the content", "the keyboard reaches the way to the content first");
  await ada.page.keyboard.press("Enter");
  await ada.page.keyboard.press("Tab");
  check((await focused()) === "Connect a service", "and then its first action");

  console.log("Ada reads the pages in Russian and in her time zone");
  await ada.page.setExtraHTTPHeaders({ "Accept-Language": "ru-RU,ru;q=0.9" });
  await ada.page.emulateTimezone("Asia/Tokyo");
  for (const [address, what] of [
    ["/", "her list"],
    ["/connect", "the choice of a service"],
    ["/connect?provider=jira", "a service with parameters"],
    [connection, "a connection"],
    [`${connection}/revoke`, "the question before a revocation"],
    ["/audit", "her audit"],
    ["/consent/denied?provider=gmail", "a consent that was declined"],
    ["/connect/unknown", "a link that is not hers"],
  ]) {
    await ada.open(address);
    const lang = await ada.page.$eval("html", (html) => html.lang);
    check(lang === "ru" && /[а-я]{4}/.test(await ada.text()), `${what} is in Russian`);
    await ada.state(`${what} in Russian`);
  }
  await ada.open(connection);
  check((await ada.text()).includes("Видеть и менять задачи"), "access is explained in words");
  const [shown, told] = await ada.page.$eval(".facts time", (time) => [time.textContent, time.title]);
  check(told.endsWith("UTC") && shown !== told && !shown.endsWith("UTC"), "times are in her zone");
  await ada.shot("4-connection-russian");
  await ada.page.setExtraHTTPHeaders({ "Accept-Language": "en" });

  console.log("Hubert declines, without script, and does not see Ada's connection");
  const hubert = await signIn("hubert", { script: false });
  check(!(await hubert.rows()).includes("Google Tasks"), "Ada's tasks are not in his list");
  const hidden = await hubert.open(connection);
  check(hidden.status() === 404, "Ada's connection does not exist for him");
  await hubert.open("/connect");
  await hubert.choose("gitlab");
  await hubert.click("button[value=deny]");
  check((await hubert.text()).includes("Access was declined"), "the page shows the result, without script");
  check(!hubert.page.url().includes("error="), "the provider's words have left the address bar");

  console.log("Olga manages all connections");
  const olga = await signIn("olga");
  const list = await olga.text();
  check(list.includes("Ada Lovelace") && list.includes("Grace Hopper"), "she sees everybody by name");
  check(/Needs attention \(\d\)/.test(list), "what needs attention comes first");
  check(["Needs consent", "Next attempt at", "Incomplete access"].every((it) => list.includes(it)), "each problem is named");
  const broken = await olga.page.$$eval("img", (images) => images.filter((image) => image.complete && !image.naturalWidth).length);
  check(broken === 0, "every picture is shown");
  await olga.shot("5-list");
  await olga.state("the operator's list");
  await olga.page.setViewport(PHONE);
  await olga.scheme("dark");
  await olga.shot("6-list-phone-dark", { fullPage: true });
  await olga.page.setViewport(DESKTOP);
  await olga.scheme("light");
  await Promise.all([olga.page.waitForNavigation(), olga.page.select("select[name=sort]", "service")]);
  const sorted = await olga.page.$$eval(".section ~ ul.rows h2", (names) => names.map((name) => name.innerText));
  check(sorted.length > 9 && sorted.join() === [...sorted].sort().join(), "she sorts by service");
  await olga.open("/?status=needs_consent&sort=service");
  await Promise.all([olga.page.waitForNavigation(), olga.page.select("select[name=provider]", "oura")]);
  check((await olga.rows()).join() === "Oura Ring", "filters add up");
  check(olga.page.url().includes("status=needs_consent") && olga.page.url().includes("sort=service"), "and stay in the address");
  await olga.open("/?q=ковалевская");
  check((await olga.rows()).length >= 4, "she finds connections by a name in the directory");
  await olga.open("/?q=matches-nothing");
  check((await olga.text()).includes("No connections match"), "an empty search says so");
  await olga.state("an empty search");
  await olga.open("/?kind=workspace");
  check((await olga.rows()).length === 2, "workspace connections have their place");
  await olga.open("/services");
  check((await olga.text()).includes("Only the user can end the access"), "she sees what a provider cannot revoke");
  await olga.shot("7-services", { fullPage: true });
  await olga.state("the services");

  console.log("Only Alan can use a link for Alan");
  await olga.open("/connect");
  await olga.page.type("input[name=user]", "alan");
  await olga.page.waitForSelector("datalist option[value=alan]");
  check(true, "the directory proposes users while she types");
  await olga.open("/connect?provider=gmail");
  // Not typed: the browser's own list of proposals would lie over the button.
  await olga.page.$eval("input[name=user]", (field) => (field.value = "Alan"));
  await olga.click("button[name=provider]");
  check((await olga.text()).includes("Choose the user you mean"), "a part of a name is not enough to make a link");
  await olga.state("a form with a mistake");
  await olga.page.click("input[type=radio][name=user][value=alan]");
  await olga.click("button[name=provider]");
  const link = await olga.page.$eval("#link", (field) => field.value);
  await olga.shot("8-link");
  await olga.state("a link");
  const refused = await hubert.open(link);
  check(refused.status() === 404, "Hubert is refused");
  check((await hubert.text()).includes("You are signed in as Hubert"), "and sees who he is");
  await hubert.shot("9-link-of-another-user");
  await hubert.click("a.button.primary");
  await hubert.page.click("button[value=alan]");
  await hubert.page.waitForSelector("button[name=decision]");
  check(!hubert.page.url().startsWith(origin), "another user signs in, and the link goes on");
  const alan = hubert;
  await alan.allow("alan");
  check((await alan.text()).includes("Gmail"), "Alan connects");
  await alan.open(link);
  check((await alan.text()).includes("alan@example.test"), "opened again, the link leads to the connection");
  await olga.open("/links");
  check((await olga.rows()).length === 2, "the other links are open still");
  await olga.shot("10-links");
  await olga.state("open links");
  await olga.click("form[action$='/withdraw'] button");
  check((await olga.text()).includes("The link was withdrawn."), "she withdraws one");

  console.log("Olga reads the audit and exports it");
  await olga.open("/audit?user=alan&provider=gmail");
  check((await olga.page.$$(".trail li")).length >= 3, "she finds what Alan did");
  await olga.shot("11-audit");
  await olga.state("the audit");
  const csv = await olga.page.evaluate(async () => {
    const answer = await fetch("/audit.csv?user=alan");
    return [answer.headers.get("content-disposition"), await answer.text()];
  });
  check(csv[0].includes("audit.csv") && csv[1].includes('"consent_completed","gmail"'), "and takes it with her");

  console.log("Olga revokes everything of Sofia");
  await olga.open("/?user=sofia");
  await olga.click("p.chosen a[href*='/revoke?user=sofia']");
  const preview = await olga.text();
  check(/Revoke \d connections/.test(preview) && preview.includes("Софья Ковалевская"), "a preview says what it will do");
  await olga.shot("12-revoke-all");
  await olga.state("the preview");
  await olga.click("button.danger.solid");
  check(/\d connections revoked/.test(await olga.text()), "the result says what was done");
  await olga.state("the result");
  await olga.open(connection);
  await olga.click("a.danger");
  await olga.state("the question before one revocation");
  await olga.click("button.danger.solid");
  const result = await olga.text();
  check(result.includes("Erased") && result.includes("has confirmed the revocation"), "one revocation says both outcomes");
  await olga.state("its result");
  await olga.open(connection);
  check((await olga.page.$("form[action$='/refresh']")) === null, "a revoked connection offers no refresh");
  await ada.open("/agent");
  check((await ada.text()).includes("Give access"), "the agent has to ask Ada again");

  console.log("Radia connects two services by one consent, without script, and signs out midway");
  const radia = await signIn("radia", { script: false });
  await radia.open("/connect?provider=google-drive");
  await radia.page.click(".fold summary");
  await radia.page.click("input[name=also][value=youtube]");
  await radia.click("button[name=provider]");
  await radia.page.waitForSelector("button[name=decision]");
  await radia.allow("radia");
  check(/Shares its consent with\s+YouTube/.test(await radia.text()), "two services came by one consent");
  await radia.open("/connect?provider=todoist");
  const cookies = await radia.page.cookies();
  await radia.page.deleteCookie(...cookies.filter((cookie) => cookie.name === "session"));
  await radia.click("button[name=provider]");
  check(radia.page.url().includes("/sign-in?return_to="), "a form without a session leads to the sign-in");
  await radia.click("button[value=radia]");
  check(radia.page.url().endsWith("/connect?provider=todoist"), "and back to the form");

  console.log("The list stands in a page of the host");
  await ada.open("/portal");
  const frame = await ada.page.waitForFrame((frame) => frame.url().endsWith("/embed/connections"));
  await frame.waitForSelector(".valetkey h2");
  check((await frame.$("header.top")) === null, "without the head of the gateway's own pages");
  await ada.open("/");
  const markup = await ada.page.evaluate(async () => (await fetch("/fragments/connections")).text());
  check(markup.trimStart().startsWith('<div class="valetkey"'), "or as markup");

  check(people.every((person) => person.complaints.length === 0), `no console complained ${people.flatMap((it) => it.complaints).join(" | ")}`);
  check(people.every((person) => person.foreign.length === 0), `nothing was requested elsewhere ${people.flatMap((it) => it.foreign).join(" | ")}`);
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
  tally.failed += 1;
  console.log(`  FAIL  ${error.stack}`);
} finally {
  await browser?.close();
  child.removeAllListeners("exit");
  child.kill();
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed === 0 ? 0 : 1);
