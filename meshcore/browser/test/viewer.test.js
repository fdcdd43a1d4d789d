// How a viewer begins, without a page: what passes to the player before is not fetched again.

import assert from "node:assert/strict";
import test from "node:test";

globalThis.document ??= /** @type {any} */ ({ querySelectorAll: () => [] });
globalThis.fetch = async () => new Response("", { status: 403 }); // no session
const { Engine } = await import("../www/peer/engine.js");
const { Viewer } = await import("../www/viewer.js");

test("a busy page fetches nothing that passed before its player had begun", async (t) => {
  const mesh = { list() {}, mode: () => "full", keep() {}, device: { describe: () => ({}) }, state: { download: true, upload: true }, worker: null };
  const viewer = new Viewer(/** @type {any} */ (mesh), { session: "https://x/session", swarm: "s" });
  t.after(() => viewer.rest());
  const base = "https://x/live.m3u8", names = Array.from({ length: 9 }, (_, i) => `${i}.ts`);
  await viewer.playlist(base, base, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + names.map((n) => `#EXTINF:0.2,\n${n}`).join("\n"));
  viewer.engine = new Engine({ id: "0123456789abcdef", seed: 1n });
  viewer.signaling = /** @type {any} */ ({ send() {}, close() {} });
  viewer.connections = /** @type {any} */ ({ all: new Map(), closeAll() {} });
  const step = viewer.engine.step.bind(viewer.engine);
  viewer.engine.step = (at, input) => {
    const effects = step(at, input);
    for (const end = performance.now() + 10; performance.now() < end; ); // longer than the engine takes to settle
    return effects;
  };
  const fetched = [];
  viewer.downloads.fetch = async (segment) => void fetched.push(segment);
  const ask = (n) => /** @type {any} */ (viewer.request(`https://x/${n}`, null, AbortSignal.abort()));
  for (const n of names.slice(0, 6)) {
    const { tee } = ask(n);
    assert.ok(tee, "before the player has begun all passes");
    tee.whole(200, new Headers({ "Content-Length": "5" }), new TextEncoder().encode("bytes").buffer);
  }
  await new Promise((resolve) => setTimeout(resolve)); // the bytes are stored
  assert.ok(ask(names[6]).head);
  viewer.step({ kind: "tick" });
  const passed = names.slice(0, 6).map((n) => viewer.presentation.find(`https://x/${n}`)[0].id);
  assert.deepEqual(fetched.filter((segment) => passed.includes(segment)), []);
});
