// SPDX-License-Identifier: Apache-2.0
// Scrolls through the nodes of a fleet's page, and tells the longest tasks on its main thread, by the clock and in processor time
// (on a machine that has much else to do tasks wait), how many rows were elements, and how many nodes came by. Arguments: a link
// that opens it, a folder with node_modules/playwright-core. bench/web.py has the fleet.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [link, modules] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "package.json"));
const { chromium } = require("playwright-core");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu",
  "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await page.goto(link);
await page.locator(".fresh.live").waitFor();
await page.evaluate(() => { location.hash = "#/nodes"; });
await page.locator("table.long").waitFor();
await page.waitForTimeout(3000);  // what it takes to come up is no scrolling
await page.evaluate(() => {
  window.tasks = [];
  window.came_by = new Set();
  const look = () => {
    for (const link of document.querySelectorAll("table.long tbody td:first-child a")) window.came_by.add(link.textContent);
    requestAnimationFrame(look);
  };
  look();
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.tasks.push(entry.duration);
  }).observe({ type: "longtask" });
});
const rows = await page.locator("table.long").getAttribute("aria-rowcount") - 1;
const drawn = await page.locator("table.long tbody tr:not(.gap)").count();
await page.mouse.move(640, 500);
await browser.startTracing(page, { categories: ["toplevel"] });
const begin = Date.now();
for (let down = true; Date.now() - begin < 20000;) {
  await page.mouse.wheel(0, down ? 400 : -400);
  await page.waitForTimeout(16);
  const [top, most] = await page.evaluate(() => [scrollY, document.documentElement.scrollHeight - innerHeight]);
  if (top >= most - 1) down = false;
  if (top <= 0) down = true;
}
const seconds = (Date.now() - begin) / 1000;
const trace = JSON.parse((await browser.stopTracing()).toString()).traceEvents;
const mains = new Set(trace.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain").map((event) => `${event.pid} ${event.tid}`));
const used = trace.filter((event) => event.tdur && mains.has(`${event.pid} ${event.tid}`)).map((event) => event.tdur / 1000);
const [tasks, came_by] = await page.evaluate(() => [window.tasks, window.came_by.size]);
console.log(JSON.stringify({ rows, drawn, came_by, seconds, tasks_over_50_ms: tasks.length, longest_ms: Math.max(0, ...tasks),
  over_50_ms_of_processor: used.filter((ms) => ms > 50).length, longest_of_processor_ms: Math.round(10 * used.reduce((most, ms) => Math.max(most, ms), 0)) / 10 }));
await browser.close();
