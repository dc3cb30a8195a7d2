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

type Cell = Child | { node: Child; class?: string };

const printing = matchMedia("print");
const tables = new WeakMap<Element, Table<any>>();

/** A table whose rows are found by a key and changed where they change. Of a long one only those rows are elements that are
 * seen, and some around them, so that the next link is always there for the keyboard; what readers of screens need to know of
 * the others they are told by numbers of rows. All of it is printed. */
export class Table<Row> {
  static readonly most_drawn = 100;
  private static readonly around = 10;
  readonly element: HTMLElement;
  private body = h("tbody");
  private table: HTMLElement;
  private heads: HTMLElement[];
  private drawn = new Map<string, HTMLElement>();
  private rows: [string, Row][] = [];
  private above = this.gap();
  private below = this.gap();
  private range = [0, 0];
  private row_px = 34;

  constructor(caption: string, heads: string[], private cells: (row: Row) => Cell[], private empty = "none") {
    this.heads = heads.map((text) => h("th", { scope: "col" }, text));
    this.table = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...this.heads)), this.body);
    this.element = h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, this.table);
    tables.set(this.table, this);
    this.show([]);
  }

  show(rows: [string, Row][]): void {
    this.rows = rows;
    const long = rows.length > Table.most_drawn && !printing.matches;
    this.table.classList.toggle("long", long);
    if (long) this.table.setAttribute("aria-rowcount", String(rows.length + 1));
    else this.table.removeAttribute("aria-rowcount");
    this.draw(...this.seen(long), true);
    this.fix_columns(long && this.element.isConnected);
  }

  /** The page was scrolled, or has another size. */
  scrolled(): void {
    const [first, end] = this.seen(true);
    if (first !== this.range[0] || end !== this.range[1]) this.draw(first, end, false);
  }

  private gap(): HTMLElement {
    return h("tr", { class: "gap", "aria-hidden": "true" }, h("td"));
  }

  /** The rows that are to be elements: from the one to before the other, in steps, so that few scrolls change anything. */
  private seen(long: boolean): [number, number] {
    if (!long) return [0, this.rows.length];
    const step = Table.around, top = this.body.getBoundingClientRect().top;
    const first = Math.floor(-top / this.row_px / step) * step - Table.around;
    const count = Math.ceil(innerHeight / this.row_px / step) * step + step + 2 * Table.around;
    const begin = Math.max(0, Math.min(first, this.rows.length - count));
    return [begin, Math.max(begin, Math.min(this.rows.length, first + count, begin + count))];
  }

  /** With `anew` also what was drawn before may say something else now. */
  private draw(first: number, end: number, anew: boolean): void {
    const long = this.table.classList.contains("long"), shown = this.rows.slice(first, end);
    this.range = [first, end];
    const keys = new Set(shown.map(([key]) => key));
    for (const [key, row] of this.drawn) {
      if (keys.has(key)) continue;
      if (row.contains(document.activeElement)) this.element.focus({ preventScroll: true });
      row.remove();
      this.drawn.delete(key);
    }
    if (this.rows.length === 0) {
      this.body.replaceChildren(h("tr", {}, h("td", { colSpan: this.heads.length, class: "faint" }, this.empty)));
      return;
    }
    if (this.drawn.size === 0) this.body.replaceChildren();
    let before: Element | null = null;
    if (this.space(this.above, first)) {
      before = this.above;
      if (this.body.firstElementChild !== before) this.body.prepend(before);
    }
    shown.forEach(([key, row], k) => {
      const known = this.drawn.get(key), element = known ?? h("tr");
      if (!known) this.drawn.set(key, element);
      if (long) element.setAttribute("aria-rowindex", String(first + k + 2));
      else element.removeAttribute("aria-rowindex");
      if (anew || !known) this.fill(element, this.cells(row));
      const next: Element | null = before ? before.nextElementSibling : this.body.firstElementChild;
      if (next !== element) this.body.insertBefore(element, next);
      before = element;
    });
    if (this.space(this.below, this.rows.length - end) && this.body.lastElementChild !== this.below) this.body.append(this.below);
  }

  /** Only cells that are others than they were. */
  private fill(row: HTMLElement, cells: Cell[]): void {
    cells.forEach((cell, k) => {
      const made = cell !== null && typeof cell === "object" && !(cell instanceof Node)
        ? h("td", { class: cell.class }, cell.node) : h("td", {}, cell);
      const known = row.children[k];
      if (!known) row.append(made);
      else if (!known.isEqualNode(made)) known.replaceWith(made);
    });
  }

  /** In the place of so many rows; gone, and false, where there are none. */
  private space(gap: HTMLElement, rows: number): boolean {
    if (rows === 0) gap.remove();
    else (gap.firstChild as HTMLElement).style.height = `${rows * this.row_px}px`;
    return rows > 0;
  }

  /** The browser need not measure every cell again while one scrolls, nor do columns jump: they are as wide as what they first
   * had, and wider when something does not fit. */
  private fix_columns(fixed: boolean): void {
    if (!fixed) {
      if (!this.table.classList.contains("fixed")) return;
      this.table.classList.remove("fixed");
      this.table.style.minWidth = "";
      for (const head of this.heads) head.style.width = "";
      return;
    }
    const rows = [...this.drawn.values()];
    const height = rows[0].offsetHeight;
    if (height > 0) this.row_px = height;
    const widths = this.heads.map((head) => head.offsetWidth);
    const wanted = this.table.classList.contains("fixed")
      ? widths.map((width, k) => Math.max(width, ...rows.map((row) => (row.children[k] as HTMLElement).scrollWidth))) : widths;
    if (this.table.classList.contains("fixed") && wanted.every((width, k) => width === widths[k])) return;
    this.heads.forEach((head, k) => { head.style.width = `${wanted[k]}px`; });
    this.table.style.minWidth = `${wanted.reduce((sum, width) => sum + width, 0)}px`;
    this.table.classList.add("fixed");
  }

  /** Draws anew, as for a printer that takes all of it. */
  again(): void {
    this.show(this.rows);
  }
}

function every_table(selector: string, call: (table: Table<any>) => void): void {
  for (const element of document.querySelectorAll(selector)) {
    const table = tables.get(element);
    if (table) call(table);
  }
}

let scroll_due = false;
function scrolled(): void {
  if (scroll_due) return;
  scroll_due = true;
  requestAnimationFrame(() => {
    scroll_due = false;
    every_table("table.long", (table) => table.scrolled());
  });
}
addEventListener("scroll", scrolled, { passive: true });
addEventListener("resize", scrolled, { passive: true });
printing.addEventListener("change", () => every_table("table", (table) => table.again()));

/** Work that goes on after this is a task of its own, so that what people do comes between. */
export const next_frame = () => new Promise<void>((done) => requestAnimationFrame(() => done()));

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
