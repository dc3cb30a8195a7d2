// SPDX-License-Identifier: Apache-2.0
// What is shown under each address: the fleet, its nodes, a node, its jobs, a job, events.
import { admit_form, job_buttons, revoke_button, run_forms } from "./actions";
import { Chart, map_of } from "./charts";
import { age, clock, h, next_frame, number, put, set_text, Table } from "./dom";
import { ask, Fleet, Row } from "./live";

export interface View {
  element: HTMLElement;
  update(): void;
}
export type Role = "view" | "operate" | "admin";

const badge = (state: string) => ({ node: h("span", { class: "badge " + state.replace(/[^a-z]/g, "") }, state) });
const link = (to: string, text: string) => h("a", { href: to }, text);
const node_link = (name: string) => link("#/node/" + encodeURIComponent(name), name);
const job_link = (job: Row) => link("#/job/" + job.job, `${job.job} ${job.name}`);
const memory = (bytes?: number) => (bytes ? (bytes / 1048576).toFixed(0) + " MB" : "");

/** When the last event was that names the node. */
function since(fleet: Fleet, node: Row): string {
  const last = fleet.last_event.get(node.name);
  return last === undefined ? "" : clock(last);
}

/** What a node says of its machine; nothing where it says nothing. */
const degrees = (value?: number) => (value === undefined ? "" : value.toFixed(0) + " °C");
const percent = (value?: number) => (value === undefined ? "" : value.toFixed(0) + " %");
const updated = (node: Row) => (node.updated_unix_ms === undefined ? "" : clock(node.updated_unix_ms));

const node_table = (fleet: Fleet) => new Table<Row>("nodes", ["node", "state", "last event", "last update", "job", "labels", "software", "memory",
  "temperature", "load", "battery", "disk free"], (node) => [
  node_link(node.name), badge(node.state), since(fleet, node), updated(node), node.job ? link("#/job/" + node.job, String(node.job)) : "",
  node.labels.join(" "), node.software ?? "", memory(node.memory_bytes), degrees(node.temperature), node.load ?? "", percent(node.battery),
  percent(node.disk)], "none");

const job_table = (caption: string) => new Table<Row>(caption, ["job", "state", "how", "here", "updates", "version", "epoch", "ran", "weight lost"], (job) => [
  job_link(job), badge(job.state), job.push ? "push" : job.aggregation, `${job.here} of ${job.members}`,
  job.aggregation === "federated" ? job.updates : "", job.version, job.aggregation === "federated" ? "" : job.epoch,
  age(job.elapsed_s * 1000), job.weight_lost === undefined ? "" : number(job.weight_lost)], "no job");

const event_table = () => new Table<Row>("events", ["at (UTC)", "job", "node", "what"], (event) => [
  clock(event.time_ms), event.job ? link("#/job/" + event.job, String(event.job)) : "", event.node ? node_link(event.node) : "", event.text], "nothing yet");
const event_rows = (events: Row[], most: number): [string, Row][] =>
  events.slice(-most).reverse().map((event, k) => [`${event.record} ${event.time_ms} ${event.text} ${k}`, event]);

function tile(label: string): { element: HTMLElement; value: HTMLElement } {
  const value = h("strong", {}, "–");
  return { element: h("div", { class: "tile" }, value, h("span", {}, label)), value };
}

function warnings_of(list: string[]): HTMLElement {
  return h("ul", { class: "warnings" }, ...list.map((text) => h("li", {}, text)));
}

function alerts_of(list: Row[]): HTMLElement[] {
  if (!list.length) return [];
  const table = new Table<Row>("alerts that are raised", ["since (UTC)", "what", "rule", "node", "job"], (alert) => [clock(alert.raised_unix_ms),
    { node: h("strong", {}, alert.text), class: "worst" }, alert.rule, alert.node ? node_link(alert.node) : "", alert.job ? link("#/job/" + alert.job, String(alert.job)) : ""]);
  table.show(list.map((alert) => [`${alert.rule} ${alert.job} ${alert.node}`, alert]));
  return [h("h2", {}, "Alerts"), table.element];
}

