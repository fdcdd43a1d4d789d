// <mesh-stats>: the page's numbers. It takes its colors and its font from where it stands.

import { mesh } from "./page.js";

const style = `
  :host { display: inline-flex; flex-wrap: wrap; gap: .2em 1.2em; align-items: baseline; font-variant-numeric: tabular-nums; }
  b { font-weight: 600; }
  .bar { flex: 1 0 100%; display: flex; height: .4em; border-radius: 1em; overflow: hidden; background: color-mix(in srgb, currentColor 15%, transparent); }
  .bar i { width: 0; background: var(--mesh-peers, #2f9e6e); transition: width .6s; }`;

const sheet = new CSSStyleSheet(); // a page's Content-Security-Policy may forbid <style>
sheet.replaceSync(style);

/** @param {number} n */
function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 999.5 && i < 4; i++) n /= 1000;
  return `${i && n < 99.95 ? n.toFixed(1) : Math.round(n)}\u00a0${units[i]}`;
}

class MeshStats extends HTMLElement {
  connectedCallback() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = `<span class="bar"><i></i></span>
      <span><b id="share">–</b> saved</span><span><b id="peers">0</b> connected</span>
      <span><b id="origin">–</b> from the origin</span><span><b id="given">–</b> given</span>`;
    this.listener = () => this.#draw();
    mesh.addEventListener("stats", this.listener);
    this.#draw();
  }

  disconnectedCallback() {
    mesh.removeEventListener("stats", this.listener);
  }

  #draw() {
    const s = mesh.stats;
    const set = (/** @type {string} */ id, /** @type {string} */ text) => (this.shadowRoot.getElementById(id).textContent = text);
    const any = s.peerBytes + s.originBytes > 0;
    set("share", any ? Math.floor(s.saving * 100) + "\u00a0%" : "–");
    set("peers", String(s.neighbors));
    set("origin", bytes(s.originBytes));
    set("given", bytes(s.uploadedBytes));
    /** @type {HTMLElement} */ (this.shadowRoot.querySelector(".bar i")).style.width = `${s.saving * 100}%`;
  }
}

if (!customElements.get("mesh-stats")) customElements.define("mesh-stats", MeshStats);
