// When to take what from the origin: meshcore/peer/origin.go.

import * as wire from "../wire.js";
import { bit } from "./bits.js";
import { maxFetches, Millisecond, never, Second } from "./config.js";
import { cooperates, fetch } from "./fetch.js";
import { fetchTime, onDuty, urgent } from "./fetchrules.js";
import { OriginChunk, OriginDone, OriginProof } from "./input.js";
import { originTime } from "./measure.js";
import { cancelAll, complete, gain, prove, takePending } from "./message.js";
import { takeBack } from "./segment.js";
import { endSlowFetch, planStripe, waitForPeers } from "./stripes.js";
import { askDisputed } from "./versions.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

/** planOrigin takes s, or what is missing of it, from the origin if it is time to, and returns when to look again. @param {Engine} e @param {number} now @param {SegmentState} s */
export function planOrigin(e, now, s) {
  const slow = endSlowFetch(e, now, s);
  return Math.min(slow, planFetch(e, now, s));
}

/** @param {Engine} e @param {number} now @param {SegmentState} s */
function planFetch(e, now, s) {
  if (s.fetching >= maxFetches || (s.fetching > 0 && !s.proven)) return never; // the end of a fetch, or the proof, plans anew
  if (now < s.retryAt) return s.retryAt;
  const until = waitForPeers(e, now, s);
  if (until > now) return until;
  if (cooperates(e, now) && !s.private) return planStripe(e, now, s);
  const at = fetchTime(e, now, s);
  if (now < at) return at;
  const left = s.due - now;
  if (left <= urgent(e, s)) return fetchUrgent(e, now, s);
  if (s.fetching > 0 || (e.fetches >= 2 && !onDuty(e, s))) return never; // the end of a fetch plans anew
  const mask = s.missing();
  if (s.chunks === 0 || mask) fetch(e, now, s, mask);
  return never;
}

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

/** @param {Engine} e @param {number} now @param {import("./input.js").Input} input */
export function onOrigin(e, now, input) {
  const s = e.table.get(input.segment);
  if (!s) return;
  switch (input.kind) {
    case OriginProof:
      prove(e, now, s, input);
      askDisputed(e, now, s);
      break;
    case OriginChunk: {
      if (!s.proven || input.chunk >= s.chunks) return;
      const b = bit[input.chunk];
      e.totals.origin_bytes += input.bytes;
      if (s.have & b) e.totals.duplicate_bytes += input.bytes;
      s.origin &= ~b;
      s.fetched += input.bytes;
      if (s.asked & b) cancelAll(e, s, b);
      gain(e, now, s, b);
      break;
    }
    case OriginDone: {
      e.totals.origin_bytes += input.bytes;
      const cancelled = s.cancelled > 0 && (!input.ok || s.fetching === 0);
      if (cancelled) s.cancelled--;
      else if (s.fetching > 0) {
        s.fetching--;
        e.fetches--;
        if (s.fetching === 0) {
          s.origin = 0n;
          e.under = e.under.filter((x) => x !== s);
        }
      }
      if (!input.ok && cancelled) break; // we wanted no more of it
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
