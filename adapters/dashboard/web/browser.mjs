// Drives the page in a real browser, for the contract tests:
//   node browser.mjs demo  URL TOKEN [PICTURES]   against `ebb demo`
//   node browser.mjs world URL TOKEN [PICTURES]   against 1,000 instances in memory, with a wizard
//   node browser.mjs tls   URL TOKEN [PICTURES]   over TLS of an authority that nobody knows, looking with
//     EBB_USER and EBB_PASSWORD, by the protocol EBB_PROTOCOL (h2 or http/1.1)
//   node browser.mjs restart URL TOKEN [PICTURES]   against a server that POST /_test/restart?listen=…&name=…
//     ends and starts again, as if it listened there, with the one autoscaler of that name; with &full its disk is
// It prints what it did, and exits 1 with the reason when the page does not do it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [mode, url, token, pictures] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.EBB_CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

const say = (text) => console.log(text);
const faults = [];
// patience is how many milliseconds something is waited for that comes at once on a
// machine that has nothing else to do.
const patience = 120_000;
// What is refused on purpose is logged by the browser too.
const quiet = mode === "restart" ? /status of 40[14]|ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE/ : /status of (401|409|422)/;

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.on("pageerror", (e) => faults.push(`error on ${path}: ${e.message}`));
  page.on("console", (m) => {
    if (m.type() === "error" && !quiet.test(m.text())) faults.push(`console on ${path}: ${m.text()}`);
  });
  page.on("request", (r) => {
    if (!r.url().startsWith(url) && !/^(data|blob):/.test(r.url())) faults.push(`${path} asks elsewhere: ${r.url()}`);
  });
  await page.addInitScript(() => {
    window.shift = 0;
    window.shifted = []; // what moved, and how far
    const named = (n) => (n ? (n.id ? "#" + n.id : n.className ? "." + n.className : n.nodeName) : "something");
    const moved = (s) => `${named(s.node)} from ${s.previousRect.y.toFixed()} to ${s.currentRect.y.toFixed()}, ${s.previousRect.height.toFixed()} to ${s.currentRect.height.toFixed()} high`;
    // The browser passes over what moves within half a second of an input; a busy
    // machine is slower than that to show what was asked for.
    let touched = -Infinity;
    for (const kind of ["pointerdown", "keydown", "input"]) addEventListener(kind, () => (touched = performance.now()), true);
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) {
        if (e.hadRecentInput || e.startTime - touched <= 5000) continue;
        window.shift += e.value;
        window.shifted.push(`${e.value.toFixed(3)} after ${e.startTime.toFixed()} ms: ${e.sources.map(moved).join("; ")}`);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(url + path);
  return page;
}

async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const bad = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
  for (const v of bad) faults.push(`axe on ${where}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any?.[0]?.message ?? ""}`).join(" | ")}`);
  say(`axe on ${where}: ${found.violations.length} findings, ${bad.length} serious`);
}

async function picture(page, name, fullPage = false) {
  if (pictures) await page.screenshot({ path: join(pictures, name + ".png"), fullPage });
}

const rows = (page) => page.locator("#instances tbody tr:not(.space) .col-id .cell-button").allInnerTexts();

async function until(what, seconds, so) {
  seconds += patience / 1000;
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await so();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} did not come within ${seconds} s`);
    await new Promise((done) => setTimeout(done, 150));
  }
}

async function signIn(page, text) {
  await page.locator("dialog input[type=password]").fill(text);
  await page.locator("dialog button[type=submit]").click();
}

// noShift holds what moves without being asked: nothing to speak of while the page
// loads, little over a minute in which rows come and go and reasons change.
async function noShift(page, where, most) {
  const shift = await page.evaluate(() => window.shift);
  say(`layout shift on ${where}: ${shift.toFixed(3)}`);
  if (shift > most) faults.push(`${where} shifts by ${shift}: ${(await page.evaluate(() => window.shifted)).join(" | ")}`);
}

