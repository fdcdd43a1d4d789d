// One viewer: a session in one swarm, the engine, and what the engine decides done. Engine and driver meet in step and
// #effect; peer/input.js says what each effect asks for and how it comes back.

import { answer, parseRange } from "./answer.js";
import { Downloads, stated } from "./downloads.js";
import { MARK } from "./origin.js";
import { Engine } from "./peer/engine.js";
import * as k from "./peer/input.js";
import { fetches, hurried } from "./peer/fetchrules.js";
import { Player } from "./player.js";
import { Second } from "./playlist.js";
import { Presentation } from "./presentation.js";
import { Connections } from "./rtc.js";
import { bootstrap, open, Refused, retryAfter } from "./session.js";
import { Signaling } from "./signaling.js";
import { Store } from "./store.js";
import { Trust } from "./trust.js";
import * as wire from "./wire.js";

// A player's request waits so long for peers at most. A player that streams takes the wait for how slow the network is: of
// a VOD it waits no longer than half of what the segment plays, so that a neighbor that gives little does not hold it down.
const PATIENCE = 3 * Second;
// So long before the playhead reaches a segment the player must have it: to hand it over, to decode. A blob is handed over
// when all of it is here.
const LEAD = 0.25 * Second;
const BLOB_LEAD = 0.75 * Second;
const HASTE = 6 * Second; // in half of this a player gets what is not due for long, because the worker waits for it
const OVERDUE = 1000; // ms that a part may be listed later than it should
const RELOAD = 3000; // ms within which pages load a manifest again
const MOMENT = 0.7 * Second; // that a neighbor gets for what it has of the first segments

/**
 * @typedef {import("./presentation.js").Record} Record
 * @typedef {import("./page.js").Mesh} Mesh
 * @typedef {import("./answer.js").Answer|{tee: import("./origin.js").Pipe|null}} Answered
 */

/** The browser's view of the network, where it has one (Network Information API). @type {any} */
const network = /** @type {any} */ (globalThis.navigator)?.connection;

const START = 60_000; // ms on the engine's clock when the page begins: for an engine, all that never was lies before 0
const now = () => Math.trunc((START + performance.now()) * 1e6);

export class Viewer {
  /** @param {Mesh} mesh @param {import("./session.js").Bootstrap} from @param {string} asked URL of the manifest */
  constructor(mesh, from, asked) {
    this.mesh = mesh;
    this.bootstrap = from;
    this.asked = asked;
    this.reloaded = false;
    this.store = new Store();
    this.player = new Player(() => this.#play());
    this.presentation = new Presentation({
      listed: (playlist, segments, inits) => mesh.list(playlist, segments, inits),
      changed: () => {
        this.#manifest();
        this.#hints();
        this.#look();
      },
      ended: () => this.player.zero(),
      kept: (segment) => this.store.entries.has(segment),
      now: () => (this.session ? this.session.now() * 1000 : Date.now()),
    }, from.who);
    this.presentation.carry(asked);
    this.downloads = new Downloads(this.store, {
      step: (input) => this.step(input),
      knows: (segment) => this.#knows(segment),
      record: (segment) => this.presentation.byId.get(segment),
      url: (r) => this.presentation.fetchURL(r),
      delivered: (r) => this.presentation.done(r),
      listing: (r) => this.presentation.listing(r),
      session: () => this.session,
      requests: () => mesh.requests,
      trust: () => this.trust,
    });
    /** @type {import("./session.js").Session} */
    this.session = null;
    /** @type {Trust} */
    this.trust = null;
    /** @type {Engine} */
    this.engine = null;
    this.wait = 0; // ns that a segment waits at the origin, as the edge says
    this.failed = false; // the engine has
    this.moved = false; // the network has changed, and neighbors are still talked to over the old one
    this.resting = true;
    /** @type {object} the session that is being opened, or the last that was */
    this.opening = null;
    this.begun = false; // the player has begun, and the engine knows what it plays
    this.lead = LEAD;
    this.lastUse = performance.now();
    /** @type {any[]} */
    this.inputs = [];
    /** @type {string[]} peers that the engine wants to be connected with */
    this.waiting = [];
    this.stepping = false;
    this.online = () => this.networkChanged();
    let type = network?.type;
    this.change = () => { // it comes with each new estimate of the rate, too
      if (type !== network.type) this.networkChanged();
      type = network.type;
    };
    /** The engine's clock, while it stands. @type {number|null} */
    this.moment = null;
    this.#wake();
  }

  // --- session ---

  /** #wake joins the swarm, for the first time or after a rest. */
  #wake() {
    if (!this.resting || this.failed) return;
    this.resting = false;
    this.ticker = setInterval(() => this.#tick(), 1000);
    globalThis.addEventListener?.("online", this.online);
    network?.addEventListener?.("change", this.change);
    this.#open();
  }

  /**
   * #reloadIn loads the manifest again, where the edge does not know its swarm, and opens a session of the one that it names;
   * once, and at a time of its own, because all viewers of an edge may be told so at once.
   * @param {number} wait ms
   */
  #reloadIn(wait) {
    this.reloaded = true;
    this.retry = setTimeout(async () => {
      try {
        const r = await fetch(this.asked + MARK, { ...this.mesh.requests, cache: "no-cache" }), again = retryAfter(r);
        if (again) return this.#reloadIn(again * (1 + Math.random()));
        const b = bootstrap(r.headers.get("Mesh-Bootstrap") ?? "", r.url);
        await r.text(); // the edge learns from the whole of it
        if (!b || this.resting) return;
        this.mesh.viewers.delete(this.bootstrap.swarm);
        this.mesh.viewers.set(b.swarm, this);
        this.bootstrap = b;
        this.#open();
      } catch {
        // the player will see
      }
    }, wait);
  }

