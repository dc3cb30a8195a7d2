// SPDX-License-Identifier: Apache-2.0
"use strict";

// The page of `dunlin view`: it asks this machine's server for the runs every two seconds and shows them. All that comes
// from files becomes text nodes.
const pollMs = 2000, rowsAtFirst = 200, linesAtMost = 24, runsOfLine = 50, columnsAtFirst = 12;
const byId = (id) => document.getElementById(id);
const state = {
  runs: [], common: {}, tag: "", columns: [], chosen: null, sort: "changed", down: true, shown: rowsAtFirst,
  picked: null, metrics: new Map(), drawing: 0,
};

// A run's value by a column's key: "name", "state", "set rl.horizon" or "got env_steps".
function valueOf(run, key) {
  if (key === "changed") return run.changed;
  if (key.startsWith("set ")) return run.settings[key.slice(4)] ?? state.common[key.slice(4)];
  if (key.startsWith("got ")) return run.results[key.slice(4)];
  return run[key];
}
const titleOf = (key) => (key.startsWith("set ") || key.startsWith("got ") ? key.slice(4) : key);
const numberOf = (value) => (typeof value === "number" ? value : typeof value === "string" && value.trim() !== "" ? Number(value) : NaN);
const timeText = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

// "seed<5 method=memrl text": all of them; a key is whole or ends as one does.
function filterOf(text) {
  const keys = ["name", "state", ...state.columns];
  const terms = text.split(/\s+/).filter(Boolean).map((term) => {
    const parts = /^([^<>=!~]+)(!=|<=|>=|=|<|>|~)(.*)$/.exec(term);
    if (!parts) return (run) => run.name.toLowerCase().includes(term.toLowerCase());
    const [, wanted, operator, right] = parts;
    const key = keys.find((one) => titleOf(one) === wanted) ?? keys.find((one) => titleOf(one).endsWith(`.${wanted}`)) ??
      `set ${wanted}`;
    return (run) => {
      const left = valueOf(run, key);
      if (left === undefined) return operator === "!=";
      const a = numberOf(left), b = numberOf(right), numbers = Number.isFinite(a) && Number.isFinite(b);
      if (operator === "=") return numbers ? a === b : String(left) === right;
      if (operator === "!=") return numbers ? a !== b : String(left) !== right;
      if (operator === "~") return String(left).includes(right);
      if (operator === "<") return numbers && a < b;
      if (operator === ">") return numbers && a > b;
      return numbers && (operator === "<=" ? a <= b : a >= b);
    };
  });
  return (run) => terms.every((term) => term(run));
}

function sorted(rows, value) {
  const order = state.down ? -1 : 1;
  return [...rows].sort((one, other) => {
    const a = value(one), b = value(other), x = numberOf(a), y = numberOf(b);
    if (Number.isFinite(x) && Number.isFinite(y)) return order * (x - y);
    if ((a === undefined) !== (b === undefined)) return a === undefined ? 1 : -1;
    return order * String(a).localeCompare(String(b));
  });
}

// Which of the numbers of a run people look at first.
const telling = /(^|[^a-z])(ratio|return_ratio|accuracy|mrr|return|success|error|loss)/;
const byUse = (counts) => (a, b) => counts.get(b) - counts.get(a) || telling.test(b) - telling.test(a);

