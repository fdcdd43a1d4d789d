// The live picture of the mesh: this page in the middle, around it the viewers that it is connected with, or beside it the
// only one. The lines are as thick as what went each way since the last picture.

import { bytes } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const THICKEST = 7; // px
const FULL = 250_000; // bytes since the last picture that make a line of that

/** @typedef {{peer: string, received: number, given: number, relayed: boolean}} Neighbor */

/** @type {Map<string, Neighbor>} of the last picture */
let last = new Map();

/** @param {string} name @param {Record<string, string|number>} attributes @param {string} [text] */
function element(name, attributes, text) {
  const e = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, String(value));
  if (text) e.textContent = text;
  return e;
}

/** thickness of a line, in px. @param {number} moved bytes */
const thickness = (moved) => (moved <= 0 ? 0.75 : 1 + THICKEST * Math.sqrt(Math.min(1, moved / FULL)));

/**
 * drawWeb fills the box with the picture.
 * @param {HTMLElement} box
 * @param {Neighbor[]} neighbors
 */
export function drawWeb(box, neighbors) {
  box.toggleAttribute("data-flat", neighbors.length < 3); // they lie in a row
  const { clientWidth: width, clientHeight: height } = box;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const x = neighbors.length > 1 ? width / 2 : width / 4, y = height / 2;
  const nodes = element("g", {});
  neighbors.forEach((n, i) => {
    const angle = (2 * Math.PI * i) / neighbors.length;
    const nx = width / 2 + Math.cos(angle) * (neighbors.length > 1 ? width / 2 - 70 : width / 4), ny = y + Math.sin(angle) * (height / 2 - 30);
    const before = last.get(n.peer) ?? n;
    // Two lines side by side: the one to this page, the one from it.
    const long = Math.hypot(nx - x, ny - y) || 1, dx = ((ny - y) / long) * 5, dy = ((x - nx) / long) * 5;
    const line = (/** @type {string} */ kind, /** @type {number} */ side, /** @type {number} */ moved) => element("line", {
      class: kind, x1: x + dx * side, y1: y + dy * side, x2: nx + dx * side, y2: ny + dy * side, "stroke-width": thickness(moved),
    });
    svg.append(line("to", 1, n.received - before.received), line("from", -1, n.given - before.given));
    nodes.append(
      element("circle", { class: n.relayed ? "relayed" : "", cx: nx, cy: ny, r: 8 }),
      element("text", { x: nx, y: ny + (ny < y ? -14 : 24), "text-anchor": "middle" }, bytes(n.received)),
    );
  });
  const self = element("text", { x, y: y + 34, "text-anchor": "middle" }, "this page");
  svg.append(nodes, self, element("circle", { class: "self", cx: x, cy: y, r: 15 }));
  box.replaceChildren(svg);
  last = new Map(neighbors.map((n) => [n.peer, n]));
}
