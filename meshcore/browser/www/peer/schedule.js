// What to ask of whom: meshcore/peer/schedule.go.

import * as wire from "../wire.js";
import { dropSilent, dropSlow } from "./backoff.js";
import { bit, full, trailingZeros } from "./bits.js";
import { maxStrikes, Millisecond, never, pipeline, remeasure, Second, silence, startGoal } from "./config.js";
import { takePending } from "./message.js";
import { hurried, urgent } from "./fetchrules.js";
import { planOrigin } from "./origin.js";
import { passPlayed } from "./player.js";
import { overRelay, spendRelay } from "./relayed.js";
import { chance } from "./segment.js";
import { cooperates } from "./fetch.js";
import { cancelObsolete, covered } from "./stripes.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./neighbor.js").Neighbor} Neighbor */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

/** plan decides what to ask of whom. It runs when something changed and when a time it gave itself has come. @param {Engine} e @param {number} now */
export function plan(e, now) {
  e.planAt = never;
  if (now >= e.expireAt) e.expireAt = expire(e, now);
  let wake = never;
  passPlayed(e, now);
  cancelObsolete(e, now);

  e.order = [];
  for (const s of e.needed) if (!s.wanted) e.order.push(s);
  for (const s of e.wanted) if (!s.whole) e.order.push(s);
  arrange(e, now);
  e.waits = false;
  for (const s of e.order) {
    e.waits ||= s.due <= now;
    wake = Math.min(wake, planOrigin(e, now, s));
  }
  e.ready = [];
  let known = 0, sum = 0;
  for (const n of e.slots) {
    if (!n || !n.up || n.noUpload) continue;
    if (n.busyUntil > now) wake = Math.min(wake, n.busyUntil);
    else if (room(n) > 0) e.ready.push(n);
    if (measured(n, now)) {
      known++;
      sum += n.rate;
    }
  }
  for (const n of e.ready) n.hoped = known > 0 && n.strikes === 0 && !measured(n, now) ? sum / known : 0;
  if (!e.manifest?.segments.length) e.ready = []; // the viewer takes nothing of peers, not even what its player waits for
  for (const s of e.order) {
    if (!e.ready.length) break;
    wake = Math.min(wake, planPeers(e, now, s));
  }
  e.planAt = Math.min(e.planAt, wake, e.expireAt);
  if (!e.live) e.planAt = Math.min(e.planAt, e.widenAt);
}

/** arrange puts the segments that are not complete in the order of before. It is an insertion sort, because from one plan to the next little changes. @param {Engine} e @param {number} now */
function arrange(e, now) {
  for (const s of e.order) {
    s.due = e.deadline(now, s);
    s.quick = hurried(e, s) && (now < s.coming || (s.all !== 0n && !(s.all & ~(s.have | s.checking | covered(e, s)))));
    s.near = s.due - now < 2 * urgent(e, s);
    s.copies = 0;
    for (const m of s.theirs) if (m) s.copies++;
  }
  const o = e.order;
  for (let i = 1; i < o.length; i++) {
    for (let j = i; j > 0 && before(o[j], o[j - 1]); j--) [o[j], o[j - 1]] = [o[j - 1], o[j]];
  }
}

/** before is the order in which segments are asked for: those whose deadline is near by deadline, then the others, rarest first. @param {SegmentState} a @param {SegmentState} b */
function before(a, b) {
  if (a.near !== b.near) return a.near;
  if (!a.near && a.copies !== b.copies) return a.copies < b.copies;
  return a.due < b.due;
}

/** room is how many bytes more may be asked of a neighbor now. @param {Neighbor} n */
const room = (n) => Math.max(Math.trunc(n.rate * pipeline), n.minRoom) - n.pendingBytes;

/**
 * finish is how long a neighbor would need for bytes more. One that was not measured lately is thought to be like the
 * others as far as the first chunk goes, if there is time: else it would never be asked while another has room.
 * @param {Neighbor} n
 * @param {number} bytes
 * @param {boolean} near
 */