async function demo() {
  const page = await open("/");
  await page.waitForURL(/\/a\/demo$/); // the only one is opened at once
  await page.locator(".live.on").waitFor();
  const first = await until("an instance", 60, async () => {
    const now = await rows(page);
    return now.length > 0 && now;
  });
  say(`${first.length} instances at first`);
  const seen = new Set(first);
  await until("one more instance, and the end of one", 60, async () => {
    const now = await rows(page);
    now.forEach((id) => seen.add(id));
    return seen.size > first.length && now.length < seen.size;
  });
  say(`${seen.size} instances seen, some gone`);
  await picture(page, "dashboard-demo");

  await page.locator("#queues .cell-button").first().click();
  await page.locator("dialog .summary").waitFor();
  const summary = await page.locator("dialog .summary").innerText();
  assert.match(summary, /queue/);
  await picture(page, "dashboard-explain");
  say(`explained: ${summary}`);
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });

  const refused = await page.evaluate(async () => {
    const r = await fetch("/api/v1/autoscalers/demo/idle", { method: "POST", headers: { "X-Ebb-Page": "1" }, body: "{}" });
    return [r.status, await r.json()];
  });
  assert.equal(refused[0], 401);
  assert.match(refused[1].error, /token/);
  say("refused without the token");

  await until("an instance to open", 60, async () => (await rows(page)).length > 0);
  await page.locator("#instances tbody .cell-button").first().click();
  const id = await page.locator("dialog h2").innerText();
  await page.getByRole("button", { name: "Drain…" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, "not-the-token-at-all");
  await page.locator("dialog [role=alert]").waitFor();
  say("a wrong token is refused");
  await signIn(page, token);
  await drain(page, id);
  await page.locator("#instances input[type=search]").fill("");
  await accessible(page, "demo");
  await noShift(page, "demo", 0.1);
  await realWizard();
}

// drain lets the instance go whose dialog was open, or another one if it has gone
// meanwhile: the demo's clock is fast.
async function drain(page, id) {
  for (let attempt = 0; attempt < 5; attempt++) {
    const go = page.getByRole("button", { name: "Drain", exact: true });
    const asked = await go.waitFor({ timeout: 15_000 }).then(
      () => true,
      () => false,
    );
    if (asked) {
      await go.click();
      const done = await page.locator("dialog").waitFor({ state: "detached", timeout: 15_000 }).then(
        () => true,
        () => false,
      );
      if (done) {
        await until(`the drain of ${id} in the log`, 60, async () =>
          (await page.locator("#log .line", { hasText: id }).filter({ hasText: /drain|terminat|gone/ }).count()) > 0);
        say(`drained ${id}`);
        return;
      }
      await page.keyboard.press("Escape");
    }
    await until("another instance", 60, async () => (await rows(page)).length > 0);
    await page.locator("#instances tbody .cell-button").last().click();
    id = await page.locator("dialog h2").innerText();
    await page.getByRole("button", { name: "Drain…" }).click();
  }
  throw new Error("no instance could be drained");
}

async function world() {
  const list = await open("/");
  await list.locator(".card").first().waitFor();
  assert.equal(await list.locator(".card").count(), 2);
  const numbers = async (card) => Object.fromEntries(await card.locator(".numbers > div").evaluateAll((all) => all.map((d) => [d.querySelector("dt").innerText, Number(d.querySelector("dd").innerText)])));
  const first = await numbers(list.locator(".card").first());
  assert.equal(first.running, first.busy + first.idle + first.booting + (first.going ?? 0), `of what runs some is not told: ${JSON.stringify(first)}`);
  await accessible(list, "the list");
  await picture(list, "dashboard-list");

  const page = await open("/a/prod");
  await page.locator("#instances tbody .cell-button").first().waitFor();
  await page.waitForTimeout(3000);
  await noShift(page, "prod", 0.05);
  await accessible(page, "prod");
  const drawn = await page.locator("#instances tbody tr").count();
  assert.ok(drawn < 60, `${drawn} rows are drawn`);
  await smooth(page);
  await prompt(page);
  await keyboard(page);
  await force(page);

  const dark = await open("/a/prod", { colorScheme: "dark" });
  await dark.locator("#instances tbody .cell-button").first().waitFor();
  await dark.waitForTimeout(2500);
  await dark.locator("#queues").scrollIntoViewIfNeeded();
  await accessible(dark, "prod, dark");
  await picture(dark, "dashboard-dark");

  const phone = await open("/a/prod", { viewport: { width: 360, height: 760 }, hasTouch: true, isMobile: true });
  await phone.locator("#instances tbody .cell-button").first().waitFor();
  await phone.waitForTimeout(1500);
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
  await accessible(phone, "prod, phone");
  await picture(phone, "dashboard-phone");
  await wizard();
  await clone(page);
}

