// The bytes of segments: chunk by chunk where there is a proof, from the first byte on where there is none.

import { equal, Layout } from "./integrity.js";

/** Proof is a statement that was verified; issued and expires are Unix seconds. @typedef {{token: string, hashes: Uint8Array, path: string, layout: Layout, root: Uint8Array, issued: number, expires: number}} Proof */

/** Entry is what is stored of one segment. */
export class Entry {
  constructor() {
    /** @type {Proof} */
    this.proof = null;
    /** @type {Proof} of the bytes before, whose chunks may be on their way */
    this.older = null;
    /** @type {Uint8Array[]} verified, by index */
    this.chunks = [];
    /** @type {Uint8Array[]} from the origin, in order, without a proof */
    this.raw = [];
    this.rawBytes = 0;
    this.rawDone = false;
    this.size = 0; // bytes, 0 if not known
    this.type = ""; // Content-Type, "" if not known
    this.disowned = false; // the origin's bytes are not those of the proof: raw has them, for this player alone
    this.same = 0; // bytes from the first on that are those of the proof all the same
    this.gone = false;
    this.failed = false; // the origin did not give it
    /** @type {Set<() => void>} */
    this.waiters = new Set();
  }

  wake() {
    for (const w of this.waiters) w();
    this.waiters.clear();
  }

  /** fail ends all waits: whoever reads asks the network, and sees what the origin says. */
  fail() {
    this.failed = true;
    this.wake();
    this.failed = false;
  }


  /** @param {Proof} proof */
  prove(proof) {
    if (this.proof) return;
    this.proof = proof;
    this.size = proof.layout.size;
    this.wake();
  }

  /** @param {number} i @param {Uint8Array} data */
  put(i, data) {
    this.chunks[i] = data;
    this.wake();
  }

  /** startRaw begins a stretch without a proof. @param {number} size 0 if not known */
  startRaw(size) {
    this.raw = [];
    this.rawBytes = 0;
    if (size > 0) this.size = size;
    this.wake();
  }

  /** @param {Uint8Array} data */
  addRaw(data) {
    this.raw.push(data);
    this.rawBytes += data.length;
    this.wake();
  }

  /** disown begins a raw stretch with the first n chunks, which came from the origin. @param {number} n */
  disown(n) {
    this.disowned = true;
    this.startRaw(this.size);
    for (const c of this.chunks.slice(0, n)) this.addRaw(c);
    this.same = this.rawBytes;
  }

  finishRaw() {
    this.rawDone = true;
    this.size = this.rawBytes;
    this.wake();
  }

  /** adopt makes chunks of the raw bytes. */
  adopt() {
    const all = new Uint8Array(this.rawBytes);
    let at = 0;
    for (const r of this.raw) all.set(r, at), (at += r.length);
    const { layout } = this.proof;
    for (let i = 0; i < layout.chunks(); i++) this.chunks[i] = all.subarray(...layout.range(i));
  }

  bytes() {
    return this.rawBytes + this.chunks.reduce((n, c) => n + (c?.length ?? 0), 0);
  }

  /** at gives stored bytes from a position on, or null. @param {number} from @returns {Uint8Array|null} */
  at(from) {
    if (this.proof && !this.disowned) {
      const i = Math.floor(from / this.proof.layout.chunkSize);
      if (this.chunks[i]) return this.chunks[i].subarray(from - i * this.proof.layout.chunkSize);
    }
    if (from < this.rawBytes) {
      for (const r of this.raw) {
        if (from < r.length) return r.subarray(from);
        from -= r.length;
      }
    }
    return null;
  }

  /** @param {AbortSignal} signal */
  async #wait(signal) {
    signal.throwIfAborted();
    let failed = this.gone;
    if (!failed) {
      await new Promise((/** @type {(x?: unknown) => void} */ resolve) => {
        signal.addEventListener("abort", resolve, { once: true });
        this.waiters.add(() => {
          failed = this.gone || this.failed;
          signal.removeEventListener("abort", resolve);
          resolve();
        });
      });
    }
    if (failed) throw new Error("segment is not available here");
    signal.throwIfAborted();
  }

  /** known resolves with the size, once it is known. @param {AbortSignal} signal */
  async known(signal) {
    while (!this.size) await this.#wait(signal);
    return this.size;
  }

  /**
   * read gives the bytes from a position to another as they come, all of one version: who has got chunks that turn out not
   * to be the origin's gets no more.
   * @param {number} from
   * @param {number} to
   * @param {AbortSignal} signal
   */
  async *read(from, to, signal) {
    const { disowned } = this, begun = from;
    while (from < to) {
      signal.throwIfAborted();
      if (this.disowned !== disowned && from > begun && from > this.same) throw new Error("segment has changed");
      const piece = this.at(from);
      if (!piece) {
        await this.#wait(signal);
        continue;
      }
      const cut = piece.subarray(0, to - from);
      from += cut.length;
      yield cut;
    }
  }
}

export class Store {
  constructor() {
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
  }

  /** @param {string} id */
  get(id) {
    let e = this.entries.get(id);
    if (!e) this.entries.set(id, (e = new Entry()));
    return e;
  }

  /**
   * prove takes a statement, and gives the entry. The statement that was issued last counts: one that is newer begins the entry
   * anew, and who waits for bytes of the one before asks the network; what the origin sent stays.
   * @param {string} id
   * @param {Proof} proof
   */
  prove(id, proof) {
    let e = this.get(id);
    const old = e.proof;
    if (old && proof.issued > old.issued && !e.disowned && !equal(old.root, proof.root)) {
      if (e.rawBytes) {
        e.proof = null;
        e.chunks = [];
      } else {
        this.evict(id);
        (e = this.get(id)).older = old;
      }
    }
    e.prove(proof);
    return e;
  }

  /** @param {string} id */
  evict(id) {
    const e = this.entries.get(id);
    if (!e) return;
    this.entries.delete(id);
    e.gone = true;
    e.wake();
  }

  bytes() {
    let n = 0;
    for (const e of this.entries.values()) n += e.bytes();
    return n;
  }
}
