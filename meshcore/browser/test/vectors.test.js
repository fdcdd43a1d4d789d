// The vectors that Go runs too: the peer protocol, signaling, digests, tokens.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { parseMPD } from "../www/mpd.js";
import { parse, Second } from "../www/playlist.js";
import { isPlaylist } from "../www/url.js";
import { given } from "../www/evidence.js";
import * as integrity from "../www/integrity.js";
import * as signal from "../www/signal.js";
import * as tokens from "../www/tokens.js";
import * as wire from "../www/wire.js";
import { DOMParser } from "./dom.js";

const read = (path) => JSON.parse(readFileSync(new URL("../../" + path, import.meta.url), "utf8"));
const unhex = (s) => Uint8Array.from(s.match(/../g) ?? [], (x) => parseInt(x, 16));
const hex64 = (m) => m.toString(16).padStart(16, "0");
const codeOf = (f) => {
  try {
    f();
    return "";
  } catch (e) {
    return e.code ?? String(e);
  }
};

test("peer protocol", () => {
  const v = read("testdata/wire.json");
  const names = ["", "hello", "status", "have", "request", "cancel", "reject", "proof", "chunk", "ping", "pong", "bye"];
  const fields = (m) => {
    const f = { ...m, type: names[m.type] };
    if (m.mask !== undefined) f.mask = hex64(m.mask);
    if (m.haves) f.haves = m.haves.map((h) => ({ ...h, mask: hex64(h.mask) }));
    for (const k of ["data", "hashes", "signature"]) {
      if (m[k]) f[k] = integrity.hex(m[k]);
      else delete f[k];
    }
    if (m.type === wire.Hello) (f.pass = f.token), delete f.token;
    return f;
  };
  for (const c of v.messages) {
    const m = wire.decode(unhex(c.hex));
    assert.deepEqual(fields(m), c.message, c.name);
    assert.equal(integrity.hex(wire.encode(m)), c.hex, c.name);
  }
  for (const c of v.errors) {
    const bytes = unhex(c.hex + (c.fill ?? "").repeat(c.times ?? 0));
    assert.equal(codeOf(() => wire.decode(bytes)), c.error, c.name);
  }
  for (const c of v.chunks) {
    const a = new wire.Assembler();
    let whole = null;
    const code = codeOf(() => {
      for (const f of c.fragments) whole = a.add(wire.decode(unhex(f)));
    });
    assert.equal(code, c.error ?? "", c.name);
    if (!c.error) assert.equal(integrity.hex(whole.data), c.whole, c.name);
  }
  assert.ok(v.messages.length > 10 && v.errors.length > 20);
});

test("fragments come together again", () => {
  const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 7);
  const a = new wire.Assembler();
  let whole = null;
  const signature = Uint8Array.from({ length: 64 }, (_, i) => i);
  for (const f of wire.fragments("00000000000000a1", 3, data, signature)) {
    assert.ok(f.length <= wire.MaxMessage);
    assert.equal(whole, null);
    whole = a.add(wire.decode(f));
  }
  assert.deepEqual(whole.data, data);
  assert.deepEqual(whole.signature, signature);
});

test("signaling", () => {
  const v = read("testdata/signal.json");
  const expand = (s) => s.replace(/\{\{([\s\S])\*(\d+)\}\}/g, (_, c, n) => c.repeat(+n));
  // What is empty or zero may be absent.
  const bare = (x) => {
    if (typeof x !== "object" || x === null) return x || undefined;
    if (Array.isArray(x)) return x.map(bare);
    return Object.fromEntries(Object.entries(x).filter(([k]) => k !== "new").map(([k, y]) => [k, bare(y)]).filter(([, y]) => y !== undefined));
  };
  for (const c of v.frames) {
    if (c.name === "report over 2^53") continue; // 2^53+1 is no number in JavaScript, and reports go to the edge only
    let m;
    const code = codeOf(() => (m = signal.decode(expand(c.frame))));
    assert.equal(code, c.code ?? "", c.name);
    if (c.message) assert.deepEqual(bare(m), bare(c.message), c.name);
    if (m) assert.deepEqual(signal.decode(signal.encode(m)), m, c.name);
  }
});

test("digests", async () => {
  const v = read("testdata/integrity.json");
  for (const c of v.ids) assert.equal(await integrity.id(c.path, c.offset, c.length), c.id, c.path);
  for (const c of v.chunk_sizes) assert.equal(integrity.chunkSize(c.size), c.chunk_size, String(c.size));
  for (const c of v.given) assert.equal(integrity.hex(given(c.swarm, c.segment, unhex(c.root), c.index, unhex(c.hash))), c.signed);
  for (const c of v.layouts) {
    if (c.error) {
      assert.throws(() => new integrity.Layout(c.size, c.chunk_size));
      continue;
    }
    const l = new integrity.Layout(c.size, c.chunk_size);
    assert.equal(l.chunks(), c.chunks);
    assert.deepEqual(l.range(c.chunks - 1), c.last);
  }
  for (const c of v.digests) {
    const data = Uint8Array.from({ length: c.size }, (_, i) => Math.imul(i, 2654435761) >>> 24);
    const l = new integrity.Layout(c.size, c.chunk_size);
    const hashes = unhex(c.hashes);
    assert.ok(await l.verify(hashes, unhex(c.root)));
    assert.ok(!(await l.verify(hashes.map((x, i) => x ^ +(i === 5)), unhex(c.root))));
    for (let i = 0; i < l.chunks(); i++) {
      const chunk = data.slice(...l.range(i));
      assert.ok(await l.check(hashes, i, chunk));
      chunk[0] ^= 1;
      assert.ok(!(await l.check(hashes, i, chunk)), "a changed byte is found");
      assert.ok(!(await l.check(hashes, i, chunk.subarray(1))), "a missing byte is found");
    }
  }
});