// smooth scrolls through 1,000 rows: only those that are seen are drawn, in every frame.
// How long a frame takes is told, and not judged: that is the machine's.
async function smooth(page) {
  const frames = await page.evaluate(async () => {
    const box = document.querySelector("#instances .scroll");
    const took = [];
    let most = 0;
    let last = performance.now();
    for (let i = 0; i < 90; i++) {
      box.scrollTop += 340;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      took.push(now - last);
      last = now;
      most = Math.max(most, box.querySelectorAll("tbody tr").length);
    }
    const blank = box.getBoundingClientRect().height - [...box.querySelectorAll("tbody tr:not(.space)")].length * 34 > 0;
    box.scrollTop = 0;
    return { took: took.sort((a, b) => a - b), blank, most };
  });
  const [p50, p95] = [0.5, 0.95].map((share) => frames.took[Math.floor(frames.took.length * share)]);
  say(`scrolling 30,000 pixels: p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms a frame`);
  assert.ok(frames.most < 60, `${frames.most} rows are drawn while scrolling`);
  assert.ok(!frames.blank, "rows were missing after scrolling");
}

// prompt measures how old an event is when it is on the page. A machine can stand still
// for a while, so rounds are made until one is good.
async function prompt(page) {
  await until("events on the page within 500 ms (p99)", 60, async () => {
    const ages = await page.evaluate(async () => {
      const ages = [];
      const seen = new MutationObserver((changes) => {
        const now = Date.now();
        for (const line of changes.flatMap((c) => [...c.addedNodes])) ages.push(now - Date.parse(line.querySelector("time").dateTime));
      });
      seen.observe(document.querySelector("#log .log"), { childList: true });
      await new Promise((done) => setTimeout(done, 5000));
      seen.disconnect();
      return ages.sort((a, b) => a - b);
    });
    const [p50, p99] = [0.5, 0.99].map((share) => ages[Math.floor((ages.length - 1) * share)]);
    say(`${ages.length} events on the page: p50 ${p50} ms, p99 ${p99} ms after they happened`);
    return ages.length >= 50 && p99 <= 500;
  });
}

async function keyboard(page) {
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "filter");
  await page.keyboard.type("spot busy");
  await until("a filtered table", 60, async () => /of 1000/.test(await page.locator("#instances .count").innerText()));
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.locator("#filter").blur();
  const fresh = await open("/a/prod");
  await fresh.locator("#instances tbody .cell-button").first().waitFor();
  await fresh.keyboard.press("Tab");
  assert.equal(await fresh.evaluate(() => document.activeElement.className), "skip", "the first stop of Tab skips to the content");
  await fresh.close();
  say("by keyboard alone");
}

// force kills an instance only after its id was typed. Instances come and go: one that
// has gone meanwhile is given up for another.
async function force(page) {
  for (let attempt = 0; attempt < 5; attempt++) {
    await page.locator("#instances tbody .cell-button").nth(attempt).click();
    const id = await page.locator("dialog h2").innerText();
    const open = await page.getByRole("button", { name: "Drain…" }).click({ timeout: 15_000 }).then(
      () => true,
      () => false,
    );
    if (open && attempt === 0) await signIn(page, token);
    if (open && (await killed(page, id))) return;
    say(`${id} cannot be killed any more`);
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.locator("#filter").fill("");
  }
  throw new Error("no instance could be killed");
}

// killed tells whether it was there to be killed, in the dialog that is open.
async function killed(page, id) {
  const asked = await page.getByRole("heading", { name: `Drain ${id}` }).waitFor({ timeout: 15_000 }).then(
    () => true,
    () => false,
  );
  if (!asked) return false;
  await page.locator("dialog input[type=checkbox]").check();
  const kill = page.getByRole("button", { name: "Kill it now" });
  assert.ok(await kill.isDisabled(), "it can be killed unconfirmed");
  await page.locator("dialog input:not([type=checkbox])").fill(id);
  await kill.click();
  const done = await page.locator("dialog").waitFor({ state: "detached", timeout: 15_000 }).then(
    () => true,
    () => false,
  );
  if (!done) return false;
  await page.locator("#filter").fill(id);
  await until("its end", 60, async () =>
    /terminating/.test(await page.locator("#instances tbody").innerText()) ||
    (await page.locator("#log .line", { hasText: id }).filter({ hasText: /terminat|gone/ }).count()) > 0);
  await page.locator("#filter").fill("");
  const cookies = await page.context().cookies();
  assert.ok(cookies.every((c) => c.httpOnly && c.sameSite === "Strict"), "the cookie can be read");
  assert.ok(!(await page.content()).includes(token), "the page holds the token");
  say(`killed ${id} after its id was typed`);
  return true;
}