// Keys that the runs have: settings, those first in which runs of one experiment differ, then results, those first that
// most runs have.
function findColumns() {
  const settings = new Map(), results = new Map(), told = new Map();
  for (const run of state.runs) {
    const experiment = valueOf(run, "set experiment");
    for (const [key, value] of Object.entries(run.settings)) {
      if (!settings.has(key)) settings.set(key, new Map());
      const values = settings.get(key);
      if (!values.has(experiment)) values.set(experiment, new Set());
      values.get(experiment).add(value);
    }
    for (const [key, value] of Object.entries(run.results)) {
      if (typeof value !== "number") continue;
      results.set(key, (results.get(key) ?? 0) + 1);
      told.set(key, (told.get(key) ?? new Set()).add(value));
    }
  }
  const varied = (key) => key === "experiment" || [...settings.get(key).values()].some((values) => values.size > 1);
  const sets = [...settings.keys()].sort((a, b) => varied(b) - varied(a));
  const repeated = new Set(["seed", "version", "threads", "wall_seconds"]);
  const gots = [...results.keys()].filter((key) => !repeated.has(key)).sort((a, b) => (told.get(b).size > 1) - (told.get(a).size > 1) || byUse(results)(a, b));
  state.columns = [...sets.map((key) => `set ${key}`), ...gots.map((key) => `got ${key}`)];
  state.chosen ??= new Set([...sets.filter(varied).slice(0, columnsAtFirst / 2).map((key) => `set ${key}`),
    ...gots.slice(0, columnsAtFirst / 2).map((key) => `got ${key}`)]);
}

function fillSelect(select, options, titles) {
  const before = select.value;
  select.replaceChildren(...options.map((value, k) => new Option(titles ? titles[k] : value, value)));
  if (options.includes(before)) select.value = before;
}

function fillControls() {
  const groups = state.columns.filter((key) => key.startsWith("set "));
  fillSelect(byId("group"), ["", ...groups], ["no setting", ...groups.map(titleOf)]);
  byId("columns").replaceChildren(...state.columns.map((key) => {
    const label = document.createElement("label"), box = document.createElement("input");
    label.className = "inline";
    box.type = "checkbox";
    box.checked = state.chosen.has(key);
    box.addEventListener("change", () => {
      if (box.checked) state.chosen.add(key); else state.chosen.delete(key);
      show();
    });
    label.append(box, titleOf(key));
    return label;
  }));
}

function cell(row, value, header) {
  const made = document.createElement(header ? "th" : "td");
  if (header) made.scope = "row";
  if (value instanceof Node) made.append(value);
  else if (typeof value === "number") {
    made.className = "number";
    made.textContent = shortNumber(value);
    made.title = String(value);
  } else made.textContent = value === undefined || value === null ? "" : String(value);
  row.append(made);
  return made;
}

// What the table's rows are: runs, or groups of them.
function groupsOf(runs) {
  const key = byId("group").value;
  if (key === "") return null;
  const groups = new Map();
  for (const run of runs) {
    const value = String(valueOf(run, key) ?? "");
    if (!groups.has(value)) groups.set(value, { name: `${titleOf(key)} = ${value}`, runs: [] });
    groups.get(value).runs.push(run);
  }
  return [...groups.values()];
}

function summaryOf(group, key) {
  const values = group.runs.map((run) => valueOf(run, key)).filter((value) => value !== undefined && value !== null);
  const numbers = values.map(numberOf).filter(Number.isFinite);
  if (numbers.length === 0 || numbers.length < values.length) {
    const different = new Set(values.map(String));
    return different.size === 1 ? [...different][0] : different.size === 0 ? undefined : `${different.size} values`;
  }
  const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length;
  const spread = Math.sqrt(numbers.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, numbers.length - 1));
  return { mean, text: spread > 1e-9 * Math.abs(mean) ? `${shortNumber(mean)} ± ${shortNumber(spread)}` : shortNumber(mean) };
}

function showHead(keys, grouped) {
  const row = document.createElement("tr");
  if (!grouped) {
    const first = document.createElement("th");
    first.scope = "col";
    const label = document.createElement("span");
    label.className = "hidden";
    label.textContent = "in the chart";
    first.append(label);
    row.append(first);
  }
  for (const key of keys) {
    const head = document.createElement("th"), button = document.createElement("button");
    head.scope = "col";
    if (key === "runs" || key.startsWith("got ")) head.className = "number";
    button.type = "button";
    button.textContent = `${titleOf(key)}${state.sort === key ? (state.down ? " ↓" : " ↑") : ""}`;
    if (state.sort === key) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    button.addEventListener("click", () => {
      state.down = state.sort === key ? !state.down : false;
      state.sort = key;
      show();
    });
    head.append(button);
    row.append(head);
  }
  byId("head").replaceChildren(row);
}

