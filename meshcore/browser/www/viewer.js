// One viewer: a session in one swarm, the engine, and what the engine decides done. Engine and driver meet in step and
// #effect; peer/input.js says what each effect asks for and how it comes back.

import { Engine } from "./peer/engine.js";
import * as k from "./peer/input.js";
import { paced, paceOut } from "./delivery.js";
import { id as segmentId, Layout } from "./integrity.js";
import { fetchChunks, fetchWhole, Pipe, take } from "./origin.js";
import { Player } from "./player.js";
import { parseMPD } from "./mpd.js";
import { parse, Second, Timeline } from "./playlist.js";
import { Connections } from "./rtc.js";
import { open, Refused } from "./session.js";
import { Signaling } from "./signaling.js";
import { Store } from "./store.js";
import { covers } from "./tokens.js";
import * as wire from "./wire.js";

const PATIENCE = 3 * Second; // a player's request waits so long for peers at most
// So long before the playhead reaches a segment the player must have it: to hand it over, to decode. A blob is handed over
// when all of it is here.
const LEAD = 0.25 * Second;
const BLOB_LEAD = 0.75 * Second;

/**
 * @typedef {import("./playlist.js").Segment & {id: string, start: number, media: Media, initSection: boolean}} Record one that is listed
 * @typedef {import("./page.js").Mesh} Mesh
 * @typedef {{head: Promise<{status: number, headers: [string, string][], from: number, length: number}>, body: () => AsyncIterable<Uint8Array>, blob: () => Promise<Blob>}|{tee: Pipe|null}} Answered
 */

/** Media is a media playlist that the player has loaded. */
class Media {
  /** @param {string} url @param {string} kind */
  constructor(url, kind) {
    this.url = url;
    this.kind = kind;
    this.rendition = new URL(url).pathname;
    /** @type {string} the id of the rendition on the wire, "" while it is worked out */
    this.number = "";
    this.timeline = new Timeline();
    this.live = false;
    this.target = 0;
    /** @type {Record[]} */
    this.records = [];
    /** @type {Record[]} of the reload before: a player may still ask for them */
    this.previous = [];
    /** @type {(() => Promise<void>)|null} lists what has come since, where the manifest does not */
    this.list = null;
    this.from = 0; // where the player needs it from, ns
    /** @type {Record} the last that was asked for */
    this.last = null;
    this.lastDone = false;
  }
}

const now = () => Math.trunc(performance.now() * 1e6);

