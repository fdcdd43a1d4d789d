// What the tests see of a page.

const query = new URLSearchParams(location.search);
export const video = document.getElementById("video");
export const src = query.get("src");
export const worker = !query.has("loader");

globalThis.waits = 0;
globalThis.when = [];
video.addEventListener("waiting", () => video.played.length && video.currentTime - video.played.start(0) > 0.5 && !video.ended && globalThis.waits++ < 9 && when.push(video.currentTime));
const played = () => [...Array(video.played.length).keys()].reduce((s, i) => s + video.played.end(i) - video.played.start(i), 0);
globalThis.look = () => ({
  played: video.ended ? 1e9 : played(),
  time: video.currentTime, height: video.videoHeight, error: video.error?.message, waits, when, stats: globalThis.mesh?.stats, state: globalThis.mesh?.state,
  levels: globalThis.levels, buffered: video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0,
});

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