function runRow(run, keys, picked) {
  const row = document.createElement("tr");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = picked.has(run.name);
  box.setAttribute("aria-label", `${run.name} in the chart`);
  box.addEventListener("change", () => {
    state.picked = new Set(picked);
    if (box.checked) state.picked.add(run.name); else state.picked.delete(run.name);
    show();
  });
  cell(row, box);
  for (const key of keys) {
    if (key === "name") {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = run.name;
      button.addEventListener("click", () => openReport(run));
      cell(row, button, true);
    } else if (key === "changed") cell(row, timeText(run.changed));
    else {
      const value = valueOf(run, key), number = numberOf(value);
      const made = cell(row, Number.isFinite(number) ? number : value);
      if (key === "state") made.className = run.state;
    }
  }
  return row;
}

function groupRow(group, keys) {
  const row = document.createElement("tr");
  for (const key of keys) {
    if (key === "name") cell(row, group.name, true);
    else if (key === "runs") cell(row, group.runs.length);
    else {
      const summary = summaryOf(group, key);
      const made = cell(row, summary?.text ?? summary);
      if (summary?.text) made.className = "number";
    }
  }
  return row;
}

function show() {
  const runs = state.runs.filter(filterOf(byId("filter").value));
  const groups = groupsOf(runs);
  const chosen = state.columns.filter((key) => state.chosen.has(key));
  let lines;
  if (groups) {
    const keys = ["name", "runs", ...chosen.filter((key) => key !== byId("group").value)];
    showHead(keys, true);
    const value = (group) => {
      if (state.sort === "name" || state.sort === "changed") return group.name;
      if (state.sort === "runs") return group.runs.length;
      const summary = summaryOf(group, state.sort);
      return summary?.mean ?? summary;
    };
    const all = sorted(groups, value);
    byId("body").replaceChildren(...all.slice(0, state.shown).map((group) => groupRow(group, keys)));
    byId("more").hidden = all.length <= state.shown;
    lines = all.slice(0, linesAtMost);
  } else {
    const keys = ["name", "state", ...chosen, "changed"];
    showHead(keys, false);
    const all = sorted(runs, (run) => valueOf(run, state.sort));
    const picked = state.picked ?? new Set(all.slice(0, 8).map((run) => run.name));
    byId("body").replaceChildren(...all.slice(0, state.shown).map((run) => runRow(run, keys, picked)));
    byId("more").hidden = all.length <= state.shown;
    lines = all.filter((run) => picked.has(run.name)).slice(0, linesAtMost).map((run) => ({ name: run.name, runs: [run] }));
  }
  const going = state.runs.filter((run) => run.state === "running").length;
  byId("about").textContent = `${runs.length} of ${state.runs.length} runs` +
    `${state.truncated ? " (there are more)" : ""}${going > 0 ? `, ${going} running` : ""}, in ${state.root}`;
  showCurves(lines);
}

// metrics.csv as columns of numbers; what is no number is left out.
function columnsOf(text) {
  const rows = text.split("\n").filter((line) => line !== "").map((line) => line.split(","));
  const header = rows.shift() ?? [];
  const columns = new Map();
  header.forEach((name, k) => {
    const values = rows.filter((row) => row.length === header.length).map((row) => (row[k] === "" ? NaN : Number(row[k])));
    if (values.some(Number.isFinite)) columns.set(name, values);
  });
  return columns;
}

async function metricsOf(run) {
  const known = state.metrics.get(run.name);
  if (known && known.changed === run.changed) return known.columns;
  const answer = await fetch(`/api/metrics?run=${encodeURIComponent(run.name)}`);
  const columns = answer.ok ? columnsOf(await answer.text()) : new Map();
  state.metrics.set(run.name, { changed: run.changed, columns });
  return columns;
}

