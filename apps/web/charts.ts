// SPDX-License-Identifier: Apache-2.0
// Curves, by dygraphs; and the map of who hears whom.
import Dygraph from "dygraphs";
import { h, svg } from "./dom";

// No chart here has a legend, and dygraphs' writes inline styles, which this page's policy forbids.
const plugins = (Dygraph as any).PLUGINS as unknown[];
(Dygraph as any).PLUGINS = plugins.filter((plugin) => plugin !== (Dygraph as any).Plugins.Legend);

const style = () => getComputedStyle(document.documentElement);
const colour = (name: string) => style().getPropertyValue(name).trim();

/** Rows of [x, y, ...]; the labels are this page's own words. */
export class Chart {
  readonly element: HTMLElement;
  private holder = h("div", { class: "chart" });
  private graph: any = null;

  constructor(title: string, private labels: string[], private options: Record<string, unknown> = {}) {
    this.element = h("figure", {}, h("figcaption", {}, title), this.holder);
    this.holder.setAttribute("role", "img");
    this.holder.setAttribute("aria-label", title);
  }

  show(rows: unknown[][]): void {
    if (rows.length < 2) {
      if (!this.graph) this.holder.textContent = "not enough to draw yet";
      return;
    }
    if (this.graph) return void this.graph.updateOptions({ file: rows });
    this.holder.textContent = "";
    this.graph = new Dygraph(this.holder, rows, {
      labels: this.labels, legend: "never", colors: [colour("--accent"), colour("--second"), colour("--bad")],
      axisLineColor: colour("--line"), gridLineColor: colour("--line"), strokeWidth: 1.5, axisLabelFontSize: 12,
      includeZero: true, animatedZooms: false, ...this.options,
    });
  }
}

/** Members on a circle, an arrow for each who hears whom; closed edges are dashed and red. */
export function map_of(graph: Record<string, any>): Element {
  const names: string[] = graph.names;
  const size = 440, middle = size / 2, radius = middle - 60;
  const shown = names.slice(0, 200);
  const at = (k: number) => {
    const turn = (2 * Math.PI * k) / Math.max(1, shown.length) - Math.PI / 2;
    return [middle + radius * Math.cos(turn), middle + radius * Math.sin(turn), turn];
  };
  const picture = svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", class: "map",
    "aria-label": `who hears whom: ${names.length} members, ${graph.edges.length} edges, ` +
      `${graph.edges.filter((edge: number[]) => edge[2]).length} of them closed` });
  const line = (x0: number, y0: number, x1: number, y1: number, kind: string) =>
    picture.append(svg("line", { x1: x0, y1: y0, x2: x1, y2: y1, class: kind }));
  if (graph.server) {
    shown.forEach((_, k) => line(middle, middle, at(k)[0], at(k)[1], graph.here[k] ? "edge" : "edge closed"));
    picture.append(svg("circle", { cx: middle, cy: middle, r: 9, class: "server" }));
  }
  for (const [from, to, closed] of graph.edges) {
    if (from >= shown.length || to >= shown.length) continue;
    line(at(from)[0], at(from)[1], at(to)[0], at(to)[1], closed ? "edge closed" : "edge");
  }
  shown.forEach((name, k) => {
    const [x, y, turn] = at(k);
    picture.append(svg("circle", { cx: x, cy: y, r: shown.length > 60 ? 3 : 6, class: graph.here[k] ? "member" : "member gone" }));
    if (shown.length > 40) return;
    const right = Math.cos(turn) >= -0.01;
    const text = svg("text", { x: x + (right ? 9 : -9), y: y + 4, "text-anchor": right ? "start" : "end" });
    text.textContent = name.length > 12 ? name.slice(0, 11) + "…" : name;
    picture.append(text);
  });
  return picture;
}
