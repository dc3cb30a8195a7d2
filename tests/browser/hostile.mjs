// SPDX-License-Identifier: Apache-2.0
// What a page of another site, a name that points here, a used link and a guesser try in a browser that has logged in; and a
// coordinator that says names, labels, experiments, metrics and alerts which would be HTML. Arguments: as tools.mjs says.
import { createServer } from "node:http";
import { join } from "node:path";
import { check, finish, launch, pictures, run, said, serve, show } from "./tools.mjs";

const markup = (word) => `"><img src=x onerror=alert('${word}')><script>alert('${word}')</script>{{7*7}}\u202e`;

/** The news, with markup in the place of all that people or nodes name. */
function hostile(text) {
  const news = JSON.parse(text);
  for (const node of news.nodes ?? []) Object.assign(node, { name: markup("node") + node.node, labels: [markup("label")], software: markup("software"),
    endpoint: markup("endpoint") });
  for (const job of (news.jobs ?? []).concat(news.job ?? [])) Object.assign(job, { name: markup("experiment"), warnings: [markup("warning")] });
  for (const event of news.events ?? []) Object.assign(event, { text: markup("event"), node: markup("node") });
  for (const member of news.members ?? []) Object.assign(member, { name: markup("node"), metrics: { [markup("metric")]: 1, loss: 2 } });
  if (news.status) Object.assign(news.status, { warnings: [markup("warning")], alerts: [{ text: markup("alert"), rule: markup("rule"), node: markup("node"),
    job: 1, raised_unix_ms: 1 }] });
  return JSON.stringify(news);
}

async function injection(browser, link) {
  const page = await browser.newPage();
  show(page);
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push("a script ran: " + dialog.message());
    void dialog.dismiss();
  });
  await page.routeWebSocket(/live$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => socket.send(hostile(message)));
    socket.onMessage((message) => server.send(message));
  });
  await page.goto(link);
  await page.locator(".fresh.live").waitFor();
  for (const place of ["#/", "#/nodes", "#/node/" + encodeURIComponent(markup("node") + "0"), "#/jobs", "#/job/1", "#/events"]) {
    await page.evaluate((to) => { location.hash = to; }, place);
    await page.locator("h1").waitFor();
    await page.getByText("onerror").first().waitFor();
    await page.waitForTimeout(300);
    check(place + ": no element was made of a name", (await page.locator("main img, main script").count()) === 0);
  }
  await page.screenshot({ path: join(pictures, "hostile.png"), fullPage: true });
  check("nothing ran: " + wrong.join("; "), wrong.length === 0);
  await page.close();
}

/** What a page of another origin gets, whose requests take the cookie along: cookies know no ports. */
async function other_site(browser, context, origin) {
  const evil = createServer((request, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>evil</title>"));
  await new Promise((ready) => evil.listen(0, "127.0.0.1", ready));
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${evil.address().port}/`);
  const got = await page.evaluate(async (to) => {
    const tried = {};
    const read = (path, how) => fetch(to + path, { credentials: "include", ...how }).then((answer) => answer.text()).catch(() => "refused");
    tried.read = await read("/api/v1/status", {});
    tried.plain = await read("/api/v1/jobs/1/pause", { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: "{}" });
    tried.json = await read("/api/v1/jobs/1/pause", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
    tried.login = await read("/api/v1/session", { method: "POST", mode: "no-cors", body: "{}" });
    tried.socket = await new Promise((done) => {
      const socket = new WebSocket(to.replace("http", "ws") + "/api/v1/live");
      socket.onopen = () => done("open");
      socket.onerror = () => done("refused");
    });
    tried.script = await new Promise((done) => {
      const script = document.createElement("script");
      script.onload = () => done("loaded");
      script.onerror = () => done("refused");
      script.src = to + "/app.js";
      document.head.append(script);
    });
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: to + "/api/v1/jobs/1/pause", enctype: "text/plain", target: "frame" });
    const frame = document.createElement("iframe");
    frame.name = "frame";
    document.body.append(frame, form);
    form.submit();
    await new Promise((done) => setTimeout(done, 500));
    return tried;
  }, origin);
  check("what another site reads: " + JSON.stringify(got), got.read === "refused" && got.json === "refused" && got.socket === "refused" && got.script === "refused");
  check("nothing was paused", JSON.parse(run("status", "1", "--json")).state !== "paused");
  await page.close();
  evil.close();
}

async function main() {
  run("init", "--listen", "tcp://127.0.0.1:0", "--metrics", "off");
  run("admit", "kitchen", "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c", "--label", "board");
  const server = serve("tcp://127.0.0.1:0", "127.0.0.1:0");
  const link = /(http\S+#login=[\w-]+)/.exec(await said(server, "web"))[1], origin = new URL(link).origin;
  run("run", "fleet-navigation-server", "--set", "policy.hidden=[8]");
  const browser = await launch("--host-resolver-rules=MAP evil.example 127.0.0.1");
  await injection(browser, run("token", "link", "--role", "admin", "--json").match(/http[^"]+/)[0]);

  const context = await browser.newContext(), page = await context.newPage();
  show(page);
  await page.goto(link);
  await page.locator(".fresh.live").waitFor();
  await other_site(browser, context, origin);

  // A name of somebody's that points here (rebinding).
  const rebound = await context.newPage();
  const answer = await rebound.goto(origin.replace("127.0.0.1", "evil.example") + "/");
  check("a name that points here is refused", answer.status() === 421);
  check("and reads nothing", (await rebound.evaluate(() => fetch("/api/v1/status").then((told) => told.status))) === 421);
  await rebound.close();

  // A link that was used, in another browser; and a cookie after its session has ended.
  const other = await browser.newContext(), again = await other.newPage();
  await again.goto(link);
  await again.locator("#token").waitFor();
  check("a used link says so", (await again.locator(".toast").innerText()).includes("was used"));
  const cookies = await context.cookies();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await page.locator("#token").waitFor();
  await other.addCookies(cookies);
  await again.goto(origin + "/");
  await again.locator("#token").waitFor();
  check("a cookie of before opens nothing", (await again.evaluate(() => fetch("/api/v1/status").then((told) => told.status))) === 401);

  // Who guesses is told to wait, and whoever has a token is let in all the same.
  const guesses = await again.evaluate(async () => {
    const told = [];
    for (let k = 0; k < 30; ++k)
      told.push((await fetch("/api/v1/session", { method: "POST", body: "{}", headers: { Authorization: "Bearer dunlin_" + k } })).status);
    return told;
  });
  check("guesses: " + guesses.join(" "), guesses.includes(429) && !guesses.includes(200));
  await again.locator("#token").fill("dunlin_guess");
  await again.getByRole("button", { name: "Log in", exact: true }).click();
  await again.getByText("too many wrong tokens").waitFor();
  await again.locator("#token").fill(run("token", "create", "--role", "view").trim());
  await again.getByRole("button", { name: "Log in", exact: true }).click();
  await again.locator(".fresh.live").waitFor();
  await browser.close();
}

await finish(main);
