// When to take what from the origin: meshcore/peer/origin.go.

import * as wire from "../wire.js";
import { bit } from "./bits.js";
import { hearing, joinPatience, maxFetches, Millisecond, never, Second } from "./config.js";
import { FetchOrigin, OriginChunk, OriginDone, OriginProof } from "./input.js";
import { originTime } from "./measure.js";
import { cancelAll, complete, gain, prove, takePending } from "./message.js";
import { connected } from "./neighbor.js";
import { fraction, takeBack } from "./segment.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

/**
 * urgent is the length of the window before a segment's deadline in which the origin is used without waiting: one and a
 * half times what the origin needs for the rest of the segment, four times the deviation of what it needed from what was
 * expected (as in RFC 6298), and some margin; at most half the slack.
 * @param {Engine} e
 * @param {SegmentState} s
 */
export function urgent(e, s) {
  const rest = s.chunks > 0 ? s.bytes(s.all & ~s.have) : s.size;
  const u = Math.trunc((originTime(e, rest) * 3) / 2) + 4 * e.originDev + 250 * Millisecond + Math.trunc(fraction(e, s) * 200 * Millisecond);
  return Math.max(Math.min(u, Math.trunc(s.slack / 2)), 400 * Millisecond);
}

/** planOrigin takes s, or what is missing of it, from the origin if it is time to, and returns when to look again. @param {Engine} e @param {number} now @param {SegmentState} s */
export function planOrigin(e, now, s) {
  if (s.fetching >= maxFetches || (s.fetching > 0 && !s.proven)) return never; // the end of a fetch, or the proof, plans anew
  if (now < s.retryAt) return s.retryAt;
  const at = fetchTime(e, now, s);
  if (now < at) return at;
  const left = s.due - now;
  if (left <= urgent(e, s)) return fetchUrgent(e, now, s);
  if (s.fetching > 0 || (e.fetches >= 2 && !onDuty(e, s))) return never; // the end of a fetch plans anew
  const mask = s.missing();
  if (s.chunks === 0 || mask) fetch(e, now, s, mask);
  return never;
}

/** fetchTime is when this peer is to take s from the origin, as things stand. @param {Engine} e @param {number} now @param {SegmentState} s */
function fetchTime(e, now, s) {
  const urgentAt = s.due - urgent(e, s);
  const alone = connected(e) === 0 && (e.swarmSize === 1 || now - e.startedAt > joinPatience);
  if (s.private || alone) return Math.min(urgentAt, e.live ? now : s.due - e.cfg.originGoal);
  if (s.copies > 0) return urgentAt;
  if (now < s.coming && !onDuty(e, s)) return Math.min(urgentAt, s.coming); // a neighbor takes it
  // Those who have it may still be on their way to us.
  if (!s.fresh && now - e.startedAt <= joinPatience && (connected(e) === 0 || (!e.live && s.needBy === never))) {
    return Math.min(urgentAt, e.startedAt + joinPatience + 1);
  }
  // The first has just come.
  const heard = e.upAt + hearing + spread(e, s);
  if ((e.live ? !s.fresh : s.needBy !== never) && now < heard) return Math.min(urgentAt, heard);
  if (!e.live) {
    // Nobody near has it. Those who wait together go at different times, and the first spares the others the way.
    const early = Math.trunc((fraction(e, s) * e.cfg.originGoal) / 2);
    const at = s.due - e.cfg.originGoal + early;
    return Math.min(urgentAt, s.needBy === never ? at : Math.max(at, s.neededAt + Math.trunc(spread(e, s) / 8)));
  }
  if (!e.duty || s.sequence < 0) return urgentAt;
  // Live: the fetchers go at once; if nothing is heard of the segment, the next in the rotation follow, twice as many in
  // each tenth of the slack. A segment that was there before this peer came has had its fetchers, and the rank of one who has
  // just come may not be true yet.
  const d = distance(e, s.sequence);
  if (d < e.duty.fetchers && s.fresh) return Math.min(urgentAt, s.known);
  const turns = Math.max(d, e.duty.fetchers) / Math.max(1, e.duty.fetchers);
  const wait = Math.trunc(s.slack * (0.35 + 0.1 * Math.log2(turns)));
  return Math.min(urgentAt, s.known + wait + (s.fresh ? 0 : spread(e, s)));
}

/**
 * spread is what this peer waits beyond others with s where the rotation does not say who comes first: two who have just
 * met, or begun, would else fetch it at once.
 * @param {Engine} e
 * @param {SegmentState} s
 */