export function fleet_view(fleet: Fleet): View {
  const here = tile("nodes here"), running = tile("jobs that run"), rate = tile("updates a second"), refused = tile("messages refused");
  const chart = new Chart("updates and shares a second, the last hour", ["at", "updates", "shares"]);
  const warnings = h("div"), alerts = h("div");
  const jobs = job_table("jobs that run"), nodes = node_table(fleet), events = event_table();
  const away = h("h2", {}, "Nodes that are not here");
  const update = () => {
    const status = fleet.status;
    if (!status) return;
    set_text(here.value, `${status.here} of ${status.nodes}`);
    const now = fleet.jobs.filter((job) => !job.ended);
    set_text(running.value, String(now.length));
    const rates = fleet.samples.slice(1).map((sample, k) => {
      const before = fleet.samples[k], s = Math.max(0.001, (sample[0] - before[0]) / 1000);
      return [new Date(sample[0]), Math.max(0, sample[2] - before[2]) / s, Math.max(0, sample[3] - before[3]) / s];
    });
    set_text(rate.value, rates.length ? number(rates[rates.length - 1][1] as number) : "–");
    set_text(refused.value, String(Object.values(status.counters.refused as Record<string, number>).reduce((sum, count) => sum + count, 0)));
    chart.show(rates);
    warnings.replaceChildren(warnings_of(status.warnings.concat(...now.map((job) => (job.warnings ?? []).map((text: string) => `job ${job.job}: ${text}`)))));
    alerts.replaceChildren(...alerts_of(status.alerts ?? []));
    jobs.show(now.map((job) => [String(job.job), job]));
    nodes.show(fleet.nodes.filter((node) => node && node.state !== "here" && node.state !== "revoked").slice(0, 50).map((node) => [String(node.node), node]));
    events.show(event_rows(fleet.events, 15));
  };
  return { element: h("div", {}, h("h1", {}, "Fleet"), h("div", { class: "tiles" }, here.element, running.element, rate.element, refused.element),
    warnings, alerts, jobs.element, chart.element, away, nodes.element, h("h2", {}, "Newest events"), events.element), update };
}

export function nodes_view(fleet: Fleet, role: Role): View {
  const nodes = node_table(fleet);
  const filter = h("input", { id: "filter", type: "search", placeholder: "name, label or state" }) as HTMLInputElement;
  const update = () => {
    const word = filter.value.toLowerCase();
    const fits = (node: Row) => !word || node.name.toLowerCase().includes(word) || node.state.includes(word) ||
      node.labels.some((label: string) => label.toLowerCase().includes(word));
    nodes.show(fleet.nodes.filter((node) => node && fits(node)).map((node) => [String(node.node), node]));
  };
  filter.oninput = update;
  return { element: h("div", {}, h("h1", {}, "Nodes"), h("p", { class: "row" }, h("label", { for: "filter" }, "show"), filter), nodes.element,
    role === "admin" && admit_form()), update };
}

export function node_view(fleet: Fleet, name: string, role: Role): View {
  const facts = h("dl"), actions = h("div", { class: "row" }), events = event_table();
  const jobs = job_table("its job");
  let shown = "";
  const update = () => {
    const node = fleet.nodes.find((known) => known?.name === name);
    events.show(event_rows(fleet.events.filter((event) => event.node === name), 100));
    jobs.show(fleet.jobs.filter((job) => node && job.job === node.job).map((job) => [String(job.job), job]));
    const text = JSON.stringify(node);
    if (text === shown) return;
    shown = text;
    facts.replaceChildren();
    actions.replaceChildren();
    if (!node) return put(facts, h("dt", {}, "no node of this name is on the roster"));
    for (const [key, value] of [["state", node.state], ["labels", node.labels.join(" ") || "none"], ["software", node.software ?? "not here"],
      ["last update", updated(node) || "none since the coordinator started"], ["memory", memory(node.memory_bytes) || "not said"],
      ["temperature", degrees(node.temperature) || "not said"], ["load, a processor", node.load ?? "not said"],
      ["battery", percent(node.battery) || "not said"], ["disk that is free", percent(node.disk) || "not said"], ["reached at", node.endpoint || "not said"], ["public key", node.public_key]])
      put(facts, h("dt", {}, key), h("dd", {}, value));
    if (role === "admin" && node.state !== "revoked") put(actions, revoke_button(node));
  };
  return { element: h("div", {}, h("h1", {}, "Node " + name), facts, actions, jobs.element, h("h2", {}, "Its events"), events.element), update };
}

export function jobs_view(fleet: Fleet, role: Role): View {
  const jobs = job_table("jobs");
  const update = () => jobs.show(fleet.jobs.slice().reverse().map((job) => [String(job.job), job]));
  return { element: h("div", {}, h("h1", {}, "Jobs"), jobs.element, role !== "view" && run_forms()), update };
}

/** Of a metric the worse end, where its name says which that is; counters have none. */
function worst_of(metric: string, values: number[]): number | undefined {
  if (values.length < 2) return undefined;
  if (/loss|distance|error|regret/.test(metric)) return Math.max(...values);
  return /return|ratio|accuracy|success|ndcg|reward/.test(metric) ? Math.min(...values) : undefined;
}