export class Viewer {
  /** @param {Mesh} mesh @param {{session: string, swarm: string}} bootstrap */
  constructor(mesh, bootstrap) {
    this.mesh = mesh;
    this.bootstrap = bootstrap;
    this.store = new Store();
    /** @type {Map<string, string>} kind of a playlist, by URL */
    this.kinds = new Map();
    /** @type {Map<string, Media>} by URL */
    this.playlists = new Map();
    /** @type {Map<string, Media>} which the player plays now, by kind */
    this.active = new Map();
    /** @type {Map<string, Record[]>} by URL */
    this.index = new Map();
    /** @type {Map<string, Record>} */
    this.byId = new Map();
    this.player = new Player(() => this.#play());
    /** @type {Engine} */
    this.engine = null;
    this.closed = false;
    this.lead = LEAD;
    this.lastUse = performance.now();
    this.outside = 0; // bytes from the origin that the engine does not know of
    /** @type {Map<string, number>} fetches of the engine that wait for what passes to the player */
    this.teeing = new Map();
    /** @type {Map<string, Set<AbortController>>} */
    this.fetching = new Map();
    /** @type {Map<string, import("./tokens.js").Pass>} of neighbors */
    this.passes = new Map();
    /** @type {any[]} */
    this.inputs = [];
    this.stepping = false;
    this.ticker = setInterval(() => this.#tick(), 1000);
    this.#open();
  }

  // --- session ---

  async #open() {
    clearTimeout(this.retry);
    try {
      const mode = this.mesh.mode();
      this.session = await open(this.bootstrap, { mode, token: this.mesh.token || undefined, device: this.mesh.device.describe() });
    } catch (error) {
      const wait = error instanceof Refused ? error.retry : 5000;
      if (wait && !this.closed) this.retry = setTimeout(() => this.#open(), wait * (1 + Math.random()));
      return;
    }
    if (this.closed) return;
    const { limits, peer, pass, announceMS, reportMS } = this.session;
    const own = this.mesh.device.memory(), cap = limits.cache_bytes ?? 0;
    this.engine = new Engine({
      id: peer, seed: BigInt(Math.trunc(Math.random() * 2 ** 52)), pass,
      receiveOnly: limits.receive_only === true, neighbors: limits.neighbors ?? 0,
      uploadRate: (limits.upload_bps ?? 0) / 8, uploadRatio: limits.upload_ratio ?? 0,
      cacheBytes: own && cap ? Math.min(own, cap) : own || cap,
      announceInterval: (announceMS ?? 0) * 1e6, reportInterval: (reportMS ?? 0) * 1e6,
    });
    this.connections = new Connections(this.session, {
      up: (peer, relayed) => this.step({ kind: k.NeighborUp, peer, relayed }),
      down: (peer) => this.step({ kind: k.NeighborDown, peer }),
      offered: (peer) => this.step({ kind: k.Offered, peer }),
      receive: (peer, message) => this.step({ kind: k.Receive, peer, message }),
      signal: (m) => this.signaling.send(m),
    });
    this.signaling = new Signaling(this.session, {
      open: () => {
        this.engine.cfg.pass = this.session.pass;
        this.step({ kind: k.Joined });
      },
      message: (m) => {
        if (m.type === "peers" || m.type === "drop") this.step({ kind: k.SignalIn, signal: m });
        else this.connections.signal(m);
      },
      lost: (after) => {
        this.#end();
        this.retry = setTimeout(() => this.#open(), after);
      },
    });
    this.switches();
    this.#manifest();
    this.#replay();
    this.#play();
  }

  /** #replay tells a new engine what is stored. */
  #replay() {
    for (const [segment, e] of this.store.entries) {
      let bytes = 0;
      if (e.proof) {
        this.step({ kind: k.OriginProof, segment, layout: e.proof.layout });
        e.chunks.forEach((c, chunk) => {
          this.step({ kind: k.OriginChunk, segment, chunk, bytes: c.length });
          bytes += c.length;
        });
      } else if (e.rawDone) {
        bytes = e.rawBytes;
        this.step({ kind: k.OriginDone, segment, ok: true, bytes });
      }
      if (this.sessions > 0) this.outside -= bytes; // they were reported before
    }
    this.sessions = (this.sessions ?? 0) + 1;
  }

  /** #end ends the session; what is stored stays. */
  #end() {
    this.signaling?.close();
    this.connections?.closeAll();
    clearTimeout(this.timer);
    for (const set of this.fetching.values()) for (const c of set) c.abort();
    this.fetching.clear();
    for (const e of this.store.entries.values()) e.fail();
    this.engine = this.signaling = this.connections = null;
    this.inputs = [];
  }

  /** close leaves the swarm. */
  close() {
    this.closed = true;
    clearTimeout(this.retry);
    clearInterval(this.ticker);
    if (this.engine) {
      this.signaling.send({ type: "report", report: this.report() });
      this.signaling.send({ type: "leave" });
    }
    this.#end();
  }

  /** switches tells the engine whether to give and to take. */
  switches() {
    this.step({ kind: k.SetUpload, ok: this.mesh.state.upload });
    this.#manifest();
  }

  /** report is the engine's report and the player's. @returns {import("./signal.js").Report} */
  report() {
    const r = this.engine?.report() ?? {};
    return { ...r, origin_bytes: Math.max(0, (r.origin_bytes ?? 0) + this.outside), ...this.player.quality() };
  }

  // --- playlists ---

  /**
   * playlist reads a playlist that the player has loaded.
   * @param {string} asked URL that was asked for
   * @param {string} url that it came from
   * @param {string} text
   * @returns {Promise<{children: string[]}>}
   */
  async playlist(asked, url, text) {
    if (/^\uFEFF?\s*</.test(text)) {
      const all = parseMPD(text, url);
      for (const r of all) {
        const key = `${asked}#${r.id}`;
        this.kinds.set(key, r.kind);
        await this.#media(key, url, r.list(this.#edgeTime()), r.list);
      }
      return { children: [] };
    }
    const p = parse(text, url);
    for (const c of p.children) this.kinds.set(c.url, c.kind);
    if (p.segments.length) await this.#media(asked, url, p, null);
    return { children: p.children.map((c) => c.url) };
  }

  /** #edgeTime is the edge's time, ms since 1970. */
  #edgeTime() {
    return this.session ? this.session.now() * 1000 : Date.now();
  }