async function showCurves(lines) {
  const turn = ++state.drawing;
  const wanted = lines.map((line) => line.runs.slice(0, runsOfLine));
  let found;
  try {
    found = await Promise.all(wanted.map((runs) => Promise.all(runs.map(metricsOf))));
  } catch {
    return; // the next look says that the server is away
  }
  if (turn !== state.drawing) return;
  const uses = new Map();
  for (const name of found.flat().flatMap((columns) => [...columns.keys()])) uses.set(name, (uses.get(name) ?? 0) + 1);
  const names = [...uses.keys()].sort(byUse(uses));
  const counting = ["iteration", "environment_steps", "env_steps", "updates", "round", "wake_ups", "stage", "gradients",
    "task_gradients", "seconds", "time_s", "inner_steps", "version"];
  const over = counting.filter((name) => names.includes(name));
  fillSelect(byId("metric"), names.filter((name) => !over.includes(name)));
  fillSelect(byId("over"), over.length > 0 ? over : ["row"]);
  const metric = byId("metric").value, along = byId("over").value;
  const series = lines.map((line, k) => ({
    name: line.name,
    curves: found[k].map((columns) => {
      const all = columns.get(metric) ?? [], x = columns.get(along) ?? all.map((_, row) => row);
      const kept = all.map((_, row) => row).filter((row) => Number.isFinite(all[row]) && Number.isFinite(x[row]));
      return { x: kept.map((row) => x[row]), y: kept.map((row) => all[row]) };
    }).filter((curve) => curve.x.length > 0),
  })).filter((one) => one.curves.length > 0);
  drawChart(byId("chart"), series, along, metric);
  byId("caption").textContent = byId("group").value === ""
    ? "The runs that are ticked in the table." : `Means of the groups' runs, of each the first ${runsOfLine}; bands reach from the least to the largest.`;
}

function openReport(run) {
  byId("report-title").textContent = run.name;
  byId("page").src = `/report?run=${encodeURIComponent(run.name)}`;
  byId("report").showModal();
}

// The link that was printed logs this browser in once; its code has no business in the history.
async function enter() {
  const code = /^#login=([\w-]+)$/.exec(location.hash);
  if (code) {
    history.replaceState(null, "", location.pathname);
    await fetch("/api/v1/session", { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code: code[1] }) }).catch(() => undefined);
  }
  look();
}

async function look() {
  try {
    const answer = await fetch("/api/runs", { headers: state.tag ? { "If-None-Match": state.tag } : {}, cache: "no-store" });
    if (answer.status === 200) {
      const said = await answer.json();
      Object.assign(state, { runs: said.runs, common: said.common, root: said.root, truncated: said.truncated });
      state.tag = answer.headers.get("ETag") ?? "";
      const before = state.columns.join("\n");
      findColumns();
      if (state.columns.join("\n") !== before) fillControls();
      show();
    } else if (answer.status === 401) {
      state.tag = "";
      byId("about").textContent = "log in first: open the newest link that `dunlin view` printed in its terminal; each is good once";
    }
  } catch {
    byId("about").textContent = "the server is away; what is shown is what it said last";
    state.tag = "";
  }
  setTimeout(look, pollMs);
}

function later(work) {
  let waiting = 0;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(work, 120);
  };
}

byId("filter").addEventListener("input", later(show));
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("group").addEventListener("change", show);
byId("metric").addEventListener("change", show);
byId("over").addEventListener("change", show);
byId("more").addEventListener("click", () => {
  state.shown *= 4;
  show();
});
byId("close").addEventListener("click", () => byId("report").close());
byId("report").addEventListener("close", () => {
  byId("page").src = "about:blank";
});
window.addEventListener("resize", later(show));
enter();
