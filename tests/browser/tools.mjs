// SPDX-License-Identifier: Apache-2.0
// What tests of pages have in common. Arguments of each: the program, the folder of node_modules, a folder for pictures.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const [program, modules, pictures] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const folder = mkdtempSync(join(tmpdir(), "dunlin-page-"));
export const node_program = join(dirname(program), "dunlin-node");
const running = [];
let shown = null;
/** The page, for a picture of what went wrong. */
export const show = (page) => { shown = page; };
let failures = 0;

export const check = (what, fine) => {
  if (fine) return;
  failures++;
  console.log("FAILED " + what);
};
export const run = (...words) => {
  const ended = spawnSync(program, ["fleet", ...words, "--store", "store"], { cwd: folder, encoding: "utf8" });
  if (ended.status !== 0) throw new Error(words.join(" ") + ": " + ended.stderr);
  return ended.stdout;
};
export const start = (command, words, stdout = "ignore") => {
  const child = spawn(command, words, { cwd: folder, stdio: ["ignore", stdout, "pipe"] });
  running.push(child);
  return child;
};
/** Until the line of its log that names `event`. */
export const said = (child, event) => new Promise((found, lost) => {
  let text = "";
  child.stderr.on("data", (part) => {
    text += part;
    for (const line of text.split("\n").slice(0, -1)) {
      const told = line.startsWith("{") ? JSON.parse(line) : {};
      if (told.event === event) found(told.text);
    }
  });
  child.on("exit", () => lost(new Error("it ended: " + text)));
});
export const ended = (child) => new Promise((done) => (child.exitCode !== null || child.signalCode !== null ? done() : child.on("exit", done)));
export const serve = (listen, web) => start(program, ["fleet", "serve", "--store", "store", "--listen", listen, "--web", web, "--log-format", "json"]);

/** `more`: arguments of Chromium's. */
export const launch = (...more) => chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
  "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", ...more] });

/** What axe finds on the page is a failure each. */
export async function check_axe(page, where) {
  await page.evaluate(axe);  // by the debugger, which the page's policy does not bind
  const found = await page.evaluate(() => window.axe.run());
  for (const violation of found.violations)
    check(`axe, ${where}: ${violation.id}: ${violation.nodes.map((node) => node.target).join("; ")}`, false);
}

/** Runs it, ends what it has started, and ends with 0 where nothing failed. */
export async function finish(main) {
  mkdirSync(pictures, { recursive: true });
  try {
    await main();
  } catch (error) {
    check(String(error.stack ?? error), false);
    await shown?.screenshot({ path: join(pictures, "failed.png"), fullPage: true }).catch(() => undefined);
  } finally {
    for (const child of running) child.kill("SIGTERM");
    await Promise.all(running.map(ended));
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit(failures === 0 ? 0 : 1);
}