// realWizard reads the example of the documentation and gets it back.
async function realWizard() {
  const page = await open("/new");
  await page.locator("summary").click();
  await page.locator("input[type=file]").setInputFiles(fileURLToPath(new URL("../../../deployments/examples/ebb.yaml", import.meta.url)));
  await page.getByText("ebb.yaml is read").waitFor();
  await page.getByRole("button", { name: "AWS", exact: true }).click();
  const region = page.getByLabel(/^Region/);
  const right = await region.inputValue();
  assert.match(right, /^[a-z]+-[a-z]+-[0-9]$/);
  await region.fill("");
  await region.blur();
  await page.locator(".field-wrong p").first().waitFor();
  await region.fill(right);
  await page.getByRole("button", { name: /^Compute resource/ }).first().click();
  await page.waitForTimeout(600);
  await accessible(page, "the wizard of the demo");
  await picture(page, "dashboard-wizard");
  await page.getByRole("button", { name: "Review" }).click();
  await page.locator("pre.yaml").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download ebb.yaml" }).click()]);
  const text = await readFile(await download.path(), "utf8");
  assert.match(text, new RegExp(`region: ${right}`));
  say(`imported the example and downloaded it again, ${text.length} characters`);
}

async function wizard() {
  const page = await open("/new");
  await page.getByRole("heading", { name: "New configuration" }).waitFor();
  const region = page.getByLabel(/^Region/);
  await page.getByRole("button", { name: "AWS" }).click();
  await region.fill("mars");
  await region.blur();
  await page.locator(".field-wrong", { hasText: "not the name of a region" }).waitFor();
  assert.equal(await region.getAttribute("aria-invalid"), "true");
  await accessible(page, "the wizard");
  await page.locator("summary").click();
  await page.locator("input[type=file]").setInputFiles({
    name: "mine.yaml",
    mimeType: "text/yaml",
    buffer: Buffer.from("autoscalers[0].name: imported\nautoscalers[0].aws.region: us-east-1\nautoscalers[0].clearml.api_server: https://api.x\n"),
  });
  await page.getByText("3 values taken over").waitFor();
  await page.getByRole("button", { name: "Review" }).click();
  await page.getByText("The configuration is sound.").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download ebb.yaml" }).click()]);
  const text = await readFile(await download.path(), "utf8");
  assert.match(text, /autoscalers\[0\]\.name: imported/);
  say("imported a file in the wizard and downloaded it again");
}

// clone begins with an autoscaler that runs, and applies what came of it, on a page that
// is signed in.
async function clone(page) {
  await page.getByRole("button", { name: "Clone" }).click();
  await page.getByRole("heading", { name: "Clone of prod" }).waitFor();
  await page.getByText("is not shown here and is unset").waitFor();
  await page.getByRole("button", { name: "Review" }).click();
  await page.locator(".wrong li", { hasText: "autoscalers[0].clearml.secret_key is missing" }).waitFor();
  assert.ok(!/secret_key/.test(await page.locator("pre.yaml").innerText()), "something is put in the place of a secret that was not told");
  assert.ok(!/max_idle_time/.test(await page.locator("pre.yaml").innerText()), "a default that nobody has set is written");
  await page.getByRole("button", { name: "ClearML server" }).click();
  await page.getByLabel(/^Secret key/).fill("${FILE:/run/sec}");
  await page.getByRole("button", { name: "Review" }).click();
  await page.getByText("The configuration is sound.").waitFor();
  await page.getByText("takes the place of prod in the configuration file: for one more autoscaler beside it write another name").waitFor();
  await page.getByRole("button", { name: "The autoscaler" }).click();
  await page.getByLabel(/^Name/).fill("prod-copy");
  await page.getByRole("button", { name: "Review" }).click();
  for (const told of ["adds prod-copy to the configuration file; a new autoscaler begins at the next start", "leaves prod as it is", "leaves research as it is"])
    await page.getByText(told).waitFor();
  await page.getByRole("button", { name: "Apply to this ebb…" }).click();
  const dialog = page.locator("dialog");
  for (const told of ["max_idle_time: 15m → 7m", "added; it begins at the next start", "comments in the file are lost", "/etc/ebb/ebb.yaml.before"])
    await dialog.getByText(told).first().waitFor();
  await accessible(page, "the question before applying");
  await picture(page, "dashboard-apply");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(await page.getByText("Applied.").count(), 0, "it was applied unasked");
  await page.getByRole("button", { name: "Apply to this ebb…" }).click();
  await dialog.getByRole("button", { name: "Apply", exact: true }).click();
  await page.getByText("Applied.").waitFor();
  await page.getByText("/etc/ebb/ebb.yaml.before").waitFor();
  say("cloned an autoscaler, saw what applying it changes, and applied it");
}