  /**
   * #media takes a media playlist, or a representation of a manifest; list makes it anew as time goes on.
   * @param {string} asked
   * @param {string} url
   * @param {import("./playlist.js").Playlist} p
   * @param {((now: number) => import("./playlist.js").Playlist)|null} list
   */
  async #media(asked, url, p, list) {
    if (!p.segments.length) return;
    const kind = this.kinds.get(asked) ?? this.kinds.get(url) ?? "main";
    let m = this.playlists.get(asked);
    if (!m) this.playlists.set(asked, (m = new Media(url, kind)));
    if (list) m.rendition = new URL(asked).pathname + new URL(asked).hash;
    m.list = list && !p.ended ? () => this.#media(asked, url, list(this.#edgeTime()), list) : null;
    m.number ||= await segmentId(m.rendition);
    const ids = await Promise.all(p.segments.map((s) => this.#idOf(s)));
    const edge = Math.max(0, ...[...this.playlists.values()].filter((x) => x !== m && x.live).map((x) => x.timeline.end()));
    const starts = m.timeline.place(p, edge);
    m.live = !p.ended;
    m.target = p.target;
    m.previous = m.records;
    const inits = new Map();
    /** @type {Record[]} */
    const records = [];
    p.segments.forEach((s, i) => {
      if (s.init && !inits.has(s.init.url)) {
        inits.set(s.init.url, true);
        records.push({ ...s, ...s.init, id: "", start: starts[i], duration: 0, media: m, initSection: true });
      }
      records.push({ ...s, id: ids[i], start: starts[i], media: m, initSection: false });
    });
    m.records = records;
    if (p.ended && [...this.playlists.values()].every((x) => !x.live)) this.player.zero();
    this.#reindex();
    this.mesh.list(asked, [...new Set([...m.previous, ...records].map((r) => r.url))]);
    if (this.active.get(m.kind) === m) this.#manifest();
  }

  /** @param {import("./playlist.js").Segment} s */
  #idOf(s) {
    const known = this.index.get(s.url)?.find((r) => !r.initSection && r.offset === s.offset && r.length === s.length);
    return known?.id ?? segmentId(new URL(s.url).pathname, s.offset, s.length);
  }

