// A stacked area chart in SVG: the origin at the bottom, viewers on top of it.

import { roundRate } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 74; // px for the axis
const BOTTOM = 22;

/** @param {string} name @param {Record<string, string|number>} attributes @param {string} [text] */
function element(name, attributes, text) {
  const e = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, String(value));
  if (text) e.textContent = text;
  return e;
}

/** ceiling is the next 1, 2 or 5 times a power of ten. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}

/** since writes a time back from now. @param {number} ms */
function since(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds === 0) return "now";
  return seconds < 120 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""} ago`;
}

/** smooth is a centered mean over three points: segments come in steps of 2 s, as the numbers do. */
function smooth(points) {
  return points.map((p, i) => {
    const near = points.slice(Math.max(0, i - 1), i + 2).filter((q) => Math.abs(q.at - p.at) < 5000);
    const mean = (key) => near.reduce((sum, q) => sum + q[key], 0) / near.length;
    return { at: p.at, peers: mean("peers"), origin: mean("origin") };
  });
}

/**
 * draw fills the box with the chart of the last span ms.
 * @param {HTMLElement} box
 * @param {{at: number, peers: number, origin: number}[]} raw in bit/s
 * @param {number} now ms
 * @param {number} span ms
 * @param {string} word shown in their place while there is nothing to draw
 */
export function draw(box, raw, now, span, word) {
  const { clientWidth: width, clientHeight: height } = box;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const points = smooth(raw);
  const most = Math.max(0, ...points.map((p) => p.peers + p.origin));
  const top = ceiling(Math.max(most * 1.05, 1e5));
  const x = (at) => LEFT + (1 - (now - at) / span) * (width - LEFT);
  const y = (value) => 8 + (1 - value / top) * (height - BOTTOM - 8);

  for (const part of most > 0 ? [0, 0.5, 1] : [0]) {
    const level = y(part * top);
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width, y1: level, y2: level }));
    svg.append(element("text", { x: LEFT - 10, y: level + 4, "text-anchor": "end" }, part ? roundRate(part * top) : "0"));
  }
  for (const ago of [span, span / 2, 0]) {
    const anchor = ago === span ? "start" : ago ? "middle" : "end";
    svg.append(element("text", { x: x(now - ago), y: height - 3, "text-anchor": anchor }, since(ago)));
  }

  // A pause without numbers parts the areas.
  for (let start = 0; start < points.length && most > 0; ) {
    let end = start + 1;
    while (end < points.length && points[end].at - points[end - 1].at < 5000) end++;
    const run = points.slice(start, end).filter((p) => x(p.at) >= LEFT);
    start = end;
    if (run.length < 2) continue;
    const line = (value) => run.map((p) => `${x(p.at).toFixed(1)},${y(value(p)).toFixed(1)}`);
    const zero = line(() => 0);
    const origin = line((p) => p.origin);
    const both = line((p) => p.origin + p.peers);
    svg.append(
      element("polygon", { class: "area-peers", points: [...both, ...origin.toReversed()].join(" ") }),
      element("polygon", { class: "area-origin", points: [...origin, ...zero.toReversed()].join(" ") }),
    );
  }
  box.replaceChildren(svg);
  if (most === 0) {
    const p = document.createElement("p");
    p.textContent = word;
    box.append(p);
  }
}
