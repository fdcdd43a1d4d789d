// The table of segments: meshcore/peer/segment.go.

import { All } from "../wire.js";
import * as wire from "../wire.js";
import { MinChunkSize } from "../integrity.js";
import { keepBehind, maxTable, never } from "./config.js";
import { bit, draw, onesCount } from "./bits.js";
import { Evict } from "./input.js";
import { unneed } from "./player.js";
import { unqueue } from "./serve.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {{slot: number, index: number, data: Uint8Array, signature: Uint8Array}} HeldChunk */
/** @typedef {{slot: number, chunks: number, mask: bigint, root: number, asked?: boolean}} Claim asked: its proof was asked for */

/** SegmentState is all that the engine knows of one segment. */
export class SegmentState {
  /** @param {string} id @param {number} slots */
  constructor(id, slots) {
    this.id = id;
    this.sequence = -1;
    this.start = 0;
    this.duration = 0;
    this.size = 0;
    this.private = false;

    this.wanted = false; // it stands in the manifest, from the playhead on
    this.known = 0; // when the manifest first listed it
    this.slack = 0; // from then to its deadline
    this.fresh = false; // it was new to the manifest then: fetchers are due

    this.chunks = 0; // number of chunks, 0 if not known
    this.all = 0n; // mask of all chunks
    /** @type {import("../integrity.js").Layout} */
    this.layout = null;
    this.root = 0; // of the statement, or of what neighbors first said they have; 0 if not known
    this.issued = 0; // when the statement was issued
    this.proven = false; // layout is known and may be vouched for to others
    this.have = 0n; // verified and stored
    this.whole = false; // all bytes are stored, proven or not
    this.shut = false; // must not be shared

    this.proofFrom = -1; // slot of the neighbor asked for the proof, -1 if none
    this.proofBy = 0; // when that neighbor is given up
    /** @type {HeldChunk[]} */
    this.held = []; // came before the proof

    this.asked = 0n; // asked of neighbors and not come
    this.checking = 0n; // came from neighbors, with the driver for checking
    this.origin = 0n; // asked of the origin and not come
    this.fetching = 0; // fetches from the origin under way
    this.taken = 0n; // what neighbors take from the origin in stripes
    this.takenBy = 0; // until when taken counts
    this.cancelled = 0; // fetches that were cancelled and whose end has not come
    this.fetchedAt = 0; // when the last fetch began
    this.fetched = 0; // bytes that came since
    this.fetchedWhole = false; // it was of all the segment
    this.failures = 0; // of the origin, in a row
    this.retryAt = 0;

    this.needBy = never; // when the player must have it, which waits for it
    this.neededAt = 0; // since when it waits
    this.comingOf = 0; // slot of that neighbor
    this.coming = 0; // until when the first neighbor that takes it from the origin is waited for, 0 if none does

    // What plan works out anew each time.
    this.due = 0; // the deadline
    this.near = false; // it is near
    this.quick = false; // it is needed at once, and neighbors have all of it or take it
    this.copies = 0; // neighbors that have any of it

    /** @type {bigint[]} */
    this.theirs = new Array(slots).fill(0n); // by slot: what a neighbor has
    /** @type {bigint[]} */
    this.requested = new Array(slots).fill(0n); // by slot: what it was ever asked for
    /** @type {Claim[]} */
    this.disputed = []; // haves of other bytes than ours
    this.told = 0n; // what neighbors were last told we have
    this.given = new Uint8Array(64); // how often each chunk was given
    this.queued = false; // stands in the list of haves to send
    /** @type {bigint|null} */
    this.chance = null; // of chance, once it was worked out
  }

  /** sought says whether the player has still to play the segment, as far as the engine looks ahead, or waits for it. */
  sought() {
    return this.wanted || this.needBy !== never;
  }

  /** missing is what is neither here nor on the way. */
  missing() {
    if (this.whole) return 0n;
    return this.all & ~(this.have | this.asked | this.checking | this.origin);
  }

  /**
   * takenNow is what neighbors have lately said that they take from the origin; it is waited for as long as said.
   * @param {number} now
   * @param {number} long
   */
  takenNow(now, long) {
    if (now >= this.takenBy) {
      this.taken = 0n;
      this.takenBy = now + long;
    }
    return this.taken;
  }

  /** chunkBytes is the size of a chunk, as far as it is known. */
  chunkBytes() {
    if (this.proven) return this.layout.chunkSize;
    if (this.chunks > 0 && this.size > 0) return Math.max(1, Math.trunc(this.size / this.chunks));
    return MinChunkSize;
  }

