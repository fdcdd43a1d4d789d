// The demo page: a player, and the edge's numbers beside it.

import { bytes, count, percent, rate } from "./format.js";
import { draw } from "./chart.js";
import { poll, Rates } from "./stats.js";
import { drawWeb } from "./web.js";

const SPAN = 180_000; // ms in the chart at most
const FIRST_SPAN = 60_000; // ms in the chart at first
const PATIENCE = 1500; // ms that the player waits for the mesh to be ready
const $ = (id) => document.getElementById(id);

// --- player ------------------------------------------------------------------------------------------------

const video = /** @type {HTMLVideoElement} */ ($("video"));
const native = video.canPlayType("application/vnd.apple.mpegurl") !== "";

/** @param {string} text shown over the picture; empty takes it away */
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = text === "";
}

function play() {
  const stream = document.querySelector("input[name=stream]:checked");
  if (!native) {
    notice("This browser does not play HLS by itself. Below is how to use hls.js, or open the page in Safari, Chrome or Edge.");
    return;
  }
  notice("");
  video.src = stream.value;
  video.play().catch(() => {}); // where autoplay is not allowed the controls are there
}

video.addEventListener("error", () => {
  notice("The stream does not play just now. Is it running? Choose it again to retry.");
});
video.addEventListener("playing", () => notice(""));
video.addEventListener("timeupdate", () => {
  $("picture").textContent = video.videoHeight ? `${video.videoWidth} × ${video.videoHeight}` : "";
});
for (const input of document.querySelectorAll("input[name=stream]")) input.addEventListener("change", play);
$("here").textContent = native ? "This browser is one of them." : "This browser is not one of them.";

// A page need not wait for its mesh: what it asks for before comes from the origin. This one shows it off.
const mesh = globalThis.mesh; // of /mesh/mesh.js, absent where that is not there
Promise.race([mesh?.ready, new Promise((resolve) => setTimeout(resolve, mesh ? PATIENCE : 0))]).then(play);

mesh?.addEventListener("stats", () => {
  const { neighbors, stats } = mesh;
  $("mesh-panel").hidden = neighbors.length === 0;
  if (neighbors.length === 0) return;
  drawWeb($("web"), neighbors);
  $("own").textContent = `This page took ${bytes(stats.peerBytes)} from ${count(neighbors.length, "viewer")}, ` +
    `${bytes(stats.originBytes)} from the origin, and gave ${bytes(stats.uploadedBytes)}.`;
});

// --- numbers -----------------------------------------------------------------------------------------------

const rates = new Rates(SPAN);
let word = "waiting for the first numbers";

function redraw() {
  const now = performance.now();
  const span = Math.min(SPAN, Math.max(FIRST_SPAN, now - (rates.points[0]?.at ?? now)));
  draw($("chart"), rates.points, now, span, word);
}

/** @param {string} state @param {string} text */
function say(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

/** @param {import("./stats.js").Stats} stats */
function show(stats) {
  rates.add(performance.now(), stats);
  const total = stats.peer_bytes + stats.origin_bytes;
  $("numbers").toggleAttribute("data-stale", false);
  $("saving").textContent = total ? percent(stats.saving) : "–";
  $("saving").toggleAttribute("data-empty", total === 0);
  // The first figure stands at once; only a change moves.
  $("split").toggleAttribute("data-moves", $("split-origin").style.width !== "");
  $("split-peers").style.width = total ? `${stats.offload * 100}%` : "";
  $("split-origin").style.width = total ? `${(1 - stats.offload) * 100}%` : "";
  $("peer-bytes").textContent = bytes(stats.peer_bytes);
  $("origin-bytes").textContent = bytes(stats.origin_bytes);
  $("relayed-bytes").textContent = bytes(stats.relayed_bytes);
  $("egress-bytes").textContent = bytes(stats.origin_egress_bytes);
  $("sessions").textContent = String(stats.sessions);
  const now = rates.now();
  $("peer-rate").textContent = rate(now.peers);
  $("origin-rate").textContent = rate(now.origin);
  if (stats.sessions > 0) {
    say("mesh", `${count(stats.sessions, "viewer")} in the mesh`);
    word = "no segment has been counted yet";
  } else {
    say("empty", "No viewer in the mesh yet");
    word = "no viewer yet: start some with the command below";
  }
  showSwarms(stats.swarms);
  redraw();
}

/** @param {import("./stats.js").SwarmStats[]} swarms */
function showSwarms(swarms) {
  $("swarms").hidden = swarms.length === 0;
  $("swarms").querySelector("tbody").replaceChildren(
    ...swarms.map((swarm) => {
      const row = document.createElement("tr");
      const share = swarm.peer_bytes + swarm.origin_bytes ? percent(swarm.saving) : "–";
      for (const text of [swarm.presentation, String(swarm.peers), bytes(swarm.peer_bytes), share]) {
        row.insertCell().textContent = text;
      }
      return row;
    }),
  );
}

/** @param {string} reason */
function silent(reason) {
  rates.gap();
  say("silent", reason);
  $("numbers").toggleAttribute("data-stale", true);
  word = "no numbers from the edge; playback does not need them";
  $("peer-rate").textContent = $("origin-rate").textContent = "–";
  redraw();
}

new ResizeObserver(redraw).observe($("chart"));
poll("/mesh/stats", show, silent);

// --- command -----------------------------------------------------------------------------------------------

$("command").textContent = `go run ./examples/peer --count 20 ${location.origin}/live/index.m3u8`;
if (navigator.clipboard) {
  $("copy").hidden = false;
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("command").textContent);
    $("copy").textContent = "Copied";
    setTimeout(() => ($("copy").textContent = "Copy"), 1500);
  });
}
