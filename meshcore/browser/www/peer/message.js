// What neighbors say: meshcore/peer/message.go.

import * as wire from "../wire.js";
import { backOff, dropSlow, heard, reached } from "./backoff.js";
import { bit, full, same, seconds } from "./bits.js";
import { comingFor, maxBusies, maxHeld, maxHeldOf, maxMisses, maxUnknown, Millisecond, Second } from "./config.js";
import { CheckChunk, CheckProof, Complete, Disconnect, Signal } from "./input.js";
import { queueHave } from "./have.js";
import { fault, forgetHaves, lookForPeers, release } from "./neighbor.js";
import { onHello } from "./pass.js";
import { unneed } from "./player.js";
import { entry } from "./segment.js";
import { onRequest, unqueue } from "./serve.js";
import { askDisputed, newer, supersede } from "./versions.js";
import { cooperates, takenFor } from "./fetch.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./neighbor.js").Neighbor} Neighbor */
/** @typedef {import("./segment.js").SegmentState} SegmentState */
/** @typedef {import("./input.js").Input} Input */

/** onMessage takes one message of a neighbor whose channel is open. @param {Engine} e @param {number} now @param {Neighbor} n @param {wire.Message} m */
export function onMessage(e, now, n, m) {
  heard(e, now, n);
  if (m.type === wire.Bye) {
    if (m.reason === wire.ByeFull || m.reason === wire.ByePass || m.reason === wire.ByeSlow) backOff(e, now, n.id, false);
    release(e, now, n);
    e.emit({ kind: Disconnect, peer: n.id });
    lookForPeers(e, now);
    return;
  }
  if (m.type === wire.Hello) {
    return onHello(e, now, n, m);
  }
  if (!n.greeted && m.type !== wire.Ping && m.type !== wire.Pong) return fault(e, now, n);
  switch (m.type) {
    case wire.Ping:
      return e.send(n, { type: wire.Pong, nonce: m.nonce });
    case wire.Pong:
      if (n.pingAt !== 0) {
        n.rtt = Math.max(now - n.pingAt, Millisecond);
        n.pingAt = 0;
      }
      return;
    case wire.Status:
      n.noUpload = n.mute || (m.flags & wire.FlagNoUpload) !== 0;
      n.number = m.rendition;
      if (n.noUpload) forgetHaves(e, now, n);
      return;
    case wire.Have:
      return onHave(e, now, n, m.haves);
    case wire.Request:
      return onRequest(e, now, n, m);
    case wire.Cancel:
      return unqueue(e, (it) => it.n === n && it.seg.id === m.segment && (m.mask & bit[it.index]) !== 0n);
    case wire.Reject:
      return onReject(e, now, n, m);
    case wire.Proof:
      return onProofMessage(e, n, m);
    case wire.Chunk:
      return onChunk(e, now, n, m);
  }
}

/** @param {Engine} e @param {number} now @param {Neighbor} n @param {wire.SegmentHave[]} haves */
function onHave(e, now, n, haves) {
  if (n.noUpload) return;
  let room = -1; // for segments that no manifest has listed, once it is needed
  for (const h of haves) {
    let s = e.table.get(h.segment);
    if (h.chunks === 0 && h.mask !== 0n) {
      if (s) takes(e, now, s, h.mask);
      continue;
    }
    if (!s && h.mask === 0n && h.chunks !== 0) continue;
    if (!s) {
      if (room < 0) room = maxUnknown - e.list.filter((s) => s.known === 0 && (s.theirs[n.slot] || (s.coming && s.comingOf === n.slot))).length;
      if (room <= 0) continue;
      room--;
      s = entry(e, h.segment);
    }
    if (h.mask === 0n) {
      hasNothing(now, n, s, h.chunks === 0);
      continue;
    }
    if (h.chunks !== 0) {
      if (s.chunks === 0) {
        s.setChunks(h.chunks);
        s.root = h.root;
      } else if (s.chunks !== h.chunks || !same(s.root, h.root)) {
        dispute(e, now, n, s, h);
        continue;
      }
    }
    s.theirs[n.slot] = h.mask;
    if (s.sought() && !s.whole && (h.mask & ~s.have) !== 0n) e.dirty(now);
  }
}

/**
 * hasNothing notes that a neighbor has nothing of a segment. The first that takes it from the origin is waited for; what
 * others say of that is not heard, lest a neighbor that never gives have us wait.
 * @param {number} now
 * @param {Neighbor} n
 * @param {SegmentState} s
 * @param {boolean} takesIt
 */
function hasNothing(now, n, s, takesIt) {
  s.theirs[n.slot] = 0n;
  if (takesIt && s.coming === 0) {
    s.coming = now + comingFor;
    s.comingOf = n.slot;
  }
}