function finish(n, bytes, near) {
  const rate = n.pendingBytes === 0 && !near ? Math.max(n.rate, n.hoped) : n.rate;
  return n.rtt + Math.trunc(((n.pendingBytes + bytes) / rate) * Second);
}

/** measured says whether the neighbor's rate is known from a chunk that came lately. @param {Neighbor} n @param {number} now */
const measured = (n, now) => n.lastAt !== 0 && now - n.lastAt < remeasure;

/**
 * planPeers asks the ready neighbors for missing chunks of s: again and again the neighbor that would deliver first is
 * asked for the chunk that the fewest neighbors have. It returns when to plan anew for the proof's sake.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 */
function planPeers(e, now, s) {
  let wake = never;
  if (s.proofFrom >= 0 && !s.proven) {
    if (now < s.proofBy) wake = s.proofBy;
    else {
      const n = e.slots[s.proofFrom];
      if (n) strike(e, now, n);
      s.proofFrom = -1;
    }
  }
  let missing = s.missing();
  if (!missing || s.private) {
    if (!missing && !s.proven && s.proofFrom < 0 && s.held.length) askProof(e, now, s);
    return wake;
  }
  if (s.fetching > 0 && !s.proven) return wake; // all of it is on its way
  const together = cooperates(e, now);
  const left = s.due - now, own = urgent(e, s);
  if (left <= own && s.retryAt <= now && !together) return wake; // planOrigin has it
  const mask = new Array(e.slots.length).fill(0n);
  const size = s.chunkBytes();
  let by = !together && left > own ? left - own : left; // from then on it comes from the origin
  const rest = startGoal - (now - e.startedAt);
  if (together && !e.begun && rest > startGoal / 4) by += rest; // those who play, or came before, need theirs sooner
  const start = Number(chance(e, s) % BigInt(s.chunks));
  let asked = false;
  let [over, relayAt] = overRelay(e, now, s);
  wake = Math.min(wake, relayAt);
  const offer = (/** @type {Neighbor} */ n) => s.theirs[n.slot] & missing & (n.relayed ? over : full);
  while (missing) {
    /** @type {Neighbor} */
    let best = null;
    let bestAt = 0;
    for (const n of e.ready) {
      if (!offer(n) || room(n) <= 0) continue;
      const at = finish(n, size, s.near);
      if (!best || at < bestAt) {
        best = n;
        bestAt = at;
      }
    }
    if (!best || (bestAt > left && e.playing && asked && !together)) break;
    if (bestAt > left && e.playing && left > 0 && !together) break; // too late from any neighbor: planOrigin takes it
    const c = rarest(s.theirs, offer(best), start);
    missing &= ~bit[c];
    s.asked |= bit[c];
    s.requested[best.slot] |= bit[c];
    mask[best.slot] |= bit[c];
    asked = true;
    const bytes = s.bytes(bit[c]);
    // A neighbor is given up when it takes three times as long as expected, and the two seconds that a full uplink may
    // keep a request.
    const by = now + 3 * bestAt + 2 * Second;
    best.pending.push({ seg: s, index: c, bytes, at: now, by });
    e.expireAt = Math.min(e.expireAt, by);
    best.pendingBytes += bytes;
    if (best.relayed && !spendRelay(e, bytes)) over = 0n;
    best.minRoom = 2 * size;
  }
  if (!asked) return wake;
  e.ready = e.ready.filter((n) => {
    if (mask[n.slot]) {
      /** @type {wire.Message} */
      const m = { type: wire.Request, segment: s.id, mask: mask[n.slot], flags: 0, within: Math.trunc(Math.min(Math.max(by, 0), 3600 * Second) / Millisecond), root: s.root };
      if (!s.proven && s.proofFrom < 0) {
        m.flags |= wire.FlagProof;
        s.proofFrom = n.slot;
        s.proofBy = now + 3 * n.rtt + Second;
        wake = Math.min(wake, s.proofBy);
      }
      e.send(n, m);
    }
    return room(n) > 0;
  });
  return wake;
}

