// The scenarios that the Go engine plays too: for the same inputs both give the same effects at the same times.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { Layout } from "../www/integrity.js";
import { Engine } from "../www/peer/engine.js";
import * as k from "../www/peer/input.js";

const ms = 1e6;
const names = ["", "hello", "status", "have", "request", "cancel", "reject", "proof", "chunk", "ping", "pong", "bye"];
// Kinds by the names that the scenario files use, and the other way round.
const snake = (name) => name.replace(/In$/, "").replace(/\B[A-Z]/g, (c) => "_" + c).toLowerCase();
const inputs = new Map(), effects = new Map();
for (const [name, kind] of Object.entries(k)) kind < k.Connect ? inputs.set(snake(name), kind) : effects.set(kind, snake(name));
const hex = (m) => m.toString(16).padStart(16, "0");
const unhex = (s) => BigInt("0x" + (s || "0"));

/** What is empty, zero or absent is the same. */
function bare(x) {
  if (typeof x !== "object" || x === null) return x || undefined;
  if (Array.isArray(x)) return x.map(bare);
  return Object.fromEntries(Object.entries(x).map(([k, y]) => [k, bare(y)]).filter(([, y]) => y !== undefined && !(Array.isArray(y) && !y.length)));
}

function toInput(j) {
  const input = { ...j, kind: inputs.get(j.kind), chunk: j.chunk ?? 0, bytes: j.bytes ?? 0, position: (j.position_ms ?? 0) * ms, within: (j.within_ms ?? 0) * ms, took: (j.took_ms ?? 0) * ms, receiveOnly: j.receive_only };
  if (j.size) input.layout = new Layout(j.size, j.chunk_size);
  if (j.manifest) {
    const m = j.manifest;
    input.manifest = {
      rendition: m.rendition, number: m.number, live: !!m.live, from: (m.from_ms ?? 0) * ms, wait: (m.wait_ms ?? 0) * ms,
      segments: (m.segments ?? []).map((s) => ({ id: s.id, sequence: s.sequence, start: s.start_ms * ms, duration: s.duration_ms * ms, size: s.size ?? 0, private: !!s.private })),
    };
  }
  if (j.message) {
    const m = j.message;
    input.message = {
      version: 0, flags: 0, reason: 0, index: 0, nonce: 0, total: 0, token: "", ...m, type: names.indexOf(m.type),
      within: m.within_ms ?? 0, retry: m.retry_ms ?? 0, rendition: m.rendition ?? hex(0n), mask: unhex(m.mask),
      haves: (m.haves ?? []).map((h) => ({ ...h, mask: unhex(h.mask) })),
    };
  }
  return input;
}

function toMessage(m) {
  const { type, within, retry, mask, haves, rendition, hashes, data, offset, ...rest } = m;
  return {
    ...rest, type: names[type], within_ms: within, retry_ms: retry, mask: mask ? hex(mask) : "",
    rendition: rendition === hex(0n) ? "" : rendition, haves: haves?.map((h) => ({ ...h, mask: hex(h.mask) })),
  };
}

function toEffect(now, f) {
  const j = { at_ns: now, kind: effects.get(f.kind), peer: f.peer, segment: f.segment };
  if (f.kind === k.SendChunk || f.kind === k.CheckChunk) j.chunk = f.chunk;
  if (f.kind === k.FetchOrigin) j.chunks = hex(f.chunks);
  if (f.kind === k.Send || f.kind === k.CheckProof || f.kind === k.CheckPass) j.message = toMessage(f.message);
  if (f.kind === k.Signal) j.signal = f.signal;
  return bare(j);
}

const folder = new URL("../../testdata/scenarios/", import.meta.url);
for (const file of readdirSync(folder).filter((f) => f.endsWith(".json"))) {
  test("scenario " + file, () => {
    const sc = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
    const c = sc.config;
    const e = new Engine({
      id: c.id, seed: BigInt(c.seed), pass: c.pass, receiveOnly: c.receive_only, neighbors: c.neighbors, uploadRate: c.upload_rate,
      uploadRatio: c.upload_ratio, relayRate: c.relay_rate, cacheBytes: c.cache_bytes, bufferGoal: (c.buffer_goal_ms ?? 0) * ms, originGoal: (c.origin_goal_ms ?? 0) * ms, originRate: c.origin_rate,
    });
    sc.steps.forEach((step, i) => {
      const at = step.at_ms * ms;
      const got = [];
      for (let rounds = 0; i > 0 && e.nextDeadline() <= at; rounds++) {
        assert.ok(rounds < 10_000, "the engine's deadlines do not move on");
        const now = e.nextDeadline();
        for (const f of e.step(now, { kind: k.Tick })) got.push(toEffect(now, f));
      }
      for (const f of e.step(at, toInput(step.in))) got.push(toEffect(at, f));
      assert.deepEqual(got, (step.out ?? []).map(bare), `step ${i} at ${step.at_ms} ms (${step.in.kind})`);
    });
  });
}
