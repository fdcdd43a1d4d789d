// The entry of a page:
//
//   <script type="module" src="/mesh/mesh.js"></script>
//
// data-mesh="off" does nothing, "receive-only" takes and gives nothing. A page that asks first has no such tag but
//
//   <script type="module">
//     import { consent } from "/mesh/mesh.js";
//     consent(async () => (await askTheViewer()) ? "full" : "off");
//   </script>
//
// data-worker="/sw.js" names a worker file of the site's own, for pages on another host than the edge. window.mesh is
// the Mesh of page.js.

// These first: what is alike is smaller close together.
import "./peer/engine.js";
import "./tokens.js";
import "./store.js";
import "./mpd.js";

import { mesh } from "./page.js";
import "./stats.js";

export { mesh };

const tag = [...document.querySelectorAll("script[src]")].find((s) => /** @type {HTMLScriptElement} */ (s).src === import.meta.url);
const option = tag?.getAttribute("data-mesh") ?? "";
const script = new URL(tag?.getAttribute("data-worker") ?? new URL("sw.js", import.meta.url), document.baseURI);

/**
 * consent asks, and begins as the viewer says: "full" (or true), "receive_only", or anything else for nothing.
 * @param {() => unknown} ask
 */
export async function consent(ask) {
  const answer = await ask();
  if (answer === true || answer === "full" || answer === "receive_only") await mesh.start(script, { receiveOnly: answer === "receive_only" });
}

if (tag && option !== "off") mesh.start(script, { receiveOnly: /^receive.only$/.test(option) });