/** askProof asks another neighbor for the proof of a segment whose chunks are here and cannot be checked. @param {Engine} e @param {number} now @param {SegmentState} s */
function askProof(e, now, s) {
  for (const n of e.slots) {
    if (n && n.up && n.busyUntil <= now && s.theirs[n.slot]) {
      e.send(n, { type: wire.Request, segment: s.id, mask: 0n, flags: wire.FlagProof });
      s.proofFrom = n.slot;
      s.proofBy = now + 3 * n.rtt + Second;
      e.planAt = Math.min(e.planAt, s.proofBy);
      return;
    }
  }
}

/**
 * rarest gives the bit of avail that is set in the fewest of theirs; among equals the first from start on, so that
 * neighbors ask for different ones.
 * @param {bigint[]} theirs
 * @param {bigint} avail
 * @param {number} start
 */
function rarest(theirs, avail, start) {
  if (!(avail & (avail - 1n))) return trailingZeros(avail);
  // Bits that few have stay in once and twice: a carry-save count to three.
  let one = 0n, two = 0n, more = 0n;
  for (let m of theirs) {
    m &= avail;
    if (!m) continue;
    more |= two & m & one;
    two |= one & m;
    one |= m;
  }
  for (let set of [one & ~two, two & ~more, more]) {
    set &= avail;
    if (set) {
      const from = (set >> BigInt(start)) << BigInt(start); // those at start and above come first
      return trailingZeros(from || set);
    }
  }
  return trailingZeros(avail);
}

/** expire gives up what neighbors did not deliver in time, and returns when to look again, at the latest. @param {Engine} e @param {number} now */
function expire(e, now) {
  let wake = never;
  for (const n of e.slots) {
    if (!n) continue;
    if (n.strikes >= maxStrikes) { // silent
      const by = n.heardAt + silence;
      if (now < by) wake = Math.min(wake, by);
      else dropSilent(e, now, n);
      continue;
    }
    if (!n.pending.length) continue;
    // A neighbor that delivers is late only when the next chunk is.
    const by = Math.max(n.pending[0].by, n.lastAt + n.rtt + Second / 2);
    if (now < by) {
      wake = Math.min(wake, by);
      continue;
    }
    withdraw(e, n);
    strike(e, now, n);
    if (n.strikes >= maxStrikes) wake = Math.min(wake, n.heardAt + silence);
  }
  return wake;
}

/** withdraw cancels all that is asked of a neighbor. @param {Engine} e @param {Neighbor} n */
function withdraw(e, n) {
  while (n.pending.length) {
    const s = n.pending[0].seg;
    const mask = takePending(n, s, full);
    if (mask) e.send(n, { type: wire.Cancel, segment: s.id, mask });
  }
}

/**
 * strike demotes a neighbor that let a time pass. The first in a row asks whether it is there, and the third decides: one
 * that answered is slow and dropped; one that said nothing is asked for nothing until it is heard again, because its path
 * may come back.
 * @param {Engine} e
 * @param {number} now
 * @param {Neighbor} n
 */
function strike(e, now, n) {
  n.rate = Math.max(n.rate / 2, 1000);
  n.strikes++;
  n.busyUntil = now + n.strikes * 500 * Millisecond;
  if (n.strikes === 1) {
    n.struckAt = now;
    e.send(n, { type: wire.Ping, nonce: n.slot });
  } else if (n.strikes >= maxStrikes && n.heardAt <= n.struckAt) {
    withdraw(e, n);
    n.busyUntil = never;
    e.ready = e.ready.filter((r) => r !== n);
    e.expireAt = Math.min(e.expireAt, n.heardAt + silence);
  } else if (n.strikes >= maxStrikes) {
    dropSlow(e, now, n);
  }
  e.dirty(now);
}