const spread = (e, s) => Math.trunc(fraction(e, s) * hearing);

/** distance is this peer's place in the rotation for a sequence number (signal.Duty). @param {Engine} e @param {number} sequence */
function distance(e, sequence) {
  const { rank, of, fetchers } = e.duty;
  const d = (rank - sequence * fetchers) % of;
  return d < 0 ? d + of : d;
}

/** @param {Engine} e @param {SegmentState} s */
const onDuty = (e, s) => e.live && s.fresh && fetches(e, s.sequence);

/**
 * fetches says whether it is this peer's turn to take the live segment, or the part, of a media sequence number from the
 * origin at once. A driver asks when a playlist hints at a part, of which the engine does not know yet, and to look for the
 * next segment in time.
 * @param {Engine} e
 * @param {number} sequence
 */
export const fetches = (e, sequence) => !!e.duty && sequence >= 0 && distance(e, sequence) < e.duty.fetchers;

/**
 * fetchUrgent takes from the origin what neighbors will not bring in time: all that is not asked of them, what they are
 * late with, and, in the endgame, all that has not come.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 */
function fetchUrgent(e, now, s) {
  const endgame = s.due - now <= originTime(e, s.bytes(s.asked)) + 2 * e.originDev + 250 * Millisecond;
  for (const n of e.slots) {
    if (!n || !s.asked) continue;
    let cum = 0, mask = 0n;
    for (const p of n.pending) {
      cum += p.bytes;
      if (p.seg !== s) continue;
      const at = Math.max(now, n.lastAt) + Math.trunc((cum / n.rate) * Second);
      if (endgame || at > s.due - 100 * Millisecond || !s.proven) mask |= bit[p.index];
    }
    if (mask) {
      takePending(n, s, mask);
      e.send(n, { type: wire.Cancel, segment: s.id, mask });
    }
  }
  const mask = s.missing();
  if (s.chunks === 0 || mask || !s.proven) fetch(e, now, s, mask);
  return s.asked ? now + 100 * Millisecond : never;
}

/**
 * fetch takes chunks of s from the origin; without a proof it takes all of it. Of what none of them has the neighbors hear
 * at once, so that they do not take it, too.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 * @param {bigint} mask
 */
function fetch(e, now, s, mask) {
  if (e.upload && !s.private && !s.shut && s.have === 0n && s.copies === 0) {
    for (const n of e.slots) if (n?.up) e.send(n, { type: wire.Have, haves: [{ segment: s.id, chunks: 0, mask: 0n }] });
  }
  if (!s.proven) {
    mask = 0n;
    s.origin = s.all & ~s.have;
  } else {
    if (!mask) return;
    s.origin |= mask;
  }
  s.fetching++;
  e.fetches++;
  e.emit({ kind: FetchOrigin, segment: s.id, chunks: mask });
}

/** @param {Engine} e @param {number} now @param {import("./input.js").Input} input */
export function onOrigin(e, now, input) {
  const s = e.table.get(input.segment);
  if (!s) return;
  switch (input.kind) {
    case OriginProof:
      prove(e, now, s, input);
      break;
    case OriginChunk: {
      if (!s.proven || input.chunk >= s.chunks) return;
      const b = bit[input.chunk];
      e.totals.origin_bytes += input.bytes;
      if (s.have & b) e.totals.duplicate_bytes += input.bytes;
      s.origin &= ~b;
      if (s.asked & b) cancelAll(e, s, b);
      gain(e, now, s, b);
      break;
    }
    case OriginDone:
      if (s.fetching > 0) {
        s.fetching--;
        e.fetches--;
        if (s.fetching === 0) s.origin = 0n;
      }
      e.totals.origin_bytes += input.bytes;
      if (!input.ok) {
        s.failures++;
        s.retryAt = now + Math.min(s.failures, 8) * 250 * Millisecond;
      } else {
        s.failures = 0;
        if (!s.whole && !s.proven) {
          s.whole = true;
          s.size = input.bytes;
          e.stored += s.size;
          complete(e, s);
        } else if (!s.whole && input.bytes > 0) disown(e, s);
      }
  }
  e.dirty(now);
}

/**
 * disown takes a segment whose bytes at the origin do not bear its proof out: it is whole, for this player alone, and
 * neighbors are told that it is not to be had.
 * @param {Engine} e
 * @param {SegmentState} s
 */
function disown(e, s) {
  e.stored += s.size - s.bytes(s.have);
  s.whole = true;
  s.shut = true;
  s.have = 0n;
  takeBack(e, s);
  complete(e, s);
}
