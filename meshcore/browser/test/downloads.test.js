// Parts that come on a hint: what the engine hears of them, and when.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { Downloads } from "../www/downloads.js";
import { Layout } from "../www/integrity.js";
import { OriginChunk, OriginDone, OriginProof, OriginTimed } from "../www/peer/input.js";
import { Presentation } from "../www/presentation.js";
import { Store } from "../www/store.js";

const base = "https://example.com/live/v0.m3u8";
const size = 20_000;
const bytes = Uint8Array.from({ length: size }, (_, i) => i * 7);
const layout = new Layout(size, 16384);
const hashes = Buffer.concat([0, 1].map((i) => createHash("sha256").update(bytes.subarray(...layout.range(i))).digest()));
const pass = `.${Buffer.from(JSON.stringify({ scp: ["/live/"] })).toString("base64url")}.`;

const playlist = (lines) => `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=1.0\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2,\n7.m4s\n${lines}`;
const hint = (name) => `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${name}"\n`;
const part = (name) => `#EXT-X-PART:DURATION=1.0,URI="${name}"\n`;

/** scene is a viewer of a playlist that hints at 8.0.m4s, and an origin that answers a part when it is told to. */
async function scene(t) {
  const s = { told: [], asked: [], delivered: 0, make: null, changed() {} };
  const made = new Promise((resolve) => (s.make = resolve));
  const presentation = new Presentation({ listed() {}, changed: () => s.changed(), ended() {}, kept: () => false, now: () => 0 });
  s.store = new Store();
  s.read = (lines) => presentation.read(base, base, playlist(lines));
  await s.read(part("8.x.m4s") + hint("8.0.m4s"));
  presentation.asked(presentation.index.get(new URL("8.x.m4s", base).href)[0]);
  [s.hint] = presentation.hints();
  s.downloads = new Downloads(s.store, {
    step: (input) => s.told.push([input.kind, input.chunk ?? input.bytes ?? ""]),
    knows: (segment) => presentation.byId.get(segment)?.hint === false,
    record: (segment) => presentation.byId.get(segment),
    url: (r) => presentation.fetchURL(r),
    delivered: () => s.delivered++,
    listing: (r) => presentation.listing(r),
    session: () => ({ segment: "https://example.com/mesh/segment", pass }),
    requests: () => ({ credentials: "same-origin", headers: {} }),
    trust: () => ({ proof: async () => ({ token: "t", hashes, path: "/live/8.0.m4s", layout, root: new Uint8Array(32), issued: 1 }) }),
  });
  t.mock.method(globalThis, "fetch", async (url, { signal }) => {
    s.asked.push(new URL(url).pathname);
    if (url.includes("/mesh/segment")) return Response.json({ token: "t", hashes: hashes.toString("base64") });
    await Promise.race([made, new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))]);
    return s.status ? new Response("", { status: s.status }) : new Response(bytes);
  });
  s.entry = () => s.store.entries.get(s.hint.id);
  s.until = async (true_) => {
    for (let i = 0; !true_(); i++) {
      assert.ok(i < 1000, `it did not come to ${true_}; told ${JSON.stringify(s.told)}, asked ${s.asked}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  return s;
}

const all = [[OriginProof, ""], [OriginChunk, 0], [OriginChunk, 1], [OriginDone, 0]];
const once = ["/live/8.0.m4s", "/mesh/segment"];

for (const listedFirst of [false, true]) {
  test(`a part that comes on a hint is the engine's once it is listed${listedFirst ? ", though it is not all here" : ""}`, async (t) => {
    const s = await scene(t);
    const ended = s.downloads.early(s.hint);
    if (!listedFirst) {
      s.make();
      await s.until(() => s.entry().rawDone);
      assert.deepEqual(s.told, [], "the engine does not know it");
      assert.deepEqual(s.asked, once.slice(0, 1), "the edge would say nothing");
    }
    s.changed = () => s.downloads.fetch(s.hint.id, 0n); // as the engine asks, by its turn
    await s.read(part("8.x.m4s") + part("8.0.m4s") + hint("8.1.m4s"));
    s.make();
    await ended;
    await s.until(() => s.told.length >= all.length);
    assert.deepEqual(s.told, all);
    assert.deepEqual(s.asked, once, "nothing is asked for twice");
    assert.equal(s.entry().chunks.length, 2);
    assert.equal(s.downloads.outside, 0);
  });
}

test("what passes to the player while the engine fetches the same is not stored twice", async (t) => {
  const s = await scene(t);
  await s.read(part("8.x.m4s") + part("8.0.m4s"));
  const fetching = s.downloads.fetch(s.hint.id, 0n);
  const pipe = s.downloads.tee(s.hint);
  const head = new Headers({ "Content-Length": String(size) });
  s.make();
  pipe.begin(200, head);
  pipe.push(bytes.subarray(0, 9000));
  await fetching;
  pipe.push(bytes.subarray(9000));
  pipe.end(true);
  await s.until(() => s.downloads.outside === size); // its bytes count all the same
  const got = [];
  for await (const piece of s.entry().read(0, size, AbortSignal.timeout(5000))) got.push(piece);
  assert.deepEqual(Buffer.concat(got), Buffer.from(bytes));
});

test("a hint that comes to nothing is given up, and counts", async (t) => {
  for (const complete of [false, true]) {
    const s = await scene(t);
    const ended = s.downloads.early(s.hint);
    if (complete) {
      s.make();
      await s.until(() => s.entry().rawDone);
    }
    await s.read(part("8.x.m4s") + part("other.m4s"));
    await ended;
    assert.equal(s.entry(), undefined, "it is not kept");
    await s.until(() => s.downloads.outside === (complete ? size : 0));
    assert.deepEqual(s.told, []);
    assert.deepEqual(s.asked, once.slice(0, 1));
  }
});

test("an origin that does not wait with its answer to a hint is asked again once the part is listed", async (t) => {
  const s = await scene(t);
  s.status = 404;
  s.make();
  const ended = s.downloads.early(s.hint);
  await s.until(() => !s.downloads.hinted.size);
  s.changed = () => s.downloads.fetch(s.hint.id, 0n);
  await s.read(part("8.x.m4s") + part("8.0.m4s") + hint("8.1.m4s"));
  await ended;
  await s.until(() => s.told.length > 0);
  assert.deepEqual(s.told, [[OriginDone, 0]], "the fetch of the engine has ended");
  s.status = 0;
  await s.downloads.fetch(s.hint.id, 0n);
  const again = () => s.told.slice(1).filter(([kind]) => kind !== OriginTimed); // that fetch is timed
  await s.until(() => again().length >= all.length);
  assert.deepEqual(again(), all);
});

test("a part that the player loads on a hint becomes the engine's, too", async (t) => {
  const s = await scene(t);
  const pipe = s.downloads.tee(s.hint);
  pipe.whole(200, new Headers({ "Content-Length": String(size) }), bytes.buffer);
  await s.until(() => s.delivered === 1);
  assert.deepEqual(s.told, []);
  await s.read(part("8.x.m4s") + part("8.0.m4s") + hint("8.1.m4s"));
  await s.until(() => s.told.length >= all.length);
  assert.deepEqual(s.told, all);
  assert.deepEqual(s.asked, once.slice(1));
});
