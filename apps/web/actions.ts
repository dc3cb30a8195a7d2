// SPDX-License-Identifier: Apache-2.0
// What an operator does, each with what it will do said before it is done.
import { confirm_action, h } from "./dom";
import { ask, Row } from "./live";

let told: (text: string, wrong: boolean) => void = () => undefined;
export function on_told(listener: (text: string, wrong: boolean) => void): void {
  told = listener;
}

/** Does it, and says how it went. */
export async function act(path: string, body: Row, done: string): Promise<Row | null> {
  try {
    const answer = await ask("POST", path, body);
    told(done, false);
    return answer;
  } catch (wrong) {
    told((wrong as Error).message, true);
    return null;
  }
}

interface JobAction {
  word: string;
  path: string;
  says: (job: Row) => string[];
  body?: Row;
  danger?: boolean;
  shown: (job: Row) => boolean;
}

const actions: JobAction[] = [
  { word: "Pause", path: "pause", shown: (job) => !job.ended && job.state !== "paused",
    says: (job) => [`Job ${job.job}'s ${job.members} nodes hold still until it is resumed. Nothing is lost.`] },
  { word: "Resume", path: "resume", shown: (job) => !job.ended && job.state === "paused",
    says: (job) => [`Job ${job.job}'s nodes go on where they stood.`] },
  { word: "Stop", path: "stop", danger: true, shown: (job) => !job.ended,
    says: (job) => [`Job ${job.job} ends, for good; its model can still be pulled.`,
      job.aggregation === "federated" ? "Its nodes are told at once."
        : "Without a server its nodes say first what they hold, which makes the model: it waits for nodes that are away."] },
  { word: "Stop now", path: "stop", body: { now: true }, danger: true, shown: (job) => !job.ended && job.aggregation !== "federated",
    says: (job) => [`Job ${job.job} ends at once, without waiting for nodes.`, "What they hold is lost: there will be no model."] },
];

/** Writes the job's model where the browser keeps files, and says what is to be known of it. */
async function pull(job: Row): Promise<void> {
  try {
    const answer = await ask("GET", `jobs/${job.job}/model`);
    const bytes = Uint8Array.from(atob(answer.policy), (letter) => letter.charCodeAt(0));
    const link = h("a", { href: URL.createObjectURL(new Blob([bytes])), download: `job-${job.job}.dunlin` }) as HTMLAnchorElement;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60000);  // browsers may begin to read it later
    const notes = [...(answer.warnings ?? [])];
    if (answer.learned === false) notes.push("no node's update is in it: it is what the job began with");
    told([`job-${job.job}.dunlin: version ${answer.version} of job ${job.job}`, ...notes].join("; "), notes.length > 0);
  } catch (wrong) {
    told((wrong as Error).message, true);
  }
}

export function job_buttons(job: Row, may: boolean): HTMLElement {
  const row = h("div", { class: "row" });
  if (!may) return row;
  for (const action of actions) {
    if (!action.shown(job)) continue;
    row.append(h("button", { class: action.danger ? "danger" : "", onclick: async () => {
      if (await confirm_action(`${action.word} job ${job.job} (${job.name})?`, action.says(job), action.word, action.danger))
        void act(`jobs/${job.job}/${action.path}`, action.body ?? {}, `job ${job.job}: ${action.word.toLowerCase()} was asked for`);
    } }, action.word));
  }
  row.append(h("button", { onclick: () => void pull(job) }, "Pull model"));
  if (!job.ended) row.append(member_form(job, "add"), member_form(job, "remove"));
  return row;
}

const words = (text: string) => text.split(/[\s,]+/).filter((word) => word !== "");

function member_form(job: Row, way: "add" | "remove"): HTMLElement {
  const nodes = h("input", { type: "text", "aria-label": `nodes to ${way}: names or labels`, placeholder: "names or labels" }) as HTMLInputElement;
  return h("form", { class: "row", onsubmit: async (event: Event) => {
    event.preventDefault();
    const wanted = words(nodes.value);
    if (!wanted.length) return;
    const says = way === "add" ? "They come into the job: with a server at once, without one at the next epoch."
      : "They leave the job and stay on the roster; without a server each hands on first what it holds.";
    if (await confirm_action(`${way === "add" ? "Add to" : "Remove from"} job ${job.job}?`, [wanted.join(", "), says], way === "add" ? "Add" : "Remove"))
      void act(`jobs/${job.job}/${way}`, { nodes: wanted }, `job ${job.job}: ${wanted.join(", ")}`);
  } }, nodes, h("button", {}, way === "add" ? "Add nodes" : "Remove nodes"));
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let k = 0; k < bytes.length; k += 32768) text += String.fromCharCode(...bytes.subarray(k, k + 32768));
  return btoa(text);
}