// tls signs in to look and once more to act, and holds a stream for longer than an
// answer may take that is none.
async function tls() {
  const strict = await (await browser.newContext()).newPage();
  await assert.rejects(strict.goto(url), /ERR_CERT_AUTHORITY_INVALID/);
  say("an authority that nobody knows is refused");

  const { EBB_USER: user, EBB_PASSWORD: password, EBB_PROTOCOL: protocol } = process.env;
  const page = await open("/a/prod", { ignoreHTTPSErrors: true });
  const streams = [];
  page.on("request", (r) => r.url().endsWith("/stream") && streams.push(Date.now()));
  await page.getByRole("heading", { name: "Sign in to look" }).waitFor();
  assert.deepEqual(await basic(page, user, "not-the-password"), [401, 401]);
  assert.deepEqual(await basic(page, user, password), [200, 401]);
  say("a password looks, and does not act");

  await page.locator("main").getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: /^Use a user and password/ }).click();
  await page.getByLabel("User").fill(user);
  await signIn(page, password);
  await page.locator(".live.on").waitFor();
  await until("the instances", 60, async () => (await rows(page)).length > 0);
  const spoken = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
  assert.equal(spoken, protocol);
  await picture(page, `dashboard-tls-${protocol.replace("/", "")}`);

  await page.locator("#instances tbody .cell-button").first().click();
  const id = await page.locator("dialog h2").innerText();
  const refused = await page.evaluate(async (instance) => {
    const r = await fetch("/api/v1/autoscalers/prod/drain", { method: "POST", headers: { "X-Ebb-Page": "1" }, body: JSON.stringify({ instance }) });
    return [r.status, await r.json()];
  }, id);
  assert.equal(refused[0], 401);
  assert.match(refused[1].error, /token/);
  await page.getByRole("button", { name: "Drain…" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, token);
  await drain(page, id);
  const cookies = await page.context().cookies();
  assert.deepEqual(cookies.map((c) => [c.name, c.secure, c.httpOnly, c.sameSite]), [["__Host-ebb_session", true, true, "Strict"]]);
  say(`refused without the token and allowed with it, by ${spoken}`);

  const opened = streams.at(-1);
  const seen = () => page.locator("#log .line").last().innerText();
  await until("a stream as long as no answer may be", 60, async () => Date.now() - opened > 35_000);
  const last = await seen();
  await until("a change after half a minute", 60, async () => (await seen()) !== last);
  assert.equal(streams.at(-1), opened, "the stream was opened again");
  await page.locator(".live.on").waitFor();
  say(`the stream lives after ${Math.round((Date.now() - opened) / 1000)} s`);
}

// basic is what reading and acting are answered with a user and a password.
async function basic(page, user, password) {
  const headers = { Authorization: "Basic " + Buffer.from(`${user}:${password}`).toString("base64") };
  const read = await page.request.get(url + "/api/v1/autoscalers", { headers });
  const act = await page.request.post(url + "/api/v1/autoscalers/prod/idle", { headers, data: {} });
  return [read.status(), act.status()];
}

