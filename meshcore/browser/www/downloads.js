// What a viewer takes from the origin: what its engine asks for, and what passes to the player anyhow and is of use to
// the engine and to others.

import { fetchChunks, fetchWhole, Pipe, take, Timing, vouch } from "./origin.js";
import * as k from "./peer/input.js";
import { Measure, minAnswer } from "./peer/measure.js";
import { covers, scopeOf } from "./tokens.js";

const TEE = 60_000; // ms that the edge has to vouch for what passed to the player

/**
 * @typedef {import("./presentation.js").Record} Record
 * @typedef {import("./origin.js").Job & {tell: (input: import("./peer/input.js").Input) => void}} Told
 *
 * @typedef {object} Host
 * @property {(input: import("./peer/input.js").Input) => void} step
 * @property {(segment: string) => boolean} knows the engine knows the segment
 * @property {(segment: string) => Record|undefined} record
 * @property {(r: Record) => string} url where to fetch it from
 * @property {(r: Record) => void} delivered the player has all of it
 * @property {(r: Record) => Promise<boolean>} listing as that of Presentation
 * @property {() => import("./session.js").Session|null} session
 * @property {() => import("./session.js").Carried} requests
 * @property {() => import("./trust.js").Trust|null} trust
 */

/** stated is what the engine is to know of a statement. @param {import("./store.js").Proof} p */
export const stated = ({ layout, root, issued }) => ({ layout, root: new DataView(root.buffer).getUint32(0), issued });

export class Downloads {
  /** @param {import("./store.js").Store} store @param {Host} host */
  constructor(store, host) {
    this.store = store;
    this.host = host;
    this.outside = 0; // bytes that the engine does not know of
    this.rate = 0; // bytes/s that the origin gives, for the engine to come; 0 if not known
    this.measure = new Measure();
    /** @type {Map<string, number>} fetches of the engine that wait for what passes to the player, or comes on a hint */
    this.teeing = new Map();
    /** @type {Set<string>} parts that come on a hint, because it is this viewer's turn, and are not listed yet */
    this.hinted = new Set();
    /** @type {Map<string, Set<AbortController>>} */
    this.fetching = new Map();
  }

  /** #tell tells the engine of a segment, or counts the bytes for it. @param {import("./peer/input.js").Input} input */
  #tell(input) {
    if (this.host.knows(input.segment)) this.host.step(input);
    else this.outside += input.bytes ?? 0;
  }

  /** #timed tells the engine, once, how long answers of the origin took. @param {Timing} t */
  #timed(t) {
    const ns = (/** @type {number} */ ms) => Math.trunc(ms * 1e6);
    const input = { kind: k.OriginTimed, bytes: t.bytes, within: ns(t.began - t.asked), took: ns(t.ended - t.began) };
    Object.assign(t, new Timing());
    if (input.bytes < minAnswer) return;
    this.rate = this.measure.learn(ns(performance.now()), input);
    this.host.step(input);
  }

  /** #statements is the URL to ask for the statement about a segment, "" for one that no pass of the swarm covers. @param {Record} r */
  #statements(r) {
    const s = this.host.session(), u = new URL(r.key);
    return s && u.origin === new URL(s.segment).origin && covers(scopeOf(s.pass), u.pathname) ? s.segment : "";
  }

  /**
   * #job is how to fetch a segment. Of one that a playlist hints at the engine hears once it is listed, as if it came then;
   * the origin waits until it is made, which says nothing of how fast it is.
   * @param {Record} r
   * @param {Timing} [timing]
   * @returns {Told}
   */
  #job(r, timing = new Timing()) {
    const segment = r.id, entry = this.store.get(segment);
    const listed = r.hint ? this.host.listing(r) : null;
    const tell = (/** @type {import("./peer/input.js").Input} */ input) => {
      if (listed) listed.then(() => this.#tell(input));
      else this.#tell(input);
    };
    /** @type {Told} */
    const job = {
      url: this.host.url(r), offset: r.offset, length: r.length, entry, requests: this.host.requests(),
      statements: this.#statements(r), listed, tell, timing, over: () => void (listed || this.#timed(timing)),
      verify: async (s) => (await this.host.trust()?.proof(segment, s)) ?? null,
      prove: (proof) => {
        job.entry = this.store.prove(segment, proof);
        tell({ kind: k.OriginProof, segment, ...stated(job.entry.proof) });
      },
      chunk: (chunk, bytes) => {
        if (job.entry.gone) this.outside += bytes; // a newer statement has come meanwhile
        else tell({ kind: k.OriginChunk, segment, chunk, bytes });
      },
    };
    return job;
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
        job.over();
        res = await fetchWhole(job, abort.signal);
        res.bytes += bytes;
      }
    } catch {
      // not ok
    }
    under.delete(abort);
    if (!under.size) this.fetching.delete(segment);
    if (!res.ok && !abort.signal.aborted) job.entry.fail();
    job.over();
    done(res.ok && !job.entry.gone, res.bytes);
  }

  /** cancel ends the fetches of a segment, but for what passes to the player. @param {string} segment */
  cancel(segment) {
    for (const c of this.fetching.get(segment) ?? []) c.abort();
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

  /** tee takes a segment that passes from the origin to the player. @param {Record} r */
  tee(r) {
    if (this.teeing.has(r.id) || this.fetching.has(r.id)) return this.count(); // two at once would mix in the store
    this.teeing.set(r.id, 0);
    const pipe = new Pipe(async (answer) => {
      const res = await take(job, answer).catch(() => ({ ok: false, bytes: 0 }));
      job.over();
      if (res.ok) {
        this.host.delivered(r);
        await vouch(job, res, AbortSignal.timeout(TEE));
      }
      this.#ended(job, r.id, res);
    }, () => this.#ended(job, r.id, { ok: false, bytes: 0 }));
    const job = this.#job(r, pipe.timing);
    return pipe;
  }

  /** early fetches a part that a playlist hints at. @param {Record} r */
  async early(r) {
    this.teeing.set(r.id, 0);
    this.hinted.add(r.id);
    const job = this.#job(r), abort = new AbortController();
    this.fetching.set(r.id, new Set([abort]));
    job.listed.then((yes) => yes || abort.abort()); // it came to nothing
    const res = await fetchWhole(job, abort.signal).catch(() => ({ ok: false, bytes: 0 }));
    this.fetching.delete(r.id);
    if (!res.ok) {
      this.hinted.delete(r.id); // whoever asks for it asks the network
      job.entry.fail();
    }
    await this.#ended(job, r.id, res);
    this.hinted.delete(r.id);
  }

  /**
   * #ended ends the fetches of the engine that waited for a segment.
   * @param {Told} job
   * @param {string} segment
   * @param {import("./origin.js").Result} res
   */
  async #ended(job, segment, { ok, bytes }) {
    ok &&= !job.entry.gone;
    const listed = !job.listed || (await job.listed);
    const waiting = this.teeing.get(segment) ?? 0;
    this.teeing.delete(segment);
    for (let i = 0; i < Math.max(1, waiting); i++) job.tell({ kind: k.OriginDone, segment, ok, bytes: i ? 0 : bytes });
    if (!listed) this.store.evict(segment);
  }
}