/** Starts a job from a ready-made experiment, changed or not, or pushes a policy's file. */
export function run_forms(): HTMLElement {
  const experiment = h("select", { id: "experiment" }) as HTMLSelectElement;
  const toml = h("textarea", { id: "toml", rows: 12, spellcheck: false }) as HTMLTextAreaElement;
  const nodes = h("input", { id: "run-nodes", type: "text", placeholder: "all on the roster" }) as HTMLInputElement;
  const file = h("input", { id: "policy", type: "file" }) as HTMLInputElement;
  const push_nodes = h("input", { id: "push-nodes", type: "text", placeholder: "all on the roster" }) as HTMLInputElement;
  let all: Row[] = [];
  const show = () => {
    toml.value = all.find((one) => one.name === experiment.value)?.toml ?? "";
  };
  experiment.onchange = show;
  ask("GET", "experiments").then((answer) => {
    all = answer.experiments;
    for (const one of all) experiment.append(h("option", { value: one.name, title: one.summary }, one.name));
    show();
  }).catch((wrong) => told(wrong.message, true));
  const whom = (text: string) => (words(text).length ? words(text).join(", ") : "all nodes on the roster");
  const run = h("form", { class: "panel", onsubmit: async (event: Event) => {
    event.preventDefault();
    const ready = all.find((one) => one.name === experiment.value && one.toml === toml.value);
    const lines = [`A new job of ${ready ? experiment.value : "this experiment, as changed"}, on ${whom(nodes.value)}.`,
      "It begins as soon as nodes are here; one that is in another job takes part when that is over."];
    if (!(await confirm_action("Run this experiment?", lines, "Run"))) return;
    const made = await act("jobs", { experiment: ready ? ready.name : toml.value + "\n", nodes: words(nodes.value) }, "the job is stored");
    if (made) location.hash = `#/job/${made.job}`;
  } }, h("h2", {}, "Run an experiment"),
    h("label", { for: "experiment" }, "ready-made"), experiment, h("label", { for: "toml" }, "its settings"), toml,
    h("label", { for: "run-nodes" }, "nodes: names or labels"), nodes, h("button", { class: "primary" }, "Run…"));
  const push = h("form", { class: "panel", onsubmit: async (event: Event) => {
    event.preventDefault();
    const chosen = file.files?.[0];
    if (!chosen) return told("choose a file first: policy.dunlin or model.dunlin", true);
    const lines = [`${chosen.name} goes to ${whom(push_nodes.value)}.`, "Each makes it its own and says how good it is. No model is changed."];
    if (!(await confirm_action("Push this policy?", lines, "Push"))) return;
    const policy = base64(new Uint8Array(await chosen.arrayBuffer()));
    const made = await act("push", { policy, nodes: words(push_nodes.value) }, "the policy is on its way");
    if (made) location.hash = `#/job/${made.job}`;
  } }, h("h2", {}, "Push a policy"), h("label", { for: "policy" }, "policy.dunlin or model.dunlin"), file,
    h("label", { for: "push-nodes" }, "nodes: names or labels"), push_nodes, h("button", { class: "primary" }, "Push…"));
  return h("div", { class: "columns" }, run, push);
}

export function admit_form(): HTMLElement {
  const name = h("input", { id: "admit-name", type: "text", required: true, maxLength: 64 }) as HTMLInputElement;
  const key = h("input", { id: "admit-key", type: "text", required: true, placeholder: "as `dunlin-node init` prints it" }) as HTMLInputElement;
  const labels = h("input", { id: "admit-labels", type: "text" }) as HTMLInputElement;
  return h("form", { class: "panel", onsubmit: async (event: Event) => {
    event.preventDefault();
    const lines = [`Whoever holds the secret half of ${key.value.slice(0, 16)}… may join as ${name.value}, and take part in jobs.`];
    if (!(await confirm_action(`Admit ${name.value}?`, lines, "Admit"))) return;
    if (await act("nodes", { name: name.value, key: key.value.trim(), labels: words(labels.value) }, `${name.value} is on the roster`))
      name.value = key.value = labels.value = "";
  } }, h("h2", {}, "Admit a node"), h("label", { for: "admit-name" }, "name"), name, h("label", { for: "admit-key" }, "public key"), key,
    h("label", { for: "admit-labels" }, "labels"), labels, h("button", { class: "primary" }, "Admit…"));
}

export function revoke_button(node: Row): HTMLElement {
  return h("button", { class: "danger", onclick: async () => {
    const lines = [`${node.name} is off the roster, its key is refused, and it is out of its jobs for good.`,
      "What it holds in a job without a server goes with it; the ledger says how much.", "Another name or key is needed to come back."];
    if (await confirm_action(`Revoke ${node.name}?`, lines, "Revoke", true))
      void act("nodes/revoke", { name: node.name }, `${node.name} is revoked`);
  } }, "Revoke…");
}
