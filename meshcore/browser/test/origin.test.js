// Segments from the origin, against what the edge has signed for.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { Layout } from "../www/integrity.js";
import { fetchChunks, fetchWhole, Pipe, take, Timing, vouch } from "../www/origin.js";
import { Store } from "../www/store.js";

const size = 5 * 16384 + 100;
const signed = Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 9));
const layout = new Layout(size, 16384);
const hashes = new Uint8Array(Buffer.concat(Array.from({ length: layout.chunks() }, (_, i) => createHash("sha256").update(signed.subarray(...layout.range(i))).digest())));
const proof = { token: "t", hashes, path: "/x", layout };
const changed = signed.slice();
changed[2 * 16384 + 5] ^= 1;

/** job gives a fetch of one segment, and what it tells. */
function job() {
  const chunks = [];
  return { chunks, url: "http://origin/x?token=v", offset: 0, length: 0, requests: { credentials: "same-origin", headers: {} }, statements: "", entry: new Store().get("x"), verify: async () => proof, prove: () => {}, timing: new Timing(), over: () => {}, chunk: (i) => chunks.push(i) };
}

/** answer is the origin's, in pieces of an odd length. */
const answer = (bytes) => ({ status: 200, headers: new Headers({ "Content-Length": String(bytes.length) }), body: pieces(bytes) });
async function* pieces(bytes) {
  for (let i = 0; i < bytes.length; i += 10_007) yield bytes.subarray(i, i + 10_007);
}

async function all(entry) {
  const got = [];
  for await (const piece of entry.read(0, size, AbortSignal.timeout(5000))) got.push(piece);
  return Buffer.concat(got);
}
const signal = AbortSignal.timeout(20_000);