  /** bytes is the size of the chunks of a mask, as far as it is known. @param {bigint} mask */
  bytes(mask) {
    if (!this.proven) return onesCount(mask) * this.chunkBytes();
    let n = onesCount(mask) * this.layout.chunkSize;
    if (mask & bit[this.chunks - 1]) {
      const [from, to] = this.layout.range(this.chunks - 1);
      n -= this.layout.chunkSize - (to - from);
    }
    return n;
  }

  /** setChunks learns the number of chunks, from a have or a proof. @param {number} n */
  setChunks(n) {
    this.chunks = n;
    this.all = All(n);
  }

  storedBytes() {
    return this.whole ? this.size : this.bytes(this.have);
  }
}

/** entry finds a segment or makes a place for it. @param {Engine} e @param {string} id */
export function entry(e, id) {
  let s = e.table.get(id);
  if (!s) {
    if (e.list.length >= maxTable) forgetOldest(e);
    s = new SegmentState(id, e.slots.length);
    e.table.set(id, s);
    e.list.push(s);
  }
  return s;
}

/** forgetOldest drops the oldest segment that is neither wanted nor stored. @param {Engine} e */
function forgetOldest(e) {
  const idle = (/** @type {SegmentState} */ s) => !s.wanted && s.fetching === 0 && (s.asked | s.checking) === 0n;
  let i = e.list.findIndex((s) => idle(s) && s.have === 0n && !s.whole);
  if (i >= 0) return forget(e, i);
  i = e.list.findIndex(idle); // all are in use: give up one that was played
  if (i >= 0) evict(e, i);
}

/** forget takes entry i out of the table. @param {Engine} e @param {number} i */
function forget(e, i) {
  const [s] = e.list.splice(i, 1);
  e.table.delete(s.id);
  unneed(e, s);
  if (s.queued) e.haveQueue.splice(e.haveQueue.indexOf(s), 1);
}

/** evict gives up what is stored of entry i, tells the neighbors, and the driver. @param {Engine} e @param {number} i */
function evict(e, i) {
  const s = e.list[i];
  e.stored -= s.storedBytes();
  takeBack(e, s);
  e.emit({ kind: Evict, segment: s.id });
  forget(e, i);
}

/**
 * takeBack tells the neighbors that nothing of s is to be had any more, and rejects what of it waits for the uplink.
 * @param {Engine} e
 * @param {SegmentState} s
 */
export function takeBack(e, s) {
  if (s.told !== 0n) {
    for (const n of e.slots) {
      if (n?.up) e.send(n, { type: wire.Have, haves: [{ segment: s.id, chunks: s.chunks, mask: 0n }] });
    }
    s.told = 0n;
  }
  unqueue(e, (it) => {
    if (it.seg === s) e.send(it.n, { type: wire.Reject, segment: s.id, mask: bit[it.index], reason: wire.RejectDenied });
    return it.seg === s;
  });
}

/**
 * keepWithinBudget evicts what was played: of a live stream what is too old, and beyond cacheBytes what lies furthest
 * behind the playhead.
 * @param {Engine} e
 * @param {number} now
 */
export function keepWithinBudget(e, now) {
  const pos = e.playhead(now);
  for (;;) {
    let worst = -1, worstEnd = 0;
    for (let i = 0; i < e.list.length; i++) {
      const s = e.list[i];
      if (s.wanted || s.fetching > 0 || (s.asked | s.checking) !== 0n) continue;
      const end = s.start + s.duration;
      if (!s.whole && s.have === 0n) {
        if (e.live && s.known !== 0 && end < pos - keepBehind) {
          worst = i;
          break;
        }
        continue;
      }
      if (((e.live && end < pos - keepBehind) || e.stored > e.cfg.cacheBytes) && (worst < 0 || end < worstEnd)) {
        worst = i;
        worstEnd = end;
      }
    }
    if (worst < 0) return;
    evict(e, worst);
  }
}

/** chance is what is drawn for a segment. @param {Engine} e @param {SegmentState} s */
export const chance = (e, s) => (s.chance ??= draw(e.cfg.id, BigInt("0x" + s.id)));

/** fraction is chance as a number from 0 to 1. @param {Engine} e @param {SegmentState} s */
export const fraction = (e, s) => Number(chance(e, s) >> 11n) / 2 ** 53;