export function job_view(fleet: Fleet, job_number: number, role: Role): View {
  const facts = h("dl"), warnings = h("div"), actions = h("div"), curves = h("div", { class: "columns" }), map = h("div");
  const table_place = h("div"), ledger_place = h("div"), events = event_table();
  let table: Table<Row> | null = null, metrics = "", state = "", drawn = 0;
  const charts = new Map<string, Chart>();
  const worst = new Map<string, number | undefined>();

  const draw = async () => {
    drawn = Date.now();
    try {
      const [told, graph, ledger] = await Promise.all([ask("GET", `jobs/${job_number}/curves`), ask("GET", `jobs/${job_number}/graph`),
        ask("GET", `ledger?job=${job_number}`)]);
      for (const curve of told.curves) {
        let chart = charts.get(curve.name);
        if (!chart) {
          chart = new Chart(`${curve.name}: least, mean and most of ${curve.members} members`, ["round", "mean"],
            { customBars: true, includeZero: false });
          charts.set(curve.name, chart);
          curves.append(chart.element);
        }
        await next_frame();
        chart.show(curve.points.filter((point: number[]) => point[3] !== null).map((point: number[]) => [point[0], [point[2], point[3], point[4]]]));
      }
      await next_frame();
      map.replaceChildren(map_of(graph));
      if (ledger.epochs.length && !ledger_place.firstChild) {
        const epochs = new Table<Row>("ledger", ["epoch", "over at (UTC)", "gone", "left", "anew", "weight lost"], (row) => [
          row.epoch, clock(row.time_ms), row.gone.join(" "), row.left.join(" "), row.joined.join(" "), number(row.weight_lost * row.weight_unit)]);
        epochs.show(ledger.epochs.map((row: Row) => [String(row.epoch), row]));
        ledger_place.append(h("h2", {}, "Epochs"), epochs.element);
      }
    } catch {
      // The line above says that nothing comes; what is drawn stays.
    }
  };

  const update = () => {
    const job = fleet.job;
    if (!job && fleet.gone) {
      state = "";
      actions.replaceChildren();
      facts.replaceChildren();
      warnings.replaceChildren(h("p", {}, "There is no such job, or it was deleted."));
    }
    if (!job) return;
    const text = JSON.stringify([job.state, job.members, job.ended]);
    if (text !== state) {
      state = text;
      actions.replaceChildren(job_buttons(job, role !== "view"));
    }
    facts.replaceChildren();
    for (const [key, value] of [["state", job.state], ["how", job.push ? "push" : job.aggregation], ["members", `${job.active} active, ${job.here} here, ${job.members} in all`],
      ["updates", job.updates], ["version", job.version], ["epoch", job.epoch], ["ran", age(job.elapsed_s * 1000)], ["parameters", job.dimension],
      ["weight lost", job.weight_lost === undefined ? "no server counts weights here" : number(job.weight_lost)]])
      put(facts, h("dt", {}, String(key)), h("dd", {}, String(value)));
    warnings.replaceChildren(warnings_of(job.warnings ?? []));
    const names = [...new Set(fleet.members.flatMap((member) => Object.keys(member?.metrics ?? {})))].sort();
    if (!table || names.join() !== metrics) {
      metrics = names.join();
      table = new Table<Row>("members", ["member", "state", job.aggregation === "federated" ? "updates" : "tick", ...names], (member) => [
        node_link(member.name), member.here || job.ended ? badge(member.state) : badge(member.state + " (away)"), member.tick ?? member.updates,
        ...names.map((name) => {
          const value = member.metrics?.[name];
          const is_worst = value !== undefined && value === worst.get(name);
          return { node: h("span", {}, value === undefined ? "" : number(value), is_worst && h("em", {}, " worst")), class: is_worst ? "worst" : "" };
        })]);
      table_place.replaceChildren(table.element);
    }
    for (const name of names) {
      const values = fleet.members.map((member) => member?.metrics?.[name]).filter((value) => typeof value === "number");
      worst.set(name, worst_of(name, values));
    }
    table.show(fleet.members.filter((member) => member).map((member) => [String(member.member),
      { ...member, worst: names.filter((name) => worst.get(name) !== undefined && member.metrics?.[name] === worst.get(name)) }]));
    events.show(event_rows(fleet.events.filter((event) => event.job === job_number), 50));
    if (Date.now() - drawn > (job.ended ? 60000 : 5000)) void draw();
  };
  return { element: h("div", {}, h("h1", {}, `Job ${job_number}`), actions, warnings, facts, h("h2", {}, "Learning"), curves,
    h("h2", {}, "Members"), table_place, h("h2", {}, "Who hears whom"), map, ledger_place, h("h2", {}, "Its events"), events.element), update };
}

export function events_view(fleet: Fleet): View {
  const events = event_table();
  return { element: h("div", {}, h("h1", {}, "Events"), events.element), update: () => events.show(event_rows(fleet.events, 500)) };
}
