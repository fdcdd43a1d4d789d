// How a viewer begins, without a page: what passes to the player before is not fetched again.

import assert from "node:assert/strict";
import test from "node:test";
import { Need, Tick } from "../www/peer/input.js";

globalThis.document ??= /** @type {any} */ ({ querySelectorAll: () => [] });
globalThis.fetch = async () => new Response("", { status: 403 }); // no session
const { Engine } = await import("../www/peer/engine.js");
const { Viewer } = await import("../www/viewer.js");

const base = "https://x/live.m3u8";

/** scene is a viewer of a playlist, with an engine and nobody to talk to. */
async function scene(t, playlist) {
  const mesh = { list() {}, mode: () => "full", keep() {}, device: { describe: () => ({}) }, state: { download: true, upload: true }, worker: null };
  const viewer = new Viewer(/** @type {any} */ (mesh), { session: "https://x/session", swarm: "s" });
  t.after(() => viewer.rest());
  await viewer.playlist(base, base, playlist);
  viewer.engine = new Engine({ id: "0123456789abcdef", seed: 1n });
  viewer.signaling = /** @type {any} */ ({ send() {}, close() {} });
  viewer.connections = /** @type {any} */ ({ all: new Map(), closeAll() {} });
  return viewer;
}

test("a busy page fetches nothing that passed before its player had begun", async (t) => {
  const names = Array.from({ length: 9 }, (_, i) => `${i}.ts`);
  const viewer = await scene(t, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + names.map((n) => `#EXTINF:0.2,\n${n}`).join("\n"));
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
  viewer.step({ kind: Tick });
  const passed = names.slice(0, 6).map((n) => viewer.presentation.find(`https://x/${n}`)[0].id);
  assert.deepEqual(fetched.filter((segment) => passed.includes(segment)), []);
});

test("the engine knows how long a segment waits at the origin", async (t) => {
  const viewer = await scene(t, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.2,\n0.ts");
  viewer.request("https://x/0.ts", null, AbortSignal.abort());
  viewer.heard({ type: "peers", swarm_size: 9, origin_wait_ms: 1500 });
  assert.equal(viewer.engine.originWait, 1.5e9);
  viewer.heard({ type: "peers", swarm_size: 9 });
  assert.equal(viewer.engine.originWait, 0);
});

test("a part that a neighbor fetches on its hint is waited for until it is listed", async (t) => {
  const low = (/** @type {string} */ lines) => `#EXTM3U
#EXT-X-TARGETDURATION:1
#EXT-X-PART-INF:PART-TARGET=0.1
#EXT-X-MEDIA-SEQUENCE:6
#EXTINF:0.2,
6.ts
#EXT-X-PART:DURATION=0.1,URI="7.0.ts"
${lines}`;
  const viewer = await scene(t, low('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="7.1.ts"'));
  const ask = (/** @type {string} */ n) => /** @type {any} */ (viewer.request(`https://x/${n}`, null, new AbortController().signal));
  viewer.downloads.early = async () => assert.fail("it is not this viewer's turn");
  viewer.downloads.fetch = async () => {};
  viewer.begun = true;
  viewer.engine.duty = { rank: 0, of: 2, fetchers: 1 };
  ask("7.0.ts");
  assert.ok(ask("7.1.ts").tee, "without neighbors it passes");
  viewer.engine.neighbors = () => 1;
  const needed = [], step = viewer.engine.step.bind(viewer.engine);
  viewer.engine.step = (at, input) => (input.kind === Need && needed.push(input.segment), step(at, input));

  const { head } = ask("7.1.ts"), [{ id }] = viewer.presentation.hints();
  assert.ok(head);
  await viewer.playlist(base, base, low('#EXT-X-PART:DURATION=0.1,URI="7.1.ts"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="7.2.ts"'));
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(needed, [id], "then the engine is asked for it");

  await assert.rejects(ask("7.2.ts").head, "that comes to nothing, and whoever waits asks the network");
});

test("a page whose edge does not know its swarm loads the manifest again, once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const [name, again, want] of [
    ["another swarm", "two", ["one", "manifest", "two"]],
    ["the same", "one", ["one", "manifest", "one"]],
    ["not yet", "later", ["one", "manifest", "manifest", "two"]],
    ["no mesh", "", ["one", "manifest"]],
  ]) {
    const asked = [];
    const fetch = t.mock.method(globalThis, "fetch", async (url, init) => {
      if (url === "https://x/session") {
        const { swarm } = JSON.parse(init.body);
        asked.push(swarm);
        return Response.json({ code: swarm === "one" ? "unknown_swarm" : "banned" }, { status: 403 });
      }
      assert.equal(url, "https://x/i.m3u8?t=T#mesh");
      assert.equal(init.cache, "no-cache");
      asked.push("manifest");
      if (again === "later" && asked.length < 3) return new Response("", { status: 503, headers: { "Retry-After": "1" } });
      const swarm = again === "later" ? "two" : again;
      const r = new Response("#EXTM3U", { headers: swarm ? { "Mesh-Bootstrap": `v=1, session="/session", swarm="${swarm}"` } : {} });
      Object.defineProperty(r, "url", { value: "https://x/i.m3u8?t=T" });
      return r;
    });
    const mesh = { viewers: new Map(), list() {}, mode: () => "full", keep() {}, device: { describe: () => ({}) }, state: { download: true, upload: true }, worker: null, requests: {} };
    const viewer = new Viewer(/** @type {any} */ (mesh), { session: "https://x/session", swarm: "one" }, "https://x/i.m3u8?t=T");
    mesh.viewers.set("one", viewer);
    for (let i = 0; i < 20 || (asked.length < want.length && i < 2000); i++) { // keys are made meanwhile
      for (let n = 0; n < 20; n++) await null; // what was answered is read
      await new Promise((resolve) => setImmediate(resolve));
      t.mock.timers.tick(3000);
    }
    viewer.rest();
    assert.deepEqual(asked, want, name);
    if (want.includes("two")) assert.deepEqual([...mesh.viewers.keys()], ["two"], name);
    fetch.mock.restore();
  }
});
