// What the tests see of a page.

const query = new URLSearchParams(location.search);
export const video = document.getElementById("video");
export const src = query.get("src");
export const worker = !query.has("loader");
export const cmcd = query.has("cmcd"); // the player tells the server its measures
export const added = query.get("add"); // to the query of each of the player's URLs
export const authorization = query.has("token") ? "Bearer " + query.get("token") : null; // of the player's requests

let played = 0, last = 0; // s; a jump is not playing
video.addEventListener("timeupdate", () => {
  const d = video.currentTime - last;
  if (d > 0 && d < 2) played += d;
  last = video.currentTime;
});
globalThis.waits = 0;
globalThis.when = [];
globalThis.heights = []; // of the picture
video.addEventListener("resize", () => heights.at(-1) !== video.videoHeight && heights.push(video.videoHeight));
video.addEventListener("waiting", () => played > 0.5 && !video.ended && globalThis.waits++ < 9 && when.push(video.currentTime));
globalThis.look = () => ({
  played: video.ended ? 1e9 : played,
  time: video.currentTime, height: video.videoHeight, error: video.error?.message, waits, when, stats: globalThis.mesh?.stats, state: globalThis.mesh?.state,
  heights, buffered: video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0,
});

// A page of a browser that the tests do not drive says how it goes.
if (query.has("tell")) {
  const faults = [];
  for (const type of ["error", "unhandledrejection"]) addEventListener(type, (e) => faults.push(String(e.message ?? e.reason)));
  setInterval(() => fetch("/told", { method: "POST", body: JSON.stringify({ ...look(), neighbors: globalThis.mesh?.neighbors, faults }) }), 500);
}

// compare asks for each segment of a playlist twice, of the worker and of the origin, and counts the equal ones.
globalThis.compare = async (playlist) => {
  const text = await (await fetch(playlist + "#mesh")).text();
  let equal = 0, different = 0;
  for (const line of text.split("\n").filter((l) => l && !l.startsWith("#"))) {
    const url = new URL(line, new URL(playlist, location)).href;
    const [a, b] = await Promise.all([url, url + "#mesh"].map(async (u) => new Uint8Array(await (await fetch(u, { cache: "no-store" })).arrayBuffer())));
    if (a.length === b.length && a.every((x, i) => x === b[i])) equal++;
    else different++;
  }
  return { equal, different };
};
