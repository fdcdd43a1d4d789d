// How a viewer begins, without a page: what passes to the player before, and what the engine hears of it then.

import assert from "node:assert/strict";
import test from "node:test";

globalThis.document ??= /** @type {any} */ ({ querySelectorAll: () => [] });
globalThis.fetch = async () => new Response("", { status: 403 }); // no session
const { Viewer } = await import("../www/viewer.js");

test("the engine hears of all that passed before at one moment, and plans then", async (t) => {
  const mesh = { list() {}, mode: () => "full", keep() {}, device: { describe: () => ({}) }, state: { download: true, upload: true }, worker: null };
  const viewer = new Viewer(/** @type {any} */ (mesh), { session: "https://x/session", swarm: "s" });
  t.after(() => ((viewer.engine = null), viewer.rest()));
  const base = "https://x/live.m3u8", names = Array.from({ length: 9 }, (_, i) => `${i}.ts`);
  await viewer.playlist(base, base, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + names.map((n) => `#EXTINF:2,\n${n}`).join("\n"));
  const steps = [];
  viewer.engine = /** @type {any} */ ({
    step(at, input) {
      steps.push([input.kind, at]);
      for (const end = performance.now() + 2; performance.now() < end; ); // a busy page
      return [];
    },
    lookup: () => ({ known: 1, theirs: [] }), nextDeadline: () => Infinity, playhead: () => 0, playing: false, originRate: 0,
  });
  for (const n of names.slice(0, 6)) {
    const { tee } = /** @type {any} */ (viewer.request(`https://x/${n}`, null, AbortSignal.abort()));
    assert.ok(tee, "before the player has begun all passes");
    tee.whole(200, new Headers({ "Content-Length": "5" }), new TextEncoder().encode("bytes").buffer);
  }
  await new Promise((resolve) => setTimeout(resolve)); // the bytes are stored
  steps.length = 0;
  assert.ok(/** @type {any} */ (viewer.request(`https://x/${names[6]}`, null, AbortSignal.abort())).head);
  const told = steps.filter(([kind]) => kind === "manifest" || kind === "origin_done");
  assert.equal(told.length, 7, JSON.stringify(steps));
  assert.equal(new Set(told.map(([, at]) => at)).size, 1);
});
