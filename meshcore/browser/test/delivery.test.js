// Bytes that lie here reach the player at a rate. The clock is the test's: a pause takes as long as it says, or longer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { paced, paceOut } from "../www/delivery.js";

/** clock gives the time in ms since now; pauses and work move it on. @param {import("node:test").TestContext} t @param {number} [late] ms that a timer comes late */
function clock(t, late = 0) {
  let now = 1000;
  t.mock.method(performance, "now", () => now);
  t.mock.method(globalThis, "setTimeout", (/** @type {() => void} */ f, /** @type {number} */ ms) => {
    now += ms + late;
    queueMicrotask(f);
  });
  return { passed: () => now - 1000, pass: (/** @type {number} */ ms) => (now += ms) };
}

/** all takes all of it, and gives the times and sizes of what came. */
async function all(pieces, rate, c) {
  const came = [];
  for await (const cut of paced(pieces, () => rate)) came.push([c.passed(), cut.length]);
  return came;
}

async function* stored(...sizes) {
  for (const n of sizes) yield new Uint8Array(n);
}

for (const [size, rate] of [[30_000, 45_000], [30_000, 500_000], [3000, 45_000], [400_000, 2_000_000], [5_000_000, 12_500_000]]) {
  test(`${size} bytes at ${rate} bytes/s`, async (t) => {
    const c = clock(t);
    const came = await all(stored(size), rate, c);
    const want = (size / rate) * 1000;
    assert.ok(Math.abs(c.passed() - want) <= 10, `took ${c.passed()} ms, want ${want}`);
    let n = 0;
    for (const [at, bytes] of came) {
      n += bytes;
      assert.ok(at >= (n / rate) * 1000 - 10, `${n} bytes after ${at} ms`);
    }
    assert.equal(n, size);
    assert.ok(came[0][0] <= want / 2 || size <= 4 << 10, "the first comes soon");
  });
}

test("what is not to be paced comes at once", async (t) => {
  const c = clock(t);
  await all(stored(1 << 20), Infinity, c);
  await paceOut(1 << 20, 0, Infinity);
  assert.equal(c.passed(), 0);
});

test("a little delay is made up for, a long one is not", async (t) => {
  const c = clock(t, 8);
  await all(stored(100_000), 100_000, c);
  assert.ok(c.passed() < 1030, `late timers made a second ${c.passed()} ms`);
  const d = clock(t);
  const came = await all((async function* () {
    yield new Uint8Array(50_000);
    d.pass(3000); // nothing comes from neighbors
    yield new Uint8Array(50_000);
  })(), 100_000, d);
  assert.ok(d.passed() >= 3880, `the second half came within ${d.passed() - 3500} ms`);
  assert.equal(came.reduce((n, [, bytes]) => n + bytes, 0), 100_000);
});

test("what comes in one piece takes its time", async (t) => {
  const c = clock(t);
  await paceOut(90_000, 500, 45_000);
  assert.equal(c.passed(), 1500);
  await paceOut(90_000, 2500, 45_000);
  assert.equal(c.passed(), 1500);
});
