// The page's part of the mesh, for its authors: switches, numbers, and the way in for players that bring a loader.

import { Device } from "./device.js";
import { MARK } from "./origin.js";
import { bootstrap } from "./session.js";
import { isPlaylist, plain } from "./url.js";
import { Viewer } from "./viewer.js";
import { Worker } from "./worker.js";

const IDLE = 3 * 60_000; // ms without a request after which a viewer that does not play leaves its swarm
const MOST = 8; // viewers, with those that rest

/**
 * Stats are running totals of this page.
 * @typedef {{peerBytes: number, originBytes: number, relayedBytes: number, uploadedBytes: number, duplicateBytes: number,
 *   badChunks: number, neighbors: number, offload: number, saving: number, download: boolean, upload: boolean}} Stats
 * @typedef {import("./device.js").Switch} Switch
 */

/**
 * Mesh is the page's mesh, as window.mesh. It says "stats" once a second, with Stats as the event's detail, and "state"
 * when state changes.
 */
export class Mesh extends EventTarget {
  #download = /** @type {Switch} */ (true);
  #upload = /** @type {Switch} */ (true);
  #state = { download: false, upload: false, reason: "off" };

  constructor() {
    super();
    this.device = new Device(() => this.#switch());
    /** @type {Map<string, Viewer>} by swarm */
    this.viewers = new Map();
    /** @type {Worker} */
    this.worker = null;
    this.receiveOnly = false;
    this.running = false;
    /** token is the viewer token of the site, where it uses them and it is not in the URL or a cookie. */
    this.token = "";
    /**
     * requests is what requests to the edge carry: it is taken from the player's, but of hls.js with a loader, where the page
     * sets it. A page on another host sends cookies with "include"; the edge names that host in origins.
     * @type {import("./session.js").Carried}
     */
    this.requests = { credentials: "same-origin", headers: {} };
    this.past = { peer_bytes: 0, origin_bytes: 0, relayed_bytes: 0, uploaded_bytes: 0, duplicate_bytes: 0, bad_chunks: 0 };
    /** @type {Map<string, Promise<{children: string[]}>>} playlists that the page read itself, by URL */
    this.reads = new Map();
    /** @type {Promise<{children: string[]}>} the last of them */
    this.reading = Promise.resolve({ children: [] });
    /** @type {Promise<void>} resolves when the worker sees the page's requests, or there is none */
    this.ready = new Promise((resolve) => (this.begun = resolve));
  }

  /**
   * run lets the page take part, for loaders and the worker alike.
   * @param {{receiveOnly?: boolean}} [options]
   */
  run(options = {}) {
    this.receiveOnly = options.receiveOnly ?? this.receiveOnly;
    if (this.running) return;
    this.running = true;
    this.#switch();
    this.ticker = setInterval(() => this.#tick(), 1000);
    addEventListener("pagehide", () => this.#leave());
  }

  /**
   * start registers the worker as well, which resolves when it sees the page's requests; where there can be none the page
   * plays from the origin.
   * @param {URL} script URL of sw.js
   * @param {{receiveOnly?: boolean}} [options]
   */
  async start(script, options = {}) {
    this.run(options);
    const missed = this.#missed();
    try {
      this.worker ??= new Worker(this, script);
      await this.worker.start();
      await this.#catchUp();
    } catch (error) {
      missed.disconnect();
      console.info("mesh: no service worker, playing from the origin:", error.message);
    }
    this.begun();
  }

  /** stop leaves all swarms; requests go to the network untouched. */
  stop() {
    this.running = false;
    clearInterval(this.ticker);
    this.worker?.clear();
    this.#leave();
    this.#switch();
  }

  #leave() {
    for (const v of this.viewers.values()) v.rest();
  }

  /** carry notes what a player's request carries. @param {string} credentials @param {string|null} [authorization] */
  carry(credentials, authorization) {
    if (credentials === "include") this.requests.credentials = credentials;
    if (authorization) this.requests.headers.Authorization = authorization;
  }

  /** keep adds the totals of a session that has ended to those of the page. @param {import("./signal.js").Report} r */
  keep(r) {
    for (const n in this.past) this.past[/** @type {keyof typeof this.past} */ (n)] += r[n] ?? 0;
  }

  /** attach says which media element plays, where the page has several or hides it in a shadow tree. @param {HTMLMediaElement} media */
  attach(media) {
    this.media = media;
    for (const v of this.viewers.values()) v.player.attach(media);
  }

  /** download switches taking from peers: for any connection, or for cellular and wifi apart. @param {Switch} s */
  set download(s) {
    this.#download = s;
    this.#switch();
  }
  get download() { return this.#download; }

  /** upload switches giving to peers, likewise. @param {Switch} s */
  set upload(s) {
    this.#upload = s;
    this.#switch();
  }
  get upload() { return this.#upload; }

  /** state is what holds now, the device's rules included; reason says why nothing is given, or is empty. */
  get state() { return this.#state; }

  #switch() {
    let reason = this.running ? this.device.upload(this.#upload) : "off";
    if (!reason && this.receiveOnly) reason = "receive only";
    const download = this.running && this.device.download(this.#download);
    const s = { download, upload: !reason, reason };
    if (s.download === this.#state.download && s.reason === this.#state.reason) return;
    this.#state = s;
    for (const v of this.viewers.values()) v.switches();
    this.dispatchEvent(new CustomEvent("state", { detail: s }));
  }

  /** mode is what a session request asks for. */
  mode() { return this.receiveOnly ? "receive_only" : "full"; }

  /** stats are the running totals. @returns {Stats} */
  get stats() {
    const t = { ...this.past };
    let neighbors = 0;
    for (const v of this.viewers.values()) {
      const r = v.report();
      for (const n in t) t[/** @type {keyof typeof t} */ (n)] += r[n] ?? 0;
      neighbors += v.engine?.neighbors() ?? 0;
    }
    const all = t.peer_bytes + t.origin_bytes;
    return {
      peerBytes: t.peer_bytes, originBytes: t.origin_bytes, relayedBytes: t.relayed_bytes, uploadedBytes: t.uploaded_bytes,
      duplicateBytes: t.duplicate_bytes, badChunks: t.bad_chunks, neighbors, offload: all ? t.peer_bytes / all : 0,
      saving: all ? (t.peer_bytes - t.relayed_bytes) / all : 0, // what a relay carried the edge has sent, too
      download: this.#state.download, upload: this.#state.upload,
    };
  }

  /** neighbors are the peers that this page is connected with, and the bytes that went each way. */
  get neighbors() {
    return [...this.viewers.values()].flatMap((v) => (v.engine?.slots ?? []).filter((n) => n?.up)
      .map((n) => ({ peer: n.id, received: n.gaveUs, given: n.tookFromUs, relayed: n.relayed })));
  }

  #tick() {
    for (const [swarm, v] of this.viewers) {
      if (performance.now() - v.lastUse > IDLE && !v.player.playing()) v.rest();
      if (v.resting && this.viewers.size > MOST) this.viewers.delete(swarm);
    }
    this.dispatchEvent(new CustomEvent("stats", { detail: this.stats }));
  }

  // --- what the worker and the loaders use ---

  /**
   * playlist reads a playlist that a player loads.
   * @param {string} asked URL that was asked for, perhaps relative to the page
   * @param {string} url that it came from
   * @param {string} text
   * @param {string|null} header Mesh-Bootstrap
   */
  async playlist(asked, url, text, header) {
    const b = this.running && header ? bootstrap(header, url) : null;
    if (!b) return { children: [] };
    asked = new URL(asked, document.baseURI).href;
    // An edge that has just started takes a media playlist for a presentation of its own.
    let v = this.viewers.get(b.swarm) ?? [...this.viewers.values()].find((x) => x.session && x.presentation.lists(asked));
    if (!v) {
      this.viewers.set(b.swarm, (v = new Viewer(this, b, asked)));
      if (this.media) v.player.attach(this.media);
    }
    v.lastUse = performance.now();
    v.presentation.who = b.who;
    return v.playlist(asked, url, text);
  }

  /**
   * request answers a player's request for a segment; null where the URL is none.
   * @param {string} url
   * @param {string|null} range
   * @param {AbortSignal} signal
   * @param {boolean} [whole] a blob is wanted
   * @param {boolean} [passes] it is passing from the origin already
   */
  request(url, range, signal, whole, passes) {
    if (!this.running) return null;
    for (const v of this.viewers.values()) {
      const a = v.request(url, range, signal, whole, passes);
      if (a) return a;
    }
    return null;
  }

  /**
   * read reads all of an answer, for the loaders.
   * @param {{head: Promise<any>, body: () => AsyncIterable<Uint8Array>}} answer of request
   * @param {(loaded: number, total: number) => void} progress
   * @returns {Promise<{head: {status: number, headers: [string, string][]}, data: ArrayBuffer}>}
   */
  async read(answer, progress) {
    const head = await answer.head;
    const data = new Uint8Array(head.length);
    let n = 0;
    for await (const piece of answer.body()) {
      data.set(piece, n);
      progress((n += piece.length), head.length);
    }
    return { head, data: data.buffer };
  }

  /** list says which URLs a playlist lists. @param {string} playlist @param {string[]} segments @param {string[]} inits */
  list(playlist, segments, inits) {
    this.worker?.list(playlist, segments, inits);
  }

  /**
   * #missed reads the playlists that are loaded past the worker: before it is there, or on their way when it comes. So the
   * session begins while the worker does.
   */
  #missed() {
    const observer = new PerformanceObserver((list) => {
      for (const e of list.getEntriesByType("resource")) {
        const url = plain(e.name);
        if (isPlaylist(url) && !(/** @type {PerformanceResourceTiming} */ (e).workerStart)) this.#read(url);
      }
    });
    observer.observe({ type: "resource", buffered: true });
    return observer;
  }

  /** #catchUp reads the playlists that were loaded before the worker was there. */
  async #catchUp() {
    const loaded = new Set(performance.getEntriesByType("resource").map((e) => plain(e.name)));
    const sources = [...document.querySelectorAll("video, audio, source")].map((m) => /** @type {any} */ (m).currentSrc || /** @type {any} */ (m).src);
    const first = [...new Set([...loaded, ...sources])].filter(isPlaylist).slice(0, 8);
    const traces = new Set([...loaded].map(resource));
    for (const url of first) {
      const { children } = await this.#read(url);
      // A player's own requests are not always listed: without a trace, all renditions may be playing.
      if (!children.some((c) => traces.has(resource(c)))) for (const c of children.slice(0, 8)) await this.#read(c);
    }
  }

  /** #read reads a playlist once, one after another: a multivariant playlist says what its children are. @param {string} url */
  #read(url) {
    if (!this.reads.has(url)) this.reads.set(url, (this.reading = this.reading.then(() => this.#readNow(url))));
    return this.reads.get(url);
  }

  /** @param {string} url @returns {Promise<{children: string[]}>} */
  async #readNow(url) {
    try {
      // What the player sends is not known before the worker sees it, but its media element says whether cookies go along.
      const media = this.media ?? document.querySelector("[crossorigin=use-credentials]:is(video, audio)");
      if (/** @type {HTMLMediaElement|null} */ (media)?.crossOrigin === "use-credentials") this.requests.credentials = "include";
      const r = await fetch(url + MARK, this.requests);
      const header = r.headers.get("Mesh-Bootstrap");
      if (r.ok && header) return await this.playlist(url, r.url.split("#")[0], await r.text(), header);
    } catch {
      // the player will see
    }
    return { children: [] };
  }
}

/** @param {string} url */
const resource = (url) => url.split("?")[0];

/** mesh is the page's one mesh. @type {Mesh} */
export const mesh = /** @type {any} */ (globalThis).mesh instanceof Mesh ? /** @type {any} */ (globalThis).mesh : new Mesh();
/** @type {any} */ (globalThis).mesh = mesh;