test("manifests", () => {
  const v = read("testdata/manifest.json");
  const bare = (o) => Object.fromEntries(Object.entries(o).filter(([, x]) => x !== undefined && x !== null && x !== false && x?.length !== 0));
  const resource = (r) => (r?.url ? bare({ url: r.url, offset: r.offset || null, length: r.length || null }) : undefined);
  const part = (s) => ({ ...(s.gap ? {} : resource(s)), duration: s.duration / Second, ...bare({ gap: s.gap }) });
  // Go writes no zeros behind the point of a second.
  const time = (at) => (at === null ? undefined : new Date(Math.round(at / 1e6)).toISOString().replace(/\.?0*Z$/, "Z"));
  for (const c of v.hls) {
    const p = parse(c.body, c.url, new Map(Object.entries(c.imports ?? {})));
    const got = bare({
      playlists: p.children.map((x) => x.url), variables: p.variables.size ? Object.fromEntries(p.variables) : null, ended: p.ended,
      skipped: p.skipped || null, target: p.target / Second || null, hint: resource(p.hint), tail: p.next.map(part),
      segments: p.segments.map((s) => bare({
        ...part(s), sequence: s.sequence, at: time(s.at), init: resource(s.init), parts: s.parts?.map(part),
      })),
    });
    const want = bare(Object.fromEntries(["playlists", "variables", "ended", "skipped", "target", "hint", "tail", "segments"].map((k) => [k, c[k]])));
    assert.deepEqual(got, want, c.name);
  }
  globalThis.DOMParser = DOMParser;
  for (const c of v.mpd) {
    if (!/<MPD/.test(c.body)) continue; // the browser reads neither patches nor Smooth Streaming
    const listed = new Set((c.entries ?? []).map((e) => `${e.url} ${e.offset ?? 0} ${e.length ?? 0}`));
    const templates = (c.templates ?? []).map((t) => new RegExp("^" + t.path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/#+/g, (d) => `\\d{${d.length},}`) + "$"));
    const omitted = new Set((c.omissions ?? []).map((o) => o.reason));
    let segments = 0;
    for (const r of parseMPD(c.body, c.url)) {
      for (const s of r.list(Date.parse("2026-01-01T00:00:13Z")).segments) {
        segments++;
        if (omitted.has("template")) continue; // the edge lists less
        for (const x of [s, s.init]) {
          if (!x || x.gap) continue;
          const u = new URL(x.url), found = listed.has(`${x.url} ${x.offset} ${x.length}`) || (!x.length && templates.some((t) => t.test(u.pathname + u.search)));
          assert.ok(found || u.host !== "example.com", `${c.name}: ${x.url} ${x.offset} ${x.length} is not what the edge lists`);
        }
      }
    }
    const one = (c.templates ?? []).some((t) => /^[^#]*#+[^#]*$/.test(t.path)); // the browser reads one number
    if (!omitted.has("template")) assert.equal(segments > 0, one || /<SegmentURL/.test(c.body), `${c.name}: ${segments} segments`);
  }
  for (const c of v.names) assert.equal(isPlaylist("https://h" + c.name), c.manifest, c.name);
  assert.ok(v.hls.length > 10 && v.names.length > 5);
});

test("tokens", async () => {
  const v = read("../tokens/testdata/mesh-tokens.json");
  const verifier = await tokens.Verifier.create(v.public_keys);
  for (const c of v.tokens) {
    let got = null;
    let code = "";
    try {
      got = await (c.kind === "pass" ? verifier.pass(c.token, c.now) : verifier.segment(c.token, c.now));
    } catch (e) {
      code = e.code ?? String(e);
    }
    assert.equal(code, c.error ?? "", c.name);
    if (c.pass) {
      const { receiveOnly, key, ...rest } = got;
      assert.deepEqual({ ...rest, receive_only: receiveOnly, ...(key && { key_hex: integrity.hex(key) }) }, c.pass, c.name);
    } else if (c.segment) {
      const { root, chunkSize, ...rest } = got;
      if (!rest.query) delete rest.query;
      if (!rest.issued) delete rest.issued;
      assert.deepEqual({ ...rest, chunk_size: chunkSize, root_hex: integrity.hex(root) }, c.segment, c.name);
    }
  }
  for (const c of v.covers) assert.equal(tokens.coversPath(c.prefix, c.path), c.covers, `${c.prefix} ${c.path}`);
});