  async #open() {
    clearTimeout(this.retry);
    const opening = (this.opening = {});
    let session;
    try {
      const mode = this.mesh.mode();
      session = await open(this.bootstrap, { mode, token: this.mesh.token || this.presentation.token || undefined, device: this.mesh.device.describe() }, this.mesh.requests);
    } catch (error) {
      if (this.opening !== opening) return;
      const wait = error instanceof Refused ? error.retry : 5000;
      if (wait) this.retry = setTimeout(() => this.#open(), wait * (1 + Math.random()));
      else if (error.code === "unknown_swarm" && !this.reloaded) this.#reloadIn(RELOAD * Math.random());
      return;
    }
    if (this.opening !== opening) return;
    this.session = session;
    this.reloaded = false;
    this.wait = session.originWaitMS * 1e6;
    this.trust = new Trust(this.session);
    const { limits, peer, pass, announceMS, reportMS } = this.session;
    const own = this.mesh.device.memory(), cap = limits.cache_bytes ?? 0;
    this.engine = new Engine({
      id: peer, seed: BigInt(Math.trunc(Math.random() * 2 ** 52)), pass,
      receiveOnly: limits.receive_only === true, neighbors: limits.neighbors ?? 0,
      uploadRate: (limits.upload_bps ?? 0) / 8, uploadRatio: limits.upload_ratio ?? 0, relayRate: (limits.relay_bps ?? 0) / 8,
      cacheBytes: own && cap ? Math.min(own, cap) : own || cap, originRate: this.downloads.rate,
      announceInterval: (announceMS ?? 0) * 1e6, reportInterval: (reportMS ?? 0) * 1e6,
    });
    this.connections = new Connections(this.session, {
      up: (peer, relayed) => this.step({ kind: k.NeighborUp, peer, relayed }),
      down: (peer) => {
        this.step({ kind: k.NeighborDown, peer });
        this.#connect();
      },
      offered: (peer) => this.step({ kind: k.Offered, peer }),
      receive: (peer, message) => this.step({ kind: k.Receive, peer, message }),
      signal: (m) => this.signaling.send(m),
    });
    this.signaling = new Signaling(this.session, {
      open: () => {
        this.step({ kind: k.Joined });
        if (this.moved) this.connections.restart();
        this.moved = false;
      },
      renewed: (pass) => this.step({ kind: k.Renewed, pass }),
      network: () => this.step({ kind: k.NetworkChanged }),
      message: (m) => this.heard(m),
      lost: (after) => {
        this.#end();
        this.retry = setTimeout(() => this.#open(), after);
      },
    });
    this.switches();
    if (this.begun) this.#begin();
  }

  /**
   * #begin tells the engine what there is when the player has begun, at one moment: it must not plan before it knows all. A
   * plan that is overdue, as those of a busy page are, comes first.
   */
  #begin() {
    this.begun = true;
    this.mesh.worker?.begin();
    if (!this.engine) return;
    this.moment = now();
    this.step({ kind: k.Tick });
    this.#manifest();
    this.#replay();
    this.moment = null;
    this.#connect();
  }

  /** networkChanged has all go on over the network that is there now; neighbors stay. */
  networkChanged() {
    if (!this.engine) return;
    this.moved = true;
    this.step({ kind: k.NetworkChanged });
    this.signaling.again();
  }

