// SPDX-License-Identifier: Apache-2.0
"use strict";

// Lines with bands as SVG. Text only ever becomes text nodes.
const chartColours = ["#0b6bcb", "#c2410c", "#15803d", "#9333ea", "#b45309", "#0e7490", "#be185d", "#57606a"];

function svgElement(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function shortNumber(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "";
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)}k`;
  if (Number.isInteger(value)) return String(value);
  return size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

// Round steps for about `count` ticks from low to high.
function ticks(low, high, count) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw);
  const all = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) {
    all.push(Number(value.toPrecision(12)));
  }
  return all;
}

// Of curves [{x, y}] of one group: the mean over x, and the least and the largest there. Each curve holds its last value
// between its points; where it has not begun or has ended it takes no part.
function bandOf(curves) {
  if (curves.length === 1) return { x: curves[0].x, mean: curves[0].y, low: null, high: null };
  const x = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b);
  const at = curves.map(() => 0);
  const mean = [], low = [], high = [], kept = [];
  for (const place of x) {
    let sum = 0, count = 0, least = Infinity, most = -Infinity;
    curves.forEach((curve, k) => {
      while (at[k] + 1 < curve.x.length && curve.x[at[k] + 1] <= place) ++at[k];
      if (curve.x[at[k]] > place || place > curve.x[curve.x.length - 1]) return;
      const y = curve.y[at[k]];
      sum += y;
      ++count;
      least = Math.min(least, y);
      most = Math.max(most, y);
    });
    if (count === 0) continue;
    kept.push(place);
    mean.push(sum / count);
    low.push(least);
    high.push(most);
  }
  return { x: kept, mean, low, high };
}

// series: [{name, curves: [{x, y}]}]
function drawChart(container, series, xTitle, yTitle) {
  const width = Math.max(320, Math.min(1200, container.clientWidth || 900));
  const height = Math.round(Math.max(240, Math.min(420, width * 0.42)));
  const left = 62, right = 14, top = 12, bottom = 42;
  const drawn = series.map((one) => ({ name: one.name, count: one.curves.length, ...bandOf(one.curves) }));
  const xs = drawn.flatMap((one) => one.x);
  const ys = drawn.flatMap((one) => (one.low ? [...one.low, ...one.high] : one.mean));
  container.replaceChildren();
  if (xs.length === 0) {
    const nothing = document.createElement("p");
    nothing.className = "soft";
    nothing.textContent = "No run that is shown has numbers of this metric yet.";
    container.append(nothing);
    return;
  }
  const extent = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const [xLow, xHigh] = extent(xs);
  let [yLow, yHigh] = extent(ys);
  if (yLow === yHigh) [yLow, yHigh] = [yLow - 0.5, yHigh + 0.5];
  const px = (x) => left + ((x - xLow) / (xHigh - xLow || 1)) * (width - left - right);
  const py = (y) => height - bottom - ((y - yLow) / (yHigh - yLow)) * (height - top - bottom);
  const svg = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(svgElement("title", {}, `${yTitle} over ${xTitle}, ${drawn.length} ${drawn.length === 1 ? "line" : "lines"}`));
  for (const y of ticks(yLow, yHigh, 5)) {
    svg.append(svgElement("line", { class: "axis", x1: left, x2: width - right, y1: py(y), y2: py(y) }));
    svg.append(svgElement("text", { x: left - 6, y: py(y) + 4, "text-anchor": "end" }, shortNumber(y)));
  }
  for (const x of ticks(xLow, xHigh, Math.max(2, Math.floor(width / 130)))) {
    svg.append(svgElement("text", { x: px(x), y: height - bottom + 18, "text-anchor": "middle" }, shortNumber(x)));
  }
  svg.append(svgElement("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xTitle));
  svg.append(svgElement("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  const path = (x, y) => x.map((v, k) => `${k ? "L" : "M"}${px(v).toFixed(1)} ${py(y[k]).toFixed(1)}`).join("");
  drawn.forEach((one, k) => {
    const colour = chartColours[k % chartColours.length];
    if (!one.low) return;
    const back = one.x.map((_, j) => one.x.length - 1 - j);
    const area = path(one.x, one.high) + path(back.map((j) => one.x[j]), back.map((j) => one.low[j])).replace("M", "L");
    svg.append(svgElement("path", { d: `${area}Z`, fill: colour, "fill-opacity": 0.16 }));
  });
  const dashes = ["", "6 3", "2 3"];
  drawn.forEach((one, k) => {
    const style = { fill: "none", stroke: chartColours[k % chartColours.length], "stroke-width": 1.8,
      "stroke-dasharray": dashes[Math.floor(k / chartColours.length) % dashes.length] };
    svg.append(svgElement("path", { d: path(one.x, one.mean), ...style }));
  });
  container.append(svg);
  const legend = document.createElement("ul");
  legend.className = "legend";
  drawn.forEach((one, k) => {
    const item = document.createElement("li");
    const key = svgElement("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
    key.append(svgElement("line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: chartColours[k % chartColours.length],
      "stroke-width": 3, "stroke-dasharray": dashes[Math.floor(k / chartColours.length) % dashes.length] }));
    item.append(key, one.count > 1 ? `${one.name} (${one.count} runs)` : one.name);
    legend.append(item);
  });
  container.append(legend);
}