// restart looks what a page makes of an ebb that was started again.
async function restart() {
  const again = async (query) => {
    const done = await fetch(`${url}/_test/restart?${query}`, { method: "POST" });
    assert.equal(done.status, 204);
  };
  const head = (name) => page.locator("header").getByRole("button", { name, exact: true });
  const page = await open("/a/%E0%A4");
  await page.getByText("there is no autoscaler of this name here").waitFor();
  say("an address that cannot be decoded is a page");

  await page.goto(url + "/a/prod");
  await page.locator(".live.on").waitFor();
  await page.getByRole("link", { name: "New configuration…" }).click();
  await page.getByRole("heading", { name: "New configuration" }).waitFor();
  await page.goBack();
  await page.locator(".live.on").waitFor();
  say("a new configuration can be begun where there is one autoscaler");

  await head("Sign in").click();
  await page.locator("dialog").getByText("/var/lib/ebb/http-token").waitFor();
  await signIn(page, token);
  await head("Sign out").waitFor();
  await again("listen=127.0.0.1&name=prod");
  await head("Sign in").waitFor();
  await page.locator(".live.on").waitFor();
  await page.getByRole("button", { name: "Pause…" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, token);
  await page.getByRole("heading", { name: "Pause prod" }).waitFor();
  await page.keyboard.press("Escape");
  say("the session of the last process is not used any more, and a new one is asked for");

  await page.locator("#queues .cell-button").first().click();
  const asked = page.locator("dialog .buttons .muted");
  await asked.waitFor();
  const first = await asked.innerText();
  await page.waitForTimeout(2500);
  assert.equal(await asked.innerText(), first, "the time of the answer goes on");
  await page.keyboard.press("Escape");

  await again("listen=127.0.0.1&name=prod&full");
  await page.locator(".banner.error", { hasText: "Disk: the disk of state_dir is full. What to do: make room on it." }).waitFor();
  assert.equal(await page.getByText("acts for it").count(), 0, "who acts is not what is wrong");
  await accessible(page, "prod with a full disk");
  await page.goto(url + "/");
  await page.locator(".banner.error", { hasText: "the disk of state_dir is full" }).waitFor();
  await page.goto(url + "/a/prod");
  say("the page tells what is wrong, and what to do");

  await again("listen=0.0.0.0&name=prod");
  await page.getByRole("heading", { name: "Sign in to look" }).waitFor();
  await page.locator("main").getByRole("button", { name: "Sign in" }).click();
  await page.locator("dialog input[type=password]").waitFor();
  assert.equal(await page.getByText("/var/lib/ebb").count(), 0, "another machine is told where the token is");
  await signIn(page, token);
  await page.locator(".live.on").waitFor();
  say("where looking needs the token, the page asks for it");

  await again("listen=127.0.0.1&name=another");
  await page.getByText("there is no autoscaler of this name here").waitFor();
  assert.equal(await page.locator("#instances").count(), 0, "what is not there any more is shown");
  say("an autoscaler that is not configured any more is not shown");
  await again("listen=127.0.0.1&name=still");
  await results(page);
}

// results looks that what was done is told, and that what cannot be done is not offered:
// of an autoscaler in which nothing else happens.
async function results(page) {
  const dialog = page.locator("dialog");
  await page.goto(url + "/a/still");
  await page.locator(".live.on").waitFor();
  await page.getByRole("button", { name: "Reload…" }).click();
  await signIn(page, token);
  await dialog.getByRole("button", { name: "Reload" }).click();
  await dialog.getByText("Nothing that runs has changed.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();

  const idleNow = async () => Number(await page.locator(".tile", { hasText: "idle" }).locator(".value").innerText());
  const idle = await idleNow();
  assert.ok(idle > 0, "nothing is idle in the test");
  await page.getByRole("button", { name: "Shut down idle…" }).click();
  await dialog.getByText(`${idle} instance`).waitFor();
  const go = dialog.getByRole("button", { name: "Shut down idle instances" });
  await go.click();
  await dialog.getByText(/^[0-9]+ instances? (is|are) asked to stop taking work/).waitFor();
  assert.equal(await dialog.locator("code").count(), idle);
  await accessible(page, "the result of shutting down idle instances");
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await until("the end of the last idle instance", 60, async () => (await idleNow()) === 0);
  await page.getByRole("button", { name: "Shut down idle…" }).click();
  await dialog.getByText("there is nothing to shut down").waitFor();
  assert.ok(await go.isDisabled(), "nothing can be shut down");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  say("the result of a reload and of shutting down idle instances is told");
}

let status = 0;
try {
  await { demo, world, tls, restart }[mode]();
} catch (e) {
  faults.push(e.stack);
  for (const context of browser.contexts())
    for (const page of context.pages()) await page.screenshot({ path: `${process.env.EBB_FAULTS || "/tmp"}/ebb-browser-${context.pages().indexOf(page)}.png` }).catch(() => undefined);
}
await browser.close();
for (const fault of faults) {
  console.error(fault);
  status = 1;
}
process.exit(status);
