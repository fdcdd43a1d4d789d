// What a peer is held to that gives a wrong chunk, and what it is not.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { makeKey } from "../www/evidence.js";
import { Trust } from "../www/trust.js";

const sha = (b) => new Uint8Array(createHash("sha256").update(b).digest());
const chunks = (fill) => [0, 1].map((i) => new Uint8Array(100).fill(fill + i));
const statement = (fill, token) => {
  const hashes = Buffer.concat(chunks(fill).map(sha));
  return { token, hashes: new Uint8Array(hashes), root: sha(hashes), path: "/x", layout: null, issued: 0, expires: 0 };
};
const old = statement(1, "old"), current = statement(5, "new");
const swarm = "s-1", segment = "00000000000000a1";

test("a chunk is judged by its signature and the statements that are known", async () => {
  const mine = await makeKey(), other = await makeKey();
  const pass = { peer: "a", swarm, scope: ["/"], receiveOnly: false, key: Buffer.from(mine.shown, "base64"), expires: 9 };
  const trust = new Trust(/** @type {any} */ ({ swarm, now: () => 1, verifier: { pass: async () => pass } }));
  assert.deepEqual(await trust.pass("a", "pass"), { left: 8, receiveOnly: false });
  const sign = (key, swarm, p, i) => new Trust(/** @type {any} */ ({ key, swarm })).sign(segment, p, i);
  /** lie is what a peer signs that gives a wrong chunk and stands by it. */
  const lie = (p, i, data) => sign(mine.key, swarm, { ...p, hashes: new Uint8Array(Buffer.concat(Array(i + 1).fill(sha(data)))) }, i);
  const wrong = new Uint8Array(100).fill(77);
  for (const [name, entry, data, signature, want] of [
    ["a good chunk", { proof: current }, chunks(5)[1], await sign(mine.key, swarm, current, 1), { ok: true }],
    ["a good chunk of the statement before", { proof: current, older: old }, chunks(1)[1], await sign(mine.key, swarm, old, 1), { former: true }],
    ["a good chunk, signed by another", { proof: current }, chunks(5)[1], await sign(other.key, swarm, current, 1), {}],
    ["a good chunk, signed for another swarm", { proof: current }, chunks(5)[1], await sign(mine.key, "s-2", current, 1), {}],
    ["a good chunk, signed for another place", { proof: current }, chunks(5)[1], await sign(mine.key, swarm, current, 0), {}],
    ["a good chunk with no signature", { proof: current }, chunks(5)[1], new Uint8Array(64), {}],
    ["a wrong chunk with the signature of the good one", { proof: current }, wrong, await sign(mine.key, swarm, current, 1), {}],
    ["a wrong chunk", { proof: current }, wrong, await lie(current, 1, wrong), "new"],
    ["a wrong chunk of the statement before", { proof: current, older: old }, wrong, await lie(old, 1, wrong), "old"],
  ]) {
    const got = await trust.chunk("a", /** @type {any} */ (entry), segment, 1, data, signature);
    if (typeof want !== "string") {
      assert.deepEqual(got, want, name);
      continue;
    }
    const e = got.evidence;
    assert.deepEqual([e.pass, e.token, e.index], ["pass", want, 1], name);
    assert.deepEqual([...Buffer.from(e.hash, "base64")], [...sha(wrong)], name);
    assert.deepEqual([...Buffer.from(e.signature, "base64")], [...signature], name);
  }
  pass.key = undefined;
  assert.equal((await trust.pass("a", "pass")).receiveOnly, true, "who has no key gives nothing");
  assert.deepEqual(await trust.chunk("a", /** @type {any} */ ({ proof: current }), segment, 1, chunks(5)[1], await sign(mine.key, swarm, current, 1)), {});
});
