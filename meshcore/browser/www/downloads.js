// What a viewer takes from the origin: what its engine asks for, and what passes to the player anyhow and is of use to
// the engine and to others.

import { fetchChunks, fetchWhole, Pipe, take } from "./origin.js";
import * as k from "./peer/input.js";
import { covers, scopeOf } from "./tokens.js";

const TEE = 60_000; // ms that an answer may take to pass to the player
const FAST = 2e6; // bytes/s, more than is believed of what passes to the player

/**
 * @typedef {import("./presentation.js").Record} Record
 *
 * @typedef {object} Host
 * @property {(input: import("./peer/input.js").Input) => void} step
 * @property {(segment: string) => boolean} knows the engine knows the segment
 * @property {(segment: string) => Record|undefined} record
 * @property {(r: Record) => void} delivered the player has all of it
 * @property {() => import("./session.js").Session|null} session
 * @property {() => import("./session.js").Carried} requests
 * @property {() => import("./trust.js").Trust|null} trust
 */

export class Downloads {
  /** @param {import("./store.js").Store} store @param {Host} host */
  constructor(store, host) {
    this.store = store;
    this.host = host;
    this.outside = 0; // bytes that the engine does not know of
    this.passed = 0; // bytes of segments that passed to the player
    this.passing = 1; // ms that they took
    /** @type {Map<string, number>} fetches of the engine that wait for what passes to the player */
    this.teeing = new Map();
    /** @type {Map<string, Set<AbortController>>} */
    this.fetching = new Map();
  }

  /** #tell tells the engine of a segment, or counts the bytes for it. @param {import("./peer/input.js").Input} input */
  #tell(input) {
    if (this.host.knows(input.segment)) this.host.step(input);
    else this.outside += input.bytes ?? 0;
  }

  /** #statements is the URL to ask for the statement about a segment, "" for one that no pass of the swarm covers. @param {Record} r */
  #statements(r) {
    const s = this.host.session(), u = new URL(r.url);
    return s && u.origin === new URL(s.segment).origin && covers(scopeOf(s.pass), u.pathname) ? s.segment : "";
  }

  /** @param {Record} r @returns {import("./origin.js").Job} */
  #job(r) {
    const segment = r.id, entry = this.store.get(segment);
    return {
      url: r.url, offset: r.offset, length: r.length, entry, requests: this.host.requests(),
      // The edge says nothing for a part before it is listed: what came on a hint is for this player.
      statements: r.hint ? "" : this.#statements(r),
      verify: async (s) => (await this.host.trust()?.proof(segment, s)) ?? null,
      prove: (proof) => {
        entry.prove(proof);
        this.#tell({ kind: k.OriginProof, segment, layout: proof.layout });
      },
      chunk: (chunk, bytes) => this.#tell({ kind: k.OriginChunk, segment, chunk, bytes }),
    };
  }

  /** fetch does what a FetchOrigin asks for. @param {string} segment @param {bigint} chunks */
  async fetch(segment, chunks) {
    const done = (/** @type {boolean} */ ok, /** @type {number} */ bytes) => this.#tell({ kind: k.OriginDone, segment, ok, bytes });
    const r = this.host.record(segment);
    if (!r) return done(false, 0);
    if (this.teeing.has(segment)) return void this.teeing.set(segment, this.teeing.get(segment) + 1);
    const abort = new AbortController();
    const under = this.fetching.get(segment) ?? new Set();
    this.fetching.set(segment, under.add(abort));
    const job = this.#job(r);
    /** @type {import("./origin.js").Result} */
    let res = { ok: false, bytes: 0 };
    try {
      res = await (chunks && job.entry.proof ? fetchChunks(job, chunks, abort.signal) : fetchWhole(job, abort.signal));
      if (res.mismatch && !res.ok) {
        const { bytes } = res;
        job.entry.disown(0);
        res = await fetchWhole(job, abort.signal);
        res.bytes += bytes;
      }
    } catch {
      // not ok
    }
    under.delete(abort);
    if (!under.size) this.fetching.delete(segment);
    if (!res.ok && !abort.signal.aborted) job.entry.fail();
    done(res.ok, res.bytes);
  }

  /** abort ends all fetches. */
  abort() {
    for (const set of this.fetching.values()) for (const c of set) c.abort();
    this.fetching.clear();
  }

  /** count counts bytes that pass from the origin and are of no use to others. */
  count() {
    return new Pipe(async ({ body }) => {
      try {
        for await (const piece of body) this.outside += piece.length;
      } catch {
        // it broke off
      }
    }, () => {});
  }

  /** rate is how fast segments have passed to the player, bytes/s; 0 if none has. */
  rate() {
    return Math.min((this.passed / this.passing) * 1000, FAST);
  }

  /** tee takes a segment that passes from the origin to the player. @param {Record} r */
  tee(r) {
    if (this.teeing.has(r.id)) return this.count();
    this.teeing.set(r.id, 0);
    const job = this.#job(r);
    const done = (/** @type {boolean} */ ok, /** @type {number} */ bytes) => {
      const waiting = this.teeing.get(r.id) ?? 0;
      this.teeing.delete(r.id);
      if (ok) {
        this.host.delivered(r);
        this.passed += job.entry.size;
        this.passing += pipe.took;
      }
      this.#tell({ kind: k.OriginDone, segment: r.id, ok, bytes });
      for (let i = 1; i < waiting; i++) this.#tell({ kind: k.OriginDone, segment: r.id, ok, bytes: 0 });
    };
    const pipe = new Pipe(async (answer) => {
      const res = await take(job, answer, AbortSignal.timeout(TEE)).catch(() => ({ ok: false, bytes: 0 }));
      done(res.ok, res.bytes);
    }, () => done(false, 0));
    return pipe;
  }
}