/**
 * takes notes that a neighbor takes a stripe of a segment from the origin.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 * @param {bigint} mask
 */
function takes(e, now, s, mask) {
  s.takenNow(now, takenFor(e));
  s.taken |= mask;
}

/**
 * dispute notes a have of other bytes under the same name. Which are right the proof will say, and which are newer the proof
 * of the other; until then both are kept.
 * @param {Engine} e
 * @param {number} now
 * @param {Neighbor} n
 * @param {SegmentState} s
 * @param {wire.SegmentHave} h
 */
function dispute(e, now, n, s, h) {
  s.theirs[n.slot] = 0n;
  if (s.proven && !h.root) return;
  const asked = s.disputed.find((c) => c.slot === n.slot && c.root === h.root)?.asked;
  s.disputed = s.disputed.filter((c) => c.slot !== n.slot);
  s.disputed.push({ slot: n.slot, chunks: h.chunks, mask: h.mask, root: h.root, asked });
  askDisputed(e, now, s);
}

/** onReject takes back what a neighbor will not give. Chunks that it announced and does not have count as misses. @param {Engine} e @param {number} now @param {Neighbor} n @param {wire.Message} m */
function onReject(e, now, n, m) {
  const s = e.table.get(m.segment);
  if (!s || takePending(n, s, m.mask) === 0n) return;
  switch (m.reason) {
    case wire.RejectBusy:
      n.busyUntil = now + Math.max(50 * Millisecond, Math.min(m.retry * Millisecond * 2 ** n.busies, 2 * Second));
      e.share.busy++;
      n.busies = Math.min(n.busies + 1, maxBusies);
      break;
    case wire.RejectMissing:
      // What it took back in the meantime is no miss.
      if (s.theirs[n.slot] & m.mask) n.misses++;
      s.theirs[n.slot] = 0n;
      if (n.misses >= maxMisses) dropSlow(e, now, n);
      break;
    default:
      s.theirs[n.slot] = 0n;
  }
  e.dirty(now);
}

/** takePending removes the chunks of a mask from what is asked of n and returns those that were. @param {Neighbor} n @param {SegmentState} s @param {bigint} mask */
export function takePending(n, s, mask) {
  let found = 0n;
  n.pending = n.pending.filter((p) => {
    if (p.seg !== s || !(mask & bit[p.index])) return true;
    found |= bit[p.index];
    n.pendingBytes -= p.bytes;
    s.asked &= ~bit[p.index];
    return false;
  });
  return found;
}

/** @param {Engine} e @param {Neighbor} n @param {wire.Message} m */
function onProofMessage(e, n, m) {
  const s = e.table.get(m.segment);
  if (s?.proofFrom === n.slot) e.emit({ kind: CheckProof, peer: n.id, segment: s.id, message: m });
}

/** @param {Engine} e @param {number} now @param {Input} input */
export function onProof(e, now, input) {
  const s = e.table.get(input.segment);
  if (!s) return;
  const n = e.byID.get(input.peer);
  if (n && !input.ok) {
    complain(e, n.id, s.id, "proof");
    return fault(e, now, n);
  }
  if (!input.ok) return;
  s.proofFrom = -1;
  prove(e, now, s, input);
  askDisputed(e, now, s);
}

/** prove takes the layout of a segment and has what was held checked. @param {Engine} e @param {number} now @param {SegmentState} s @param {Input} input */
export function prove(e, now, s, input) {
  const { root = 0, issued = 0 } = input;
  if (s.proven) {
    if (!newer(s, root, issued)) return;
    cancelAll(e, s, full);
    supersede(e, s);
  }
  const chunks = input.layout.chunks();
  if (s.chunks !== chunks || !same(s.root, root)) {
    for (const n of e.slots) if (n) takePending(n, s, full);
    s.theirs.fill(0n);
    s.requested.fill(0n); // what still comes is of other bytes
    for (const c of s.disputed) if (c.chunks === chunks && same(c.root, root)) s.theirs[c.slot] = c.mask;
    s.setChunks(chunks);
    s.asked = s.checking = 0n;
    s.held = [];
  }
  s.disputed = s.disputed.filter((c) => !same(c.root, root));
  s.root = root;
  s.issued = issued;
  e.usual = input.layout.size;
  s.proven = true;
  s.layout = input.layout;
  s.size = input.layout.size;
  s.proofFrom = -1;
  if (s.fetching > 0) { // of all of it, because the layout was not known
    s.origin = s.all & ~s.have;
    if (cooperates(e, now)) e.planAt = now; // only a stripe of it is ours
  }
  const held = s.held;
  s.held = [];
  for (const h of held) {
    const n = e.slots[h.slot];
    if (n) e.emit({ kind: CheckChunk, peer: n.id, segment: s.id, chunk: h.index, data: h.data, signature: h.signature });
    else s.checking &= ~bit[h.index];
  }
  e.dirty(now);
}