  #reindex() {
    this.index.clear();
    const before = this.byId;
    this.byId = new Map();
    for (const m of this.playlists.values()) {
      for (const r of [...m.previous, ...m.records]) {
        const list = this.index.get(r.url);
        if (!list) this.index.set(r.url, [r]);
        else if (!list.some((x) => x.offset === r.offset && x.length === r.length)) list.push(r);
        if (r.id) this.byId.set(r.id, r);
      }
    }
    for (const [segment, r] of before) if (!this.byId.has(segment) && this.store.entries.has(segment)) this.byId.set(segment, r);
  }

  /** #manifest tells the engine what the player plays: the playlists that play at once become one. */
  #manifest() {
    if (!this.engine) return;
    const all = [...this.active.values()];
    const main = this.active.get("main") ?? all[0];
    if (!main) return;
    /** @type {import("./peer/input.js").Segment[]} */
    const segments = [];
    if (this.mesh.state.download) {
      for (const m of all) {
        for (const r of m.records) {
          if (r.initSection || r.gap || r.start + r.duration <= m.from) continue;
          segments.push({ id: r.id, sequence: r.sequence, start: r.start, duration: r.duration, size: 0, private: false });
        }
      }
    }
    segments.sort((a, b) => a.start - b.start);
    this.step({ kind: k.ManifestIn, manifest: {
      rendition: main.rendition, number: main.number || "0".repeat(16), live: main.live, segments,
      from: Math.min(...all.map((m) => m.from)),
    } });
  }

  #tick() {
    this.#play();
    for (const m of this.playlists.values()) m.list?.().catch(() => {});
  }

  #play() {
    if (!this.engine || !this.active.size) return;
    const position = this.player.position() + this.lead, playing = this.player.playing();
    const e = this.engine;
    if (playing !== e.playing || Math.abs(e.playhead(now()) - position) > 0.3 * Second) this.step({ kind: k.Play, playing, position });
  }

  // --- the player's requests ---

  /**
   * request answers a request of the player; null where the URL is not known.
   * @param {string} url without fragment
   * @param {string|null} range value of the Range header
   * @param {AbortSignal} signal
   * @param {boolean} [whole] a blob is wanted
   * @returns {Answered|null}
   */
  request(url, range, signal, whole = false) {
    const list = this.index.get(url);
    if (!list) return null;
    this.lead = whole ? BLOB_LEAD : LEAD;
    this.lastUse = performance.now();
    const m = /^bytes=(\d+)-(\d*)$/.exec(range ?? "");
    if (range && !m) return { tee: null };
    const first = m ? Number(m[1]) : 0, last = m?.[2] ? Number(m[2]) : -1;
    const r = list.find((x) => (x.length ? m && first === x.offset && last === x.offset + x.length - 1 : true));
    if (!r) return { tee: null };
    const all = r.length > 0 || (first === 0 && last < 0);
    if (r.initSection) return { tee: this.#count() };
    this.#asked(r);
    if (!this.engine || !this.mesh.state.download || r.gap || (whole && r.length > 0) || !this.engine.lookup(r.id)) return { tee: all ? this.#tee(r) : this.#count() };
    const entry = this.store.get(r.id);
    const within = Math.min(PATIENCE, Math.max(0, r.start - this.player.position() - this.lead));
    this.step({ kind: k.Need, segment: r.id, within });
    const base = r.length ? r.offset : 0; // of the store's bytes in the resource
    const head = entry.known(signal).then((size) => {
      const to = Math.min(size, last < 0 || r.length ? size : last + 1);
      const from = r.length ? 0 : first;
      if (from >= to) throw new Error("range is not satisfiable");
      /** @type {[string, string][]} */
      const headers = [["Content-Type", entry.type || typeOf(url)], ["Content-Length", String(to - from)], ["Accept-Ranges", "bytes"]];
      if (m) headers.push(["Content-Range", `bytes ${base + from}-${base + to - 1}/${r.length ? "*" : size}`]);
      span = [from, to];
      return { status: m ? 206 : 200, headers, from: base + from, length: to - from };
    });
    head.catch(() => {});
    /** @type {[number, number]} */
    let span = [0, 0];
    const viewer = this;
    return {
      head,
      body: async function* () {
        yield* paced(entry.read(...span, signal), () => viewer.#pace(r, entry, false));
        if (r.media.last === r) r.media.lastDone = true;
      },
      // The whole segment at once, whatever the range: whoever fetches the blob asks for a part of it.
      blob: async () => {
        const begun = performance.now(), parts = [];
        for await (const piece of entry.read(0, entry.size, signal)) parts.push(piece);
        await paceOut(entry.size, performance.now() - begun, viewer.#pace(r, entry, true));
        if (r.media.last === r) r.media.lastDone = true;
        return new Blob(/** @type {BlobPart[]} */ (parts), { type: entry.type || typeOf(url) });
      },
    };
  }

  /**
   * #pace is how fast a player gets what lies here: as fast as the origin would send it, but at least twice as fast as it
   * plays. A blob comes at once, and the player has no bytes meanwhile: it is held back less, and not if it is due.
   * @param {Record} r
   * @param {import("./store.js").Entry} entry
   * @param {boolean} blob
   */
  #pace(r, entry, blob) {
    if (!r.duration || (blob && r.start - this.player.position() < 2 * r.duration)) return Infinity;
    return Math.max(this.engine?.originRate ?? 0, (blob ? 8 : 2) * (entry.size / r.duration) * Second);
  }

  /** #asked learns from a request what the player plays and where it is. @param {Record} r */
  #asked(r) {
    const m = r.media;
    const delivered = m.last && m.lastDone ? m.last.start + m.last.duration : null;
    this.player.asked(r.start, m.last && r.start > m.last.start ? delivered : null);
    m.last = r;
    m.lastDone = false;
    const before = this.active.get(m.kind);
    if (before !== m || r.start < m.from || !this.engine?.lookup(r.id)) {
      if (before !== m || r.start < m.from) m.from = r.start;
      this.active.set(m.kind, m);
      this.#manifest();
    }
    this.#play();
  }

  /** #count counts bytes that pass from the origin and are of no use to others. */
  #count() {
    return new Pipe(async ({ body }) => {
      try {
        for await (const piece of body) this.outside += piece.length;
      } catch {
        // it broke off
      }
    }, () => {});
  }

  /** #tee takes a segment that passes from the origin to the player. @param {Record} r */
  #tee(r) {
    if (this.teeing.has(r.id)) return this.#count();
    this.teeing.set(r.id, 0);
    const job = this.#job(r);
    const done = (/** @type {boolean} */ ok, /** @type {number} */ bytes) => {
      const waiting = this.teeing.get(r.id) ?? 0;
      this.teeing.delete(r.id);
      if (ok && r.media.last === r) r.media.lastDone = true;
      this.step({ kind: k.OriginDone, segment: r.id, ok, bytes });
      for (let i = 1; i < waiting; i++) this.step({ kind: k.OriginDone, segment: r.id, ok, bytes: 0 });
    };
    return new Pipe(async (answer) => {
      const res = await take(job, answer, AbortSignal.timeout(60_000)).catch(() => ({ ok: false, bytes: 0 }));
      done(res.ok, res.bytes);
    }, () => done(false, 0));
  }

  // --- the engine ---

  /** step gives the engine an input and does what it says. @param {import("./peer/input.js").Input} input */
  step(input) {
    if (!this.engine) return;
    this.inputs.push(input);
    if (this.stepping) return;
    this.stepping = true;
    try {
      for (let next = this.inputs.shift(); next && this.engine; next = this.inputs.shift()) {
        for (const f of this.engine.step(now(), next)) this.#effect(f);
      }
    } catch (error) {
      // Playback first: without an engine all comes from the origin.
      console.warn("mesh: the engine has failed; playing from the origin", error);
      this.#end();
      this.closed = true;
    }
    this.stepping = false;
    this.#arm();
  }

  #arm() {
    clearTimeout(this.timer);
    if (!this.engine) return;
    const wait = (this.engine.nextDeadline() - now()) / 1e6;
    if (wait < 3600e3) this.timer = setTimeout(() => this.step({ kind: k.Tick }), Math.max(0, Math.ceil(wait)));
  }

  /** @param {import("./peer/input.js").Effect} f */
  #effect(f) {
    const { peer, segment, chunk } = f;
    switch (f.kind) {
      case k.Connect: return this.connections.connect(peer);
      case k.Accept: return this.connections.accept(peer);
      case k.Disconnect:
        this.passes.delete(peer);
        return this.connections.close(peer);
      case k.Send: return this.connections.send(peer, f.message);
      case k.SendChunk: return this.#sendChunk(peer, segment, chunk);
      case k.SendProof: {
        const proof = this.store.entries.get(segment)?.proof;
        if (proof && this.#mayHave(peer, proof)) this.connections.send(peer, { type: wire.Proof, segment, token: proof.token, hashes: proof.hashes });
        return;
      }
      case k.CheckPass: return void this.#checkPass(peer, f.message.token);
      case k.CheckProof: return void this.#checkProof(peer, segment, f.message);
      case k.CheckChunk: return void this.#checkChunk(peer, segment, chunk, f.data);
      case k.FetchOrigin: return void this.#fetch(segment, f.chunks);
      case k.Complete: return this.store.get(segment).wake();
      case k.Evict: return this.store.evict(segment);
      case k.Signal: {
        const m = f.signal;
        return this.signaling.send(m.type === "report" ? { ...m, report: this.report() } : m);
      }
    }
  }

  /** #mayHave says whether a neighbor's pass covers a segment. @param {string} peer @param {import("./store.js").Proof} proof */
  #mayHave(peer, proof) {
    const pass = this.passes.get(peer);
    return !!pass && covers(pass.scope, proof.path);
  }

  /** @param {string} peer @param {string} segment @param {number} chunk */
  #sendChunk(peer, segment, chunk) {
    const entry = this.store.entries.get(segment);
    const data = entry?.chunks[chunk];
    const sent = (/** @type {number} */ bytes) => this.step({ kind: k.Sent, peer, bytes });
    if (!data || !this.#mayHave(peer, entry.proof)) return sent(0);
    this.connections.sendChunk(peer, segment, chunk, data, () => sent(data.length));
  }

  /** @param {string} peer @param {string} token */
  async #checkPass(peer, token) {
    let ok = false;
    try {
      const pass = await this.session.verifier.pass(token, this.session.now());
      ok = pass.peer === peer && pass.swarm === this.session.swarm;
      if (ok) this.passes.set(peer, pass);
    } catch {
      // not ok
    }
    this.step({ kind: k.PassChecked, peer, ok });
  }

  /** #verify checks a statement about a segment. @param {string} segment @param {{token: string, hashes: Uint8Array}} s @returns {Promise<import("./store.js").Proof|null>} */
  async #verify(segment, s) {
    try {
      const t = await this.session.verifier.segment(s.token, this.session.now());
      const layout = new Layout(t.size, t.chunkSize);
      const named = (await segmentId(t.path)) === segment || (await segmentId(t.path, t.offset, t.size)) === segment;
      return named && (await layout.verify(s.hashes, t.root)) ? { token: s.token, hashes: s.hashes, path: t.path, layout } : null;
    } catch {
      return null;
    }
  }

  /** @param {string} peer @param {string} segment @param {wire.Message} m */
  async #checkProof(peer, segment, m) {
    const proof = await this.#verify(segment, { token: m.token, hashes: m.hashes });
    if (proof) this.store.get(segment).prove(proof);
    this.step({ kind: k.ProofChecked, peer, segment, ok: !!proof, layout: proof?.layout });
  }

  /** @param {string} peer @param {string} segment @param {number} chunk @param {Uint8Array} data */
  async #checkChunk(peer, segment, chunk, data) {
    const entry = this.store.get(segment);
    const ok = !!entry.proof && (await entry.proof.layout.check(entry.proof.hashes, chunk, data));
    if (ok && !entry.gone && !entry.chunks[chunk]) entry.put(chunk, data);
    this.step({ kind: k.ChunkChecked, peer, segment, chunk, ok });
  }

  /** @param {Record} r @returns {import("./origin.js").Job} */
  #job(r) {
    const segment = r.id, entry = this.store.get(segment);
    return {
      url: r.url, offset: r.offset, length: r.length, entry, statements: this.session?.segment ?? "",
      verify: async (s) => (this.session ? this.#verify(segment, s) : null),
      prove: (proof) => {
        entry.prove(proof);
        this.step({ kind: k.OriginProof, segment, layout: proof.layout });
      },
      chunk: (chunk, bytes) => this.step({ kind: k.OriginChunk, segment, chunk, bytes }),
    };
  }

  /** @param {string} segment @param {bigint} chunks */
  async #fetch(segment, chunks) {
    const done = (/** @type {boolean} */ ok, /** @type {number} */ bytes) => this.step({ kind: k.OriginDone, segment, ok, bytes });
    const r = this.byId.get(segment);
    if (!r) return done(false, 0);
    if (this.teeing.has(segment)) return void this.teeing.set(segment, this.teeing.get(segment) + 1);
    const abort = new AbortController();
    const under = this.fetching.get(segment) ?? new Set();
    this.fetching.set(segment, under.add(abort));
    const job = this.#job(r);
    let res = { ok: false, bytes: 0 };
    try {
      res = await (chunks && job.entry.proof ? fetchChunks(job, chunks, abort.signal) : fetchWhole(job, abort.signal));
    } catch {
      // not ok
    }
    under.delete(abort);
    if (!under.size) this.fetching.delete(segment);
    if (!res.ok && !abort.signal.aborted) job.entry.fail();
    done(res.ok, res.bytes);
  }
}

/** typeOf guesses a Content-Type. @param {string} url */
function typeOf(url) {
  const ext = /\.(\w+)$/.exec(new URL(url).pathname)?.[1].toLowerCase() ?? "";
  const types = { ts: "video/mp2t", aac: "audio/aac", mp3: "audio/mpeg", vtt: "text/vtt", m4a: "audio/mp4", cmfa: "audio/mp4" };
  return types[/** @type {keyof typeof types} */ (ext)] ?? "video/mp4";
}
