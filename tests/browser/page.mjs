// SPDX-License-Identifier: Apache-2.0
// The fleet's page in Debian's Chromium, at 1280 and 390 pixels: every view, what axe finds, actions that are clicked
// through, names that would be HTML, a coordinator that goes and comes back. Arguments: as tools.mjs says.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { check, check_axe, ended, finish, folder, launch, node_program, pictures, run, said, serve, show, start } from "./tools.mjs";

async function main() {
  run("init", "--listen", "tcp://127.0.0.1:0", "--metrics", "off");
  const names = ["<img/src=x/onerror=alert(1)>", "kitchen"];
  const folders = ["first", "second"];
  names.forEach((name, k) => {
    const made = spawnSync(node_program, ["init", "--dir", folders[k], "--json"], { cwd: folder, encoding: "utf8" });
    run("admit", name, JSON.parse(made.stdout).public_key, "--label", "board");
  });
  writeFileSync(join(folder, "store/alerts.toml"), "[[alert]]\nwhen = \"node disk > 0\"\n", { mode: 0o600 });
  let server = serve("tcp://127.0.0.1:0", "127.0.0.1:0");
  const link = /(http\S+#login=[\w-]+)/.exec(await said(server, "web"))[1];
  const told = JSON.parse(run("status", "--json"));
  names.forEach((name, k) => start(node_program, ["run", "--dir", folders[k], "--name", name, "--join", told.endpoint, "--server-key", told.server_key]));
  run("wait", "--for=nodes=2", "--timeout", "60");
  const job = run("run", "fleet-navigation-server", "--set", "policy.hidden=[8]", "--set", "report.adaptations=1", "--set", "method.rounds=100000", "--json");
  const number = JSON.parse(job).job;

  const browser = await launch();
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  show(page);
  const wrong = [], foreign = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    // While nobody serves the browser says so by itself.
    if (message.type() === "error" && !/ERR_CONNECTION|WebSocket|401/.test(message.text())) wrong.push(`${message.text()} (${message.location().url}:${message.location().lineNumber})`);
  });
  page.on("dialog", (dialog) => {
    wrong.push("a script of a name ran: " + dialog.message());
    void dialog.dismiss();
  });
  const origin = new URL(link).origin;
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) foreign.push(request.url());
  });
  await page.goto(link);
  await page.locator(".fresh.live").waitFor();
  check("the code is gone from the address", !page.url().includes("login"));
  check("the session cannot be read by scripts", (await page.evaluate(() => document.cookie)) === "");

  await page.getByText("disk of kitchen is").first().waitFor();
  check("an alert is on the page", (await page.locator("h2", { hasText: "Alerts" }).count()) === 1);

  const places = [["fleet", "#/"], ["nodes", "#/nodes"], ["node", "#/node/" + encodeURIComponent(names[0])], ["jobs", "#/jobs"],
    ["job", "#/job/" + number], ["events", "#/events"]];
  for (const [width, scheme] of [[1280, "light"], [390, "dark"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    for (const [name, place] of places) {
      await page.evaluate((to) => { location.hash = to; }, place);
      await page.locator("h1").waitFor();
      if (name === "job") await page.locator("svg.map, .map").first().waitFor();
      if (name === "jobs") await page.locator("#experiment option").first().waitFor({ state: "attached" });
      await page.locator("main td").first().waitFor();
      await page.screenshot({ path: join(pictures, `${name}-${width}.png`), fullPage: true });
      check(`${name} at ${width}: nothing sticks out`, await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      await check_axe(page, `${name} at ${width}`);
    }
  }

  await page.setViewportSize({ width: 1280, height: 900 });
  await page.evaluate((to) => { location.hash = to; }, "#/job/" + number);
  const press = async (word, title) => {
    await page.getByRole("button", { name: word, exact: true }).first().click();
    check(word + " says what it does", (await page.locator("dialog").innerText()).includes(title));
    await page.locator("#confirm").click();
  };
  const pulled = page.waitForEvent("download");
  await page.getByRole("button", { name: "Pull model", exact: true }).click();
  check("a model is pulled", (await pulled).suggestedFilename() === `job-${number}.dunlin`);
  await press("Pause", "hold still");
  await page.getByRole("button", { name: "Resume", exact: true }).waitFor();
  check("it is paused", JSON.parse(run("status", String(number), "--json")).state === "paused");
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.keyboard.press("Escape");
  check("Escape does nothing", JSON.parse(run("status", String(number), "--json")).state === "paused");
  await press("Resume", "go on");
  await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
  await press("Stop", "for good");
  await page.getByText("stopped").first().waitFor();

  await page.goto(origin + "/#/jobs");
  await page.locator("#experiment").selectOption("fleet-navigation-server");
  await page.locator("#run-nodes").fill("kitchen");
  await press("Run…", "kitchen");
  await page.waitForURL((url) => /^#\/job\/\d+$/.test(url.hash) && url.hash !== "#/job/" + number);
  run("pull", String(number), "--out", "policy.dunlin");
  await page.goto(origin + "/#/jobs");
  await page.locator("#policy").setInputFiles(join(folder, "policy.dunlin"));
  await press("Push…", "policy.dunlin");
  await page.waitForURL((url) => /^#\/job\/\d+$/.test(url.hash));
  await page.goto(origin + "/#/nodes");
  await page.locator("#admit-name").fill("cellar");
  await page.locator("#admit-key").fill("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c");
  await press("Admit…", "cellar");
  await page.getByRole("link", { name: "cellar" }).first().click();
  await press("Revoke…", "off the roster");
  await page.getByText("revoked").first().waitFor();
  check("the roster says so", JSON.parse(run("nodes", "--json")).nodes.find((node) => node.name === "cellar").state === "revoked");

  server.kill("SIGKILL");
  await ended(server);
  await page.locator(".fresh.stale").waitFor();
  check("it says how old it is", (await page.locator(".fresh").innerText()).includes("ago"));
  server = serve(told.endpoint, new URL(origin).host);
  await said(server, "web");
  // Sessions end with the process: it asks for another login, and takes a token.
  await page.locator("#token").waitFor();
  await page.screenshot({ path: join(pictures, "login-1280.png") });
  await page.locator("#token").fill(run("token", "create", "--role", "view", "--name", "test").trim());
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.locator(".fresh.live").waitFor();
  await page.goto(origin + "/#/jobs");
  check("who may only look has no buttons", (await page.getByRole("button", { name: "Run…" }).count()) === 0);
  await browser.close();
  check("no request leaves the page: " + foreign.join(" "), foreign.length === 0);
  check("no errors: " + wrong.join("\n"), wrong.length === 0);
}

await finish(main);