/** mayHold reports whether so many bytes more of a neighbor may be kept that nothing proves yet. @param {Engine} e @param {Neighbor} n @param {number} bytes */
function mayHold(e, n, bytes) {
  let [of, all] = [bytes, bytes];
  for (const s of e.list) {
    for (const h of s.held) {
      all += h.data.length;
      if (h.slot === n.slot) of += h.data.length;
    }
  }
  return of <= maxHeldOf && all <= maxHeld;
}

/** onChunk takes a chunk that was asked for, or was and is still missing: a cancel may have crossed it. Others are ignored. @param {Engine} e @param {number} now @param {Neighbor} n @param {wire.Message} m */
function onChunk(e, now, n, m) {
  const s = e.table.get(m.segment);
  if (!s || m.index >= 64) return;
  const b = bit[m.index];
  const bytes = m.total;
  const asked = n.pending.find((p) => p.seg === s && p.index === m.index);
  if (asked) {
    takePending(n, s, b);
    const dt = Math.max(now - Math.max(n.lastAt, asked.at), Millisecond);
    const sample = bytes / seconds(dt);
    n.rate += 0.3 * (Math.min(sample, 8 * n.rate) - n.rate);
    n.lastAt = now;
    n.strikes = n.misses = n.busies = 0;
  } else if (!(s.requested[n.slot] & b) || !s.sought()) {
    e.totals.duplicate_bytes += bytes;
    return;
  } else if (s.asked & b) { // late, but before the one that was asked instead
    cancelAll(e, s, b);
  }
  if (s.have & b || s.checking & b || s.whole || (!s.proven && !mayHold(e, n, bytes))) {
    e.totals.duplicate_bytes += bytes;
    e.dirty(now);
    return;
  }
  s.checking |= b;
  if (s.proven) e.emit({ kind: CheckChunk, peer: n.id, segment: s.id, chunk: m.index, data: m.data, signature: m.signature });
  else s.held.push({ slot: n.slot, index: m.index, data: m.data, signature: m.signature });
  e.dirty(now);
}

/** cancelAll takes chunks back from all who were asked for them. @param {Engine} e @param {SegmentState} s @param {bigint} mask */
export function cancelAll(e, s, mask) {
  for (const n of e.slots) {
    const found = n ? takePending(n, s, mask) : 0n;
    if (found) e.send(n, { type: wire.Cancel, segment: s.id, mask: found });
  }
}

/** @param {Engine} e @param {number} now @param {Input} input */
export function onChunkChecked(e, now, input) {
  const s = e.table.get(input.segment);
  const n = e.byID.get(input.peer);
  const b = bit[input.chunk];
  if (!input.ok && !input.former) {
    e.totals.bad_chunks++;
    complain(e, input.peer, input.segment, "digest", input.evidence);
    if (n) fault(e, now, n);
  }
  if (!s || !(s.checking & b)) return;
  s.checking &= ~b;
  if (!input.ok) {
    if (input.former) {
      e.totals.duplicate_bytes += s.bytes(b);
      if (n) s.theirs[n.slot] = 0n;
    }
    e.dirty(now);
    return;
  }
  if (s.have & b) {
    e.totals.duplicate_bytes += s.bytes(b);
    return;
  }
  const bytes = s.bytes(b);
  e.totals.peer_bytes += bytes;
  if (n) {
    n.gaveUs += bytes;
    n.gaveRecent += bytes;
    reached(e, n.id);
    if (n.relayed) e.totals.relayed_bytes += bytes;
  }
  gain(e, now, s, b);
}

/** gain notes chunks that are verified and stored. @param {Engine} e @param {number} now @param {SegmentState} s @param {bigint} mask */
export function gain(e, now, s, mask) {
  mask &= ~s.have;
  if (!mask) return;
  s.have |= mask;
  s.origin &= ~mask;
  if (!s.whole) e.stored += s.bytes(mask);
  queueHave(e, now, s);
  if (s.have === s.all && !s.whole) {
    s.whole = true;
    complete(e, s);
  }
  e.dirty(now);
}

/** complete ends what is still under way for a segment. @param {Engine} e @param {SegmentState} s */
export function complete(e, s) {
  unneed(e, s);
  if (s.asked) cancelAll(e, s, full);
  e.emit({ kind: Complete, segment: s.id });
}

/** complain tells the edge of a peer that lied. @param {Engine} e @param {string} peer @param {string} segment @param {string} reason @param {import("../signal.js").Evidence} [evidence] */
function complain(e, peer, segment, reason, evidence) {
  e.emit({ kind: Signal, signal: { type: "complain", peer, segment, reason, evidence } });
}