test("what the edge signed for comes as chunks", async () => {
  const j = job();
  j.entry.prove(proof);
  assert.deepEqual(await take(j, answer(signed)), { ok: true, bytes: 0 });
  assert.deepEqual(j.chunks, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(await all(j.entry), Buffer.from(signed));
});

test("other bytes are the player's all the same, and count as not shared", async () => {
  const j = job();
  j.entry.prove(proof);
  const res = await take(j, answer(changed));
  assert.ok(res.ok && res.mismatch);
  assert.equal(res.bytes, size - 2 * 16384, "from the chunk that does not match on");
  assert.deepEqual(j.chunks, [0, 1]);
  assert.deepEqual(await all(j.entry), Buffer.from(changed));
  j.entry.put(2, signed.slice(...layout.range(2))); // a neighbor's, late
  assert.deepEqual(await all(j.entry), Buffer.from(changed), "the origin's bytes stand");
});

test("bytes of a newer statement are its chunks", async () => {
  const store = new Store(), old = new Uint8Array(hashes.length);
  const j = job();
  j.entry = store.prove("x", { ...proof, hashes: old, token: "old", root: new Uint8Array(32), issued: 1 });
  j.verify = async (s) => ({ ...proof, ...s, root: new Uint8Array(32).fill(1), issued: 2 });
  j.prove = (p) => (j.entry = store.prove("x", p));
  const a = answer(signed);
  a.headers.set("Mesh-Segment", "new");
  a.headers.set("Mesh-Digests", `:${Buffer.from(hashes).toString("base64")}:`);
  assert.deepEqual(await take(j, a), { ok: true, bytes: 0 });
  assert.deepEqual(j.chunks, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(await all(store.get("x")), Buffer.from(signed));
});

test("other bytes that break off are not a segment", async () => {
  const j = job();
  j.entry.prove(proof);
  const a = answer(changed);
  a.body = pieces(changed.subarray(0, 3 * 16384));
  const res = await take(j, a);
  assert.ok(!res.ok && !j.entry.rawDone);
});

test("a run of chunks that does not match says so", async (t) => {
  const j = job();
  j.entry.prove(proof);
  t.mock.method(globalThis, "fetch", async (url, { headers }) => {
    const [from, to] = /bytes=(\d+)-(\d+)/.exec(headers.Range).slice(1).map(Number);
    return new Response(changed.slice(from, to + 1), { status: 206, headers: { "Content-Range": `bytes ${from}-${to}/${size}` } });
  });
  const res = await fetchChunks(j, 0b101110n, signal);
  assert.ok(!res.ok && res.mismatch);
  assert.deepEqual(j.chunks.sort(), [1, 5], "the run from 1 to 3 ends at 2");
  assert.ok(!j.entry.disowned, "that is for whoever asked to do, with all of the segment");
});

test("what the edge does not vouch for is not asked for again", async (t) => {
  const json = (body, status = 200) => () => Response.json(body, { status });
  for (const [name, headers, edge, asked, shared] of [
    ["known at the second time", {}, [json({ code: "not_known" }), json({ token: "t", hashes: Buffer.from(hashes).toString("base64") })], 2, true],
    ["not shared", {}, [json({ code: "not_shared" })], 1, false],
    ["not listed", {}, [json({ code: "not_listed" }, 404)], 1, false],
    ["by the header", { "Mesh-Digests": "?0" }, [], 0, false],
  ]) {
    const j = { ...job(), statements: "http://origin/mesh/segment", prove: (p) => j.entry.prove(p) }, a = answer(signed);
    for (const [k, v] of Object.entries(headers)) a.headers.set(k, v);
    const fetch = t.mock.method(globalThis, "fetch", async (url) => {
      assert.equal(url, "http://origin/mesh/segment?path=%2Fx%3Ftoken%3Dv#mesh", name);
      return edge.shift()();
    });
    const res = await vouch(j, await take(j, a), signal);
    assert.ok(res.ok, name);
    assert.equal(fetch.mock.callCount(), asked, name);
    assert.equal(j.chunks.length, shared ? layout.chunks() : 0, name);
    fetch.mock.restore();
  }
});

test("how long the origin took is told before it is asked for a statement", async (t) => {
  const j = { ...job(), statements: "http://edge/mesh/segment" };
  const told = [];
  j.over = () => told.push({ ...j.timing });
  let now = 100;
  t.mock.method(performance, "now", () => now);
  j.timing = new Timing();
  t.mock.method(globalThis, "fetch", async (url) => {
    if (String(url).startsWith(j.statements)) {
      assert.equal(told.length, 1);
      return new Response("", { status: 403 });
    }
    now += 50;
    const body = new ReadableStream({
      pull(c) {
        now += 300;
        if (now > 500) c.close();
        else c.enqueue(signed.slice());
      },
    }, { highWaterMark: 0 });
    return new Response(body, { headers: { "Content-Length": String(size) } });
  });
  assert.ok((await fetchWhole(j, signal)).ok);
  assert.deepEqual(told, [{ asked: 100, began: 150, ended: 450, bytes: size }]);
});

test("what passes to the player is timed by whoever sees it pass, not by a busy page", (t) => {
  let now = 100;
  t.mock.method(performance, "now", () => now);
  const pipe = new Pipe(async () => {}, () => {});
  now = 2000;
  pipe.begin(200, new Headers(), 40);
  pipe.push(signed.subarray(0, 1000), 60);
  pipe.push(signed.subarray(1000), 240);
  pipe.end(true);
  assert.deepEqual({ ...pipe.timing }, { asked: 100, began: 140, ended: 340, bytes: size });
  const whole = new Pipe(async () => {}, () => {});
  now = 2500;
  whole.whole(200, new Headers(), signed.buffer, 100);
  assert.deepEqual({ ...whole.timing }, { asked: 2000, began: 2100, ended: 2500, bytes: size });
});

/** stalls is an origin that sends so many bytes of each answer and then nothing, of one version for each of versions. */
function stalls(t, bytes, versions) {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (url, { headers, signal }) => {
    const [, from = 0, to = size - 1] = /bytes=(\d+)-(\d*)/.exec(headers.Range ?? "") ?? [];
    const n = asked.push(headers.Range ?? "all"), last = Number(to) || size - 1;
    const body = new ReadableStream({
      start(c) {
        signal.addEventListener("abort", () => c.error(signal.reason));
        const until = n < versions.length ? Math.min(Number(from) + bytes, last + 1) : last + 1;
        c.enqueue(signed.slice(Number(from), until));
        if (until === last + 1) c.close();
        else queueMicrotask(() => setImmediate(() => t.mock.timers.tick(4000)));
      },
    });
    const range = headers.Range ? { "Content-Range": `bytes ${from}-${last}/${size}` } : {};
    return new Response(body, { status: headers.Range ? 206 : 200, headers: { ...range, ...(versions[n - 1] && { ETag: versions[n - 1] }) } });
  });
  return asked;
}

test("where an answer stands still, the rest of the same version comes by a fresh request", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const end = new AbortController().signal;
  for (const [name, versions, ok, want] of [
    ["once", ['"a"', '"a"'], true, ["all", "bytes=20000-"]],
    ["twice", ['"a"', '"a"', '"a"'], true, ["all", "bytes=20000-", "bytes=40000-"]],
    ["for good", ['"a"', '"a"', '"a"', '"a"'], false, ["all", "bytes=20000-", "bytes=40000-"]],
    ["of another version", ['"a"', '"b"'], false, ["all", "bytes=20000-"]],
    ["of no known version", ["", ""], false, ["all"]],
    ["of a weak version", ['W/"a"', 'W/"a"'], false, ["all"]],
  ]) {
    const asked = stalls(t, 20_000, versions), j = job();
    const res = await fetchWhole(j, end).catch(() => ({ ok: false }));
    assert.deepEqual([res.ok, asked], [ok, want], name);
    if (ok) assert.deepEqual(Buffer.concat(j.entry.raw), Buffer.from(signed), name);
    t.mock.restoreAll();
  }
  const asked = stalls(t, 10_000, ['"a"', '"a"']), j = job();
  j.entry.prove(proof);
  assert.ok((await fetchChunks(j, 0b11n, end)).ok);
  assert.deepEqual(asked, ["bytes=0-32767", "bytes=10000-32767"], "a run of chunks");
});

test("a head that does not come is asked for again, unless the origin may wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const [name, listed, heads, want] of [
    ["the second time", null, 1, [5000]],
    ["never", null, 9, [5000, 10_000, 20_000]],
    ["a part that is not made yet", Promise.resolve(true), 0, []],
  ]) {
    const waited = [];
    t.mock.method(globalThis, "fetch", async (url, { signal }) => {
      if (waited.length === heads) return new Response(signed.slice());
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        setImmediate(() => {
          let ms = 0;
          for (; !signal.aborted && ms < 60_000; ms += 5000) t.mock.timers.tick(5000);
          waited.push(ms);
        });
      });
    });
    const res = await fetchWhole({ ...job(), listed }, new AbortController().signal).catch(() => ({ ok: false }));
    assert.deepEqual([res.ok, waited], [heads < 9, want], name);
    t.mock.restoreAll();
  }
});