  /** #connect connects with those that wait for it: with one alone before the player has begun, which needs the processor. */
  #connect() {
    while (this.waiting.length && (this.begun || !this.connections.all.size)) this.connections.connect(this.waiting.shift());
  }

  /** #knows says whether the engine has seen a segment in a manifest. @param {string} segment */
  #knows(segment) {
    return this.begun && !!this.engine?.lookup(segment)?.known;
  }

  /** #replay tells the engine what is stored of what it knows. */
  #replay() {
    for (const [segment, e] of this.store.entries) {
      if (!this.#knows(segment)) continue;
      let bytes = 0;
      if (e.proof && !e.disowned) {
        this.step({ kind: k.OriginProof, segment, ...stated(e.proof) });
        e.chunks.forEach((c, chunk) => {
          this.step({ kind: k.OriginChunk, segment, chunk, bytes: c.length });
          bytes += c.length;
        });
      } else if (e.rawDone) {
        bytes = e.rawBytes;
        this.step({ kind: k.OriginDone, segment, ok: true, bytes });
      }
      this.downloads.outside -= bytes; // they were counted before
    }
  }

  /** #end ends the session; what is stored stays. */
  #end() {
    this.mesh.keep(this.report());
    this.downloads.outside = 0;
    this.signaling?.close();
    this.connections?.closeAll();
    clearTimeout(this.timer);
    clearTimeout(this.looking);
    this.downloads.abort();
    for (const e of this.store.entries.values()) e.fail();
    this.engine = this.signaling = this.connections = null;
    this.inputs = [];
    this.waiting = [];
  }

  /** rest leaves the swarm, until the player asks for something. */
  rest() {
    if (this.resting) return;
    this.resting = true;
    this.opening = null;
    clearTimeout(this.retry);
    clearInterval(this.ticker);
    globalThis.removeEventListener?.("online", this.online);
    network?.removeEventListener?.("change", this.change);
    if (this.engine) {
      this.signaling.send({ type: "report", report: this.report() });
      this.signaling.send({ type: "leave" });
    }
    this.#end();
    for (const segment of [...this.store.entries.keys()]) this.store.evict(segment);
  }

  /** switches tells the engine whether to give and to take. */
  switches() {
    this.step({ kind: k.SetUpload, ok: this.mesh.state.upload });
    this.#play();
    this.#manifest();
  }

  /** report is the engine's report and the player's. @returns {import("./signal.js").Report} */
  report() {
    const r = this.engine?.report() ?? {};
    return { ...r, origin_bytes: Math.max(0, (r.origin_bytes ?? 0) + this.downloads.outside), ...this.player.quality() };
  }

  // --- the player ---

  /**
   * playlist reads a playlist that the player has loaded.
   * @param {string} asked URL that was asked for
   * @param {string} url that it came from
   * @param {string} text
   */
  playlist(asked, url, text) {
    this.#wake();
    return this.presentation.read(asked, url, text);
  }

  /** heard takes a message of the edge. @param {import("./signal.js").Message} m */
  heard(m) {
    const wait = (m.origin_wait_ms ?? 0) * 1e6;
    if (m.type === "peers" && wait !== this.wait) {
      this.wait = wait;
      this.#manifest();
    }
    if (m.type === "peers" || m.type === "drop") this.step({ kind: k.SignalIn, signal: m });
    else this.connections.signal(m);
  }

  /**
   * #manifest tells the engine what the player plays. Before the player has begun that is nothing yet, but the engine may
   * look for neighbors.
   */
  #manifest() {
    const manifest = this.engine && this.presentation.manifest(this.begun && this.mesh.state.download);
    if (!manifest) return;
    manifest.wait = this.wait;
    if (!this.begun) Object.assign(manifest, { rendition: "", number: "0".repeat(16) });
    this.step({ kind: k.ManifestIn, manifest });
  }

  /**
   * #hints fetches the parts that come next of which it is this viewer's turn: it has them as soon as they are made, and
   * others have them from here once they are listed.
   */
  #hints() {
    if (!this.begun || !this.engine || !this.mesh.state.download) return;
    for (const r of this.presentation.hints()) {
      if (fetches(this.engine, r.sequence) && !this.store.entries.has(r.id)) this.downloads.early(r);
    }
  }

  /**
   * #look loads the playlists whose next segment is this viewer's to fetch, or is needed as soon as it is there, when it is
   * expected: by then the player, which loads them at its own times, may be late.
   */
  #look() {
    clearTimeout(this.looking);
    const { download, upload } = this.mesh.state;
    if (!this.begun || !this.engine || !download || !upload || !this.player.playing()) return;
    const now = performance.now() * 1e6, { newest } = this.engine, late = newest && hurried(this.engine, newest);
    let next = Infinity;
    for (const m of this.presentation.coming()) {
      if (!late && !fetches(this.engine, m.segments.at(-1).sequence + 1)) continue;
      const at = m.lookout.next();
      if (at > now) next = Math.min(next, at);
      else this.presentation.look(m, (url) => fetch(url + MARK, { ...this.mesh.requests, cache: "no-store" })).then(() => this.#look());
    }
    if (next < Infinity) this.looking = setTimeout(() => this.#look(), Math.ceil((next - now) / 1e6));
  }

  #tick() {
    this.#play();
    this.#look();
    this.presentation.relist();
  }

  /** #ahead is how long before the playhead reaches it a segment must be here, ns; below 0 before the player has begun. */
  #ahead() {
    return this.player.begun() ? this.lead : -MOMENT;
  }

  /** #play tells the engine where the playhead is, if it believes otherwise. */
  #play() {
    if (!this.engine || !this.presentation.active.size) return;
    const position = this.player.position() + this.#ahead(), playing = this.player.playing();
    const e = this.engine;
    if (playing !== e.playing || Math.abs(e.playhead(now()) - position) > 0.3 * Second) this.step({ kind: k.Play, playing, position });
  }

  /**
   * request answers a request of the player; null where the URL is not known.
   * @param {string} url without fragment
   * @param {string|null} header value of the Range header
   * @param {AbortSignal} signal
   * @param {boolean} [whole] a blob is wanted
   * @param {boolean} [passes] it is passing from the origin already
   * @returns {Answered|null}
   */
  request(url, header, signal, whole = false, passes = false) {
    const list = this.presentation.find(url);
    if (!list) return null;
    this.#wake();
    this.lead = whole ? BLOB_LEAD : LEAD;
    this.lastUse = performance.now();
    const range = header ? parseRange(header) : null;
    if (header && !range) return { tee: this.downloads.count() };
    const { first, last } = range ?? { first: 0, last: -1 };
    const r = list.find((x) => (x.length ? range && first === x.offset && last === x.offset + x.length - 1 : true));
    if (!r) return { tee: this.downloads.count() };
    if (r.initSection) return { tee: this.downloads.count() };
    this.#asked(r, passes);
    const ours = this.#knows(r.id) || this.downloads.hinted.has(r.id), theirs = !ours && this.#awaits(r);
    if (passes || !this.mesh.state.download || r.gap || (whole && r.length > 0) || !(ours || theirs)) {
      const all = r.length > 0 || (first === 0 && last < 0);
      return { tee: all ? this.downloads.tee(r) : this.downloads.count() };
    }
    const entry = this.store.get(r.id);
    if (ours) this.#need(r, whole);
    else this.#listed(r, entry).then(() => this.#need(r, whole));
    return answer(r, entry, range, signal, () => this.#pace(r, entry), () => this.presentation.done(r));
  }

  /** #need tells the engine that the player waits for a segment. @param {Record} r @param {boolean} whole a blob is wanted */
  #need(r, whole) {
    const patience = whole || r.media.live ? PATIENCE : Math.min(PATIENCE, r.duration / 2);
    const within = Math.min(patience, Math.max(0, r.start - this.player.position() - this.#ahead()));
    this.step({ kind: k.Need, segment: r.id, within });
  }

  /** #awaits says whether a part that a playlist hints at is a neighbor's to fetch. @param {Record} r */
  #awaits(r) {
    return r.hint && r.media.parts && this.begun && !!this.engine?.neighbors() && !fetches(this.engine, r.sequence);
  }

  /**
   * #listed resolves once a part is listed that the player asks for on a hint. If that takes longer than to make it, or will
   * never be, whoever reads the entry asks the network.
   * @param {Record} r
   * @param {import("./store.js").Entry} entry
   */
  async #listed(r, entry) {
    const late = new Promise((resolve) => setTimeout(resolve, r.duration / 1e6 + OVERDUE, false));
    if (!(await Promise.race([this.presentation.listing(r), late]))) entry.fail();
  }

  /**
   * #pace is how fast a player gets what lies here, in bytes/s: as fast as the origin would send it, but half as fast again
   * as it plays, and so that all of it is there in half the time until it is due. What is due now comes at once.
   * @param {Record} r
   * @param {import("./store.js").Entry} entry
   */
  #pace(r, entry) {
    const left = Math.min(r.start - this.player.position() - this.lead, HASTE);
    if (!r.duration || left <= 0) return Infinity;
    return Math.max(this.engine?.originRate ?? 0, entry.size * Second * Math.max(1.5 / r.duration, 2 / left));
  }

  /** #asked learns from a request what the player plays and where it is. @param {Record} r @param {boolean} passes */
  #asked(r, passes) {
    const { changed, skipped, delivered } = this.presentation.asked(r);
    this.player.asked(r.start, delivered, skipped);
    this.#play(); // first, for by it the engine judges what comes new
    // At the live edge it may begin with what a neighbor has.
    const held = skipped && this.engine?.lookup(r.id)?.theirs.some(Boolean);
    if (!this.begun && !passes && (held || this.player.begun())) {
      this.#begin();
    } else if (changed || !this.#knows(r.id)) {
      this.#manifest();
    }
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
        for (const f of this.engine.step(this.moment ?? now(), next)) this.#effect(f);
      }
    } catch (error) {
      // Playback first: without an engine all comes from the origin.
      console.warn("mesh: the engine has failed; playing from the origin", error);
      this.failed = true;
      this.rest();
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
      case k.Connect:
        this.waiting.push(peer);
        return this.#connect();
      case k.Accept: return this.connections.accept(peer);
      case k.Disconnect:
        this.trust.forget(peer);
        this.waiting = this.waiting.filter((p) => p !== peer);
        this.connections.close(peer);
        return this.#connect();
      case k.Send: return this.connections.send(peer, f.message);
      case k.SendChunk: return void this.#sendChunk(peer, segment, chunk);
      case k.SendProof: {
        const proof = this.store.entries.get(segment)?.proof;
        if (proof && this.trust.mayHave(peer, proof)) this.connections.send(peer, { type: wire.Proof, segment, token: proof.token, hashes: proof.hashes });
        return;
      }
      case k.CheckPass: return void this.#checkPass(peer, f.message.token);
      case k.CheckProof: return void this.#checkProof(peer, segment, f.message);
      case k.CheckChunk: return void this.#checkChunk(f);
      case k.FetchOrigin: return void this.downloads.fetch(segment, f.chunks);
      case k.CancelOrigin: return this.downloads.cancel(segment);
      case k.Complete: return this.store.get(segment).wake();
      case k.Evict: return this.store.evict(segment);
      case k.Signal: {
        const m = f.signal;
        return this.signaling.send(m.type === "report" ? { ...m, report: this.report() } : m);
      }
    }
  }

  /** @param {string} peer @param {string} segment @param {number} chunk */
  async #sendChunk(peer, segment, chunk) {
    const { connections } = this, entry = this.store.entries.get(segment);
    const data = entry?.chunks[chunk];
    const sent = (/** @type {number} */ bytes) => {
      if (this.connections === connections) this.step({ kind: k.Sent, peer, bytes });
    };
    if (!data || !this.trust.mayHave(peer, entry.proof)) return sent(0);
    const signature = await this.trust.sign(segment, entry.proof, chunk);
    if (entry.gone) return sent(0);
    connections.sendChunk(peer, segment, chunk, data, signature, () => sent(data.length));
  }

  /** @param {string} peer @param {string} token */
  async #checkPass(peer, token) {
    const pass = await this.trust.pass(peer, token);
    this.step({ kind: k.PassChecked, peer, ok: !!pass, within: Math.trunc((pass?.left ?? 0) * Second), receiveOnly: pass?.receiveOnly });
  }

  /** @param {string} peer @param {string} segment @param {wire.Message} m */
  async #checkProof(peer, segment, m) {
    const proof = await this.trust.proof(segment, { token: m.token, hashes: m.hashes });
    const used = proof && this.store.prove(segment, proof).proof;
    this.step({ kind: k.ProofChecked, peer, segment, ok: !!proof, ...(used && stated(used)) });
  }

  /** @param {import("./peer/input.js").Effect} f */
  async #checkChunk({ peer, segment, chunk, data, signature }) {
    const entry = this.store.get(segment);
    const verdict = await this.trust.chunk(peer, entry, segment, chunk, data, signature);
    if (entry.gone && !verdict.evidence) return; // a newer statement has come meanwhile
    if (verdict.ok && !entry.disowned && !entry.chunks[chunk]) entry.put(chunk, data);
    this.step({ kind: k.ChunkChecked, peer, segment, chunk, ...verdict });
  }
}
