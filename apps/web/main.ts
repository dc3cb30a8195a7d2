// SPDX-License-Identifier: Apache-2.0
// The fleet's page: who looks, where, and how old it is.
import { on_told } from "./actions";
import { age, h, set_text } from "./dom";
import { ask, Fleet, Unauthorised } from "./live";
import { events_view, fleet_view, job_view, jobs_view, node_view, nodes_view, Role, View } from "./views";

const freshness = h("span", { class: "fresh" }), who = h("span", { class: "faint" });
const toast = h("p", { class: "toast", role: "status", "aria-live": "polite" });
const main = h("main", { id: "main", tabIndex: -1 });
const nav = h("nav", { "aria-label": "views" });
const places: [string, string][] = [["#/", "Fleet"], ["#/nodes", "Nodes"], ["#/jobs", "Jobs"], ["#/events", "Events"]];

let role: Role = "view";
let view: View | null = null;
let due = false;
const fleet = new Fleet(redraw, () => void enter());

function redraw(): void {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    view?.update();
    tell_age();
  });
}

function tell_age(): void {
  const old = fleet.heard ? Date.now() - fleet.heard : 0;
  const live = fleet.connected || fleet.polled;
  freshness.className = "fresh " + (live && old < 5000 ? "live" : "stale");
  set_text(freshness, !fleet.heard ? "connecting…" : live && old < 5000 ? (fleet.polled ? "live, every 3 s" : "live")
    : `as of ${age(old)} ago; connecting again…`);
}

function show_place(): void {
  const path = location.hash.slice(1) || "/";
  const job = /^\/job\/(\d+)$/.exec(path), node = /^\/node\/(.+)$/.exec(path);
  fleet.watch(job ? Number(job[1]) : 0);
  let name = "";
  try {
    name = node ? decodeURIComponent(node[1]) : "";
  } catch {
    // No name that this page made.
  }
  view = job ? job_view(fleet, Number(job[1]), role) : node ? node_view(fleet, name, role) : path === "/nodes" ? nodes_view(fleet, role)
    : path === "/jobs" ? jobs_view(fleet, role) : path === "/events" ? events_view(fleet) : fleet_view(fleet);
  main.replaceChildren(view.element);
  nav.replaceChildren(...places.map(([to, text]) => h("a", { href: to, "aria-current": location.hash === to || (to === "#/" && path === "/") ? "page" : undefined }, text)));
  document.title = (main.querySelector("h1")?.textContent ?? "Fleet") + " – Dunlin";
  window.scrollTo(0, 0);
  view.update();
}

function login_form(text: string): void {
  fleet.stop();
  view = null;
  nav.replaceChildren();
  const token = h("input", { id: "token", type: "password", autocomplete: "off", required: true }) as HTMLInputElement;
  main.replaceChildren(h("form", { class: "panel login", onsubmit: async (event: Event) => {
    event.preventDefault();
    try {
      await ask("POST", "session", {}, token.value.trim());
      await enter();
    } catch (wrong) {
      tell((wrong as Error).message, true);
    }
  } }, h("h1", {}, "Log in"), h("p", {}, text), h("label", { for: "token" }, "a token"), token, h("button", { class: "primary" }, "Log in"),
    h("p", { class: "faint" }, "On the coordinator's machine `dunlin fleet token link` prints a link that opens this page, and `dunlin fleet token create` makes a token.")));
}

function tell(text: string, wrong: boolean): void {
  toast.className = "toast shown" + (wrong ? " wrong" : "");
  set_text(toast, text);
  window.setTimeout(() => {
    if (toast.textContent === text) toast.className = "toast";
  }, wrong ? 15000 : 5000);
}

async function enter(): Promise<void> {
  try {
    const me = await ask("GET", "session");
    role = me.role;
    set_text(who, `${me.who}: ${me.role}`);
    fleet.start();
    show_place();
  } catch (wrong) {
    if (wrong instanceof Unauthorised) return login_form("This page shows and commands a fleet.");
    tell((wrong as Error).message, true);
    window.setTimeout(() => void enter(), 3000);
  }
}

async function begin(): Promise<void> {
  document.body.replaceChildren(h("a", { class: "skip", href: "#main", onclick: (event: Event) => {
    event.preventDefault();
    main.focus();
  } }, "to the content"), h("header", {}, h("strong", {}, "Dunlin"), nav, freshness, who, h("button", { class: "small", onclick: async () => {
    await ask("DELETE", "session").catch(() => undefined);
    await enter();
  } }, "Log out")), main, toast);
  on_told(tell);
  // A code opens the page once, and has no business in the history.
  const code = /^#login=([\w-]+)$/.exec(location.hash);
  if (code) {
    history.replaceState(null, "", location.pathname);
    await ask("POST", "session", { code: code[1] }).catch((wrong) => tell(
      wrong instanceof Unauthorised ? "this link was used, or is too old; another: dunlin fleet token link" : wrong.message, true));
  }
  await enter();
  window.addEventListener("hashchange", () => {
    if (view) show_place();
  });
  window.setInterval(tell_age, 1000);
}

void begin();
