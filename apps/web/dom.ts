// SPDX-License-Identifier: Apache-2.0
// Elements. Text becomes text nodes, so that nothing from outside is ever read as HTML.

type Child = Node | string | number | null | undefined | false;
type Properties = Record<string, unknown>;

/** An element with properties (`onclick`, `value`, ...), attributes (`aria-*`, `data-*`, others) and children. */
export function h(tag: string, properties: Properties = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = String(value);
    else if (key in element && !key.startsWith("aria") && key !== "list") (element as any)[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

export function svg(tag: string, attributes: Properties = {}, ...children: Node[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

export function put(element: Element, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Puts `text` in, if there is another. */
export function set_text(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A table whose rows are found by a key and changed where they change. */
export class Table<Row> {
  readonly element: HTMLElement;
  private body = h("tbody");
  private rows = new Map<string, { element: HTMLElement; shown: string }>();

  constructor(caption: string, heads: string[], private cells: (row: Row) => (Child | { node: Child; class?: string })[],
              private empty = "none") {
    this.element = h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
      h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))),
        this.body));
    this.show([]);
  }

  show(rows: [string, Row][]): void {
    const keys = new Set(rows.map(([key]) => key));
    for (const [key, known] of this.rows) {
      if (keys.has(key)) continue;
      known.element.remove();
      this.rows.delete(key);
    }
    if (rows.length === 0) {
      const width = this.element.querySelectorAll("th").length;
      if (!this.body.firstChild) this.body.append(h("tr", {}, h("td", { colSpan: width, class: "faint" }, this.empty)));
      return;
    }
    if (this.rows.size === 0) this.body.replaceChildren();
    let before: HTMLElement | null = null;
    for (const [key, row] of rows) {
      const shown = JSON.stringify(row);
      let known = this.rows.get(key);
      if (!known || known.shown !== shown) {
        const element = h("tr", {}, ...this.cells(row).map((cell) =>
          cell !== null && typeof cell === "object" && !(cell instanceof Node) && "node" in (cell as object)
            ? h("td", { class: (cell as any).class }, (cell as any).node) : h("td", {}, cell as Child)));
        if (known) known.element.replaceWith(element);
        known = { element, shown };
        this.rows.set(key, known);
      }
      const next: Element | null = before ? before.nextElementSibling : this.body.firstElementChild;
      if (next !== known.element) this.body.insertBefore(known.element, next);
      before = known.element;
    }
  }
}

/** Asks before it is done. `lines` say what will happen. */
export function confirm_action(title: string, lines: string[], word: string, dangerous = false): Promise<boolean> {
  return new Promise((done) => {
    const dialog = h("dialog", { "aria-labelledby": "ask" }, h("h2", { id: "ask" }, title),
      ...lines.map((line) => h("p", {}, line)),
      h("div", { class: "row" },
        h("button", { class: dangerous ? "danger" : "primary", id: "confirm", onclick: () => dialog.close("yes") }, word),
        h("button", { onclick: () => dialog.close("") }, "Cancel"))) as HTMLDialogElement;
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function age(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} days`;
}

export function number(value: unknown): string {
  if (typeof value !== "number") return "not finite";
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

export function clock(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}
