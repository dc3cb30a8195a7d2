// SPDX-License-Identifier: Apache-2.0
// The page of `dunlin view` in Chromium: a link that logs in once, the table, a run's report in place, what axe finds.
// Arguments: as tools.mjs says.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { check, check_axe, finish, folder, launch, pictures, program, show, start } from "./tools.mjs";

/** The link that it prints. */
const printed = (child) => new Promise((found, lost) => {
  let text = "";
  child.stdout.on("data", (part) => {
    text += part;
    if (text.includes("\n")) found(text.trim());
  });
  child.on("exit", () => lost(new Error("it ended: " + text)));
});

async function main() {
  for (const [seed, name] of [[1, "one"], [2, "<img src=x onerror=alert(1)>"]]) {
    const words = ["train", "navigation", "--seed", String(seed), "--set", "rl.iterations=2", "--out", join("runs", name), "--quiet"];
    const made = spawnSync(program, words, { cwd: folder, encoding: "utf8" });
    if (made.status !== 0) throw new Error(made.stderr);
  }
  const link = await printed(start(program, ["view", "runs", "--port", "0"], "pipe"));
  const browser = await launch(), page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  show(page);
  const wrong = [], foreign = [], origin = new URL(link).origin;
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/ERR_CONNECTION|401/.test(message.text())) wrong.push(message.text());
  });
  page.on("dialog", (dialog) => {
    wrong.push("a script ran: " + dialog.message());
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) foreign.push(request.url());
  });
  await page.goto(link);
  await page.locator("#body tr").nth(1).waitFor();
  check("the code is gone from the address", !page.url().includes("login"));
  check("scripts do not see the session", (await page.evaluate(() => document.cookie)) === "");
  for (const [width, scheme] of [[1280, "light"], [390, "dark"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: join(pictures, `view-${width}.png`), fullPage: true });
    check(`at ${width}: nothing sticks out`, await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await check_axe(page, `view at ${width}`);
  }
  await page.locator("#body button, #body a").first().click();
  const report = page.frameLocator("#page");
  await report.locator("h1, h2").first().waitFor();
  check("the report is in its frame", (await report.locator("body").innerText()).length > 100);
  await page.locator("#close").click();

  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(link);
  await stranger.getByText("log in first").waitFor();
  check("a used link shows nothing", (await stranger.locator("#body tr").count()) === 0);
  await browser.close();
  check("no request leaves the page: " + foreign.join(" "), foreign.length === 0);
  check("no errors: " + wrong.join("\n"), wrong.length === 0);
}

await finish(main);
