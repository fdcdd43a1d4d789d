// The store's readers, and paced delivery.

import assert from "node:assert/strict";
import { test } from "node:test";

import { paced } from "../www/delivery.js";
import { Layout } from "../www/integrity.js";
import { Store } from "../www/store.js";

const bytes = (n, from = 0) => Uint8Array.from({ length: n }, (_, i) => from + i);
const collect = async (pieces) => {
  const all = [];
  for await (const p of pieces) all.push(...p);
  return all;
};
const proof = { token: "t", hashes: new Uint8Array(96), path: "/x", layout: new Layout(25, 10) };

test("a reader gets chunks in order, as they come", async () => {
  const e = new Store().get("a");
  const reading = collect(e.read(0, 25, AbortSignal.timeout(5000)));
  e.prove(proof);
  e.put(1, bytes(10, 10));
  e.put(2, bytes(5, 20));
  e.put(0, bytes(10));
  assert.deepEqual(await reading, [...bytes(25)]);
  assert.deepEqual(await collect(e.read(7, 22, AbortSignal.timeout(5000))), [...bytes(15, 7)]);
});

test("raw bytes are read, and become chunks", async () => {
  const e = new Store().get("a");
  e.startRaw(0);
  const size = e.known(AbortSignal.timeout(5000));
  e.addRaw(bytes(12));
  e.addRaw(bytes(13, 12));
  e.finishRaw();
  assert.equal(await size, 25);
  e.prove(proof);
  e.adopt();
  assert.deepEqual(e.chunks.map((c) => [...c]), [[...bytes(10)], [...bytes(10, 10)], [...bytes(5, 20)]]);
});

test("a reader gets bytes of one version only", async () => {
  for (const [same, want] of [[1, /has changed/], [2, null]]) {
    const e = new Store().get("a");
    e.prove(proof);
    e.put(0, bytes(10));
    e.put(1, bytes(10, 10));
    const reader = e.read(0, 25, AbortSignal.timeout(5000));
    const got = [...(await reader.next()).value, ...(await reader.next()).value];
    const rest = collect(reader);
    e.disown(same); // the origin's bytes are others from there on
    e.addRaw(bytes(25 - 10 * same, 100 + 10 * same));
    e.finishRaw();
    if (want) await assert.rejects(rest, want);
    else assert.deepEqual([...got, ...(await rest)], [...bytes(20), ...bytes(5, 120)]);
    const later = await collect(e.read(0, 25, AbortSignal.timeout(5000)));
    assert.deepEqual(later, [...bytes(10 * same), ...bytes(25 - 10 * same, 100 + 10 * same)]);
  }
});

test("stripes that come in any order, more than once, are read in order", async () => {
  const size = 64 * 16, layout = new Layout(size, 16), all = Uint8Array.from({ length: size }, (_, i) => (i * 31) >> 3);
  for (let run = 0; run < 20; run++) {
    const e = new Store().get("a");
    const reading = collect(e.read(0, size, AbortSignal.timeout(5000)));
    e.prove({ ...proof, layout });
    const order = Array.from({ length: 96 }, (_, i) => (i < 64 ? i : (i * 7) % 64)).sort((a, b) => ((a * 37 + run * 17) % 67) - ((b * 37 + run * 17) % 67));
    for (const [n, i] of order.entries()) {
      e.put(i, all.slice(...layout.range(i)));
      if (n % 5 === run % 5) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await reading, [...all]);
  }
});

test("a reader ends when the origin fails, when the segment goes, and when it is told to", async () => {
  const store = new Store();
  for (const end of [(e) => e.fail(), () => store.evict("a")]) {
    const e = store.get("a");
    const reading = collect(e.read(0, 10, AbortSignal.timeout(5000)));
    end(e);
    await assert.rejects(reading, /not available/);
  }
  const stop = new AbortController();
  const reading = collect(store.get("b").read(0, 10, stop.signal));
  stop.abort();
  await assert.rejects(reading, { name: "AbortError" });
});

test("delivery keeps to a rate", async () => {
  const size = 1 << 20, rate = 4 << 20;
  async function* whole() { yield new Uint8Array(size); }
  const begun = performance.now();
  assert.equal((await collect(paced(whole(), () => rate))).length, size);
  const took = performance.now() - begun;
  // A quarter of a second, less what may come at once.
  assert.ok(took > 200, `${took} ms`);
});

test("the statement that was issued last counts", async () => {
  const s = new Store(), signal = AbortSignal.timeout(5000);
  const at = (issued) => ({ ...proof, issued, root: new Uint8Array(32).fill(issued) });
  const old = s.prove("a", at(1));
  old.put(0, new Uint8Array(10));
  const read = old.read(0, 25, signal);
  await read.next();
  const waits = assert.rejects(read.next(), /not available/);
  const next = s.prove("a", at(2));
  await waits;
  assert.ok(next !== old && !next.chunks[0] && old.gone, "its bytes are others");
  assert.equal(s.prove("a", at(1)), next, "an older one changes nothing");
  assert.equal(next.older.issued, 1);
  const raw = s.prove("b", at(1));
  raw.startRaw(25);
  raw.addRaw(new Uint8Array(25));
  assert.equal(s.prove("b", at(2)), raw, "what the origin sent stays");
  assert.equal(raw.proof.issued, 2);
});
