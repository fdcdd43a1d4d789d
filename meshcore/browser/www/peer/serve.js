// Giving chunks: meshcore/peer/serve.go.

import * as wire from "../wire.js";
import { bit, same, seconds, trailingZeros } from "./bits.js";
import { maxQueue, Millisecond, pressing, Second, uploadWindow } from "./config.js";
import { SendChunk, SendProof } from "./input.js";
import { crowded, scarce } from "./measure.js";

const lateRetry = 200; // ms that a neighbor does not ask again whose chunk would have come too late

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./neighbor.js").Neighbor} Neighbor */
/** Item is one chunk that a neighbor asked for and that waits for the uplink.
 * @typedef {{n: Neighbor, seg: import("./segment.js").SegmentState, index: number, due: number, bytes: number}} Item */

/**
 * onRequest queues the chunks that a neighbor asks for, as far as we have them and the uplink will take them in time, and
 * rejects the rest at once, so that it can ask another.
 * @param {Engine} e
 * @param {number} now
 * @param {Neighbor} n
 * @param {wire.Message} m
 */
export function onRequest(e, now, n, m) {
  const s = e.table.get(m.segment);
  const reject = (/** @type {bigint} */ mask, /** @type {number} */ reason, /** @type {number} */ retry) => {
    if (mask) e.send(n, { type: wire.Reject, segment: m.segment, mask, reason, retry: Math.trunc(retry / Millisecond) });
  };
  if (!n.up || !e.upload) return reject(m.mask, wire.RejectDenied, 0);
  if (!s || !s.proven || s.shut || s.private) return reject(m.mask, wire.RejectMissing, 0);
  let mask = same(m.root, s.root) ? m.mask & s.have : 0n;
  reject(m.mask & ~mask, wire.RejectMissing, 0);
  if (m.flags & wire.FlagProof) e.emit({ kind: SendProof, peer: n.id, segment: s.id });
  const due = m.within ? now + m.within * Millisecond : 0;
  const limit = Math.max(Math.trunc(e.uploadRate * maxQueue), 4 * s.chunkBytes());
  while (mask) {
    const c = trailingZeros(mask);
    const it = { n, seg: s, index: c, due, bytes: s.bytes(bit[c]) };
    if (e.queueBytes + e.inFlight >= limit && !giveWay(e, now, it)) {
      const wait = Math.trunc(((e.queueBytes + e.inFlight) / e.uploadRate) * Second);
      return reject(mask, wire.RejectBusy, Math.trunc(wait / 2));
    }
    mask &= ~bit[c];
    if (e.queue.some((it) => it.n === n && it.seg === s && it.index === c)) continue;
    e.queue.push(it);
    e.queueBytes += it.bytes;
  }
}

/**
 * giveWay rejects, where the origin is scarce, the chunk whose turn comes last, if that of another comes sooner; it reports
 * whether it does.
 * @param {Engine} e
 * @param {number} now
 * @param {Item} it
 */
function giveWay(e, now, it) {
  if (!scarce(e, now) || !e.queue.length) return false;
  const sooner = order(e, now);
  let last = 0;
  for (let i = 1; i < e.queue.length; i++) if (sooner(e.queue[last], e.queue[i])) last = i;
  if (!sooner(it, e.queue[last])) return false;
  const [x] = e.queue.splice(last, 1);
  e.queueBytes -= x.bytes;
  e.send(x.n, { type: wire.Reject, segment: x.seg.id, mask: bit[x.index], reason: wire.RejectBusy, retry: lateRetry });
  return true;
}

/** order is that in which the uplink is given, one chunk after another. @param {Engine} e @param {number} now */
function order(e, now) {
  const short = e.queueBytes > e.uploadRate / 2, by = crowded(e) ? now + pressing : 0, few = scarce(e, now);
  return (/** @type {Item} */ a, /** @type {Item} */ b) => {
    const pa = a.due < by, pb = b.due < by;
    if (pa !== pb) return pa;
    if (short) {
      const fa = onlyTakes(a.n), fb = onlyTakes(b.n);
      if (fa !== fb) return fb;
    }
    let ga = a.seg.given[a.index], gb = b.seg.given[b.index];
    if (few) {
      ga = Math.min(ga, 1);
      gb = Math.min(gb, 1);
    }
    if (ga !== gb) return ga < gb;
    return few && a.due === b.due ? a.n.since < b.n.since : a.due < b.due;
  };
}

/** onlyTakes says whether a neighbor takes much and gives nothing. @param {Neighbor} n */
const onlyTakes = (n) => n.tookFromUs > 4 << 20 && n.gaveUs < Math.trunc(n.tookFromUs / 32);

/** dropLate rejects what would come too late: its neighbor takes it from elsewhere. @param {Engine} e @param {number} now */
function dropLate(e, now) {
  unqueue(e, (it) => {
    const late = it.due !== 0 && now + Math.trunc(((e.inFlight + it.bytes) / e.uploadRate) * Second) > it.due;
    if (late) e.send(it.n, { type: wire.Reject, segment: it.seg.id, mask: bit[it.index], reason: wire.RejectBusy, retry: lateRetry });
    return late;
  });
}

/** serve hands the next chunks to the driver, as long as the window is open. @param {Engine} e @param {number} now */
export function serve(e, now) {
  dropLate(e, now);
  while (e.queue.length && e.inFlight < openWindow(e) && now >= e.paceAt && !overRatio(e)) {
    const sooner = order(e, now);
    let best = 0;
    for (let i = 1; i < e.queue.length; i++) if (sooner(e.queue[i], e.queue[best])) best = i;
    const [it] = e.queue.splice(best, 1);
    e.queueBytes -= it.bytes;
    if (it.seg.given[it.index] < 255) it.seg.given[it.index]++;
    if (e.inFlight === 0) e.sentAt = now;
    e.inFlight += it.bytes;
    it.n.sending.push(it.bytes);
    it.n.tookFromUs += it.bytes;
    it.n.tookRecent += it.bytes;
    e.totals.uploaded_bytes += it.bytes;
    const rate = limit(e, now);
    if (rate > 0) e.paceAt = Math.max(e.paceAt, now - 100 * Millisecond) + Math.trunc((it.bytes / rate) * Second);
    e.emit({ kind: SendChunk, peer: it.n.id, segment: it.seg.id, chunk: it.index });
  }
}

/**
 * limit is the most that is given, in bytes a second, 0 for no limit: what the configuration says, and half the uplink
 * while our own player waits, whose requests and acknowledgments go the same way. Where the origin is scarce all wait, for
 * what others give: there is no such limit.
 * @param {Engine} e
 * @param {number} now
 */
function limit(e, now) {
  const rate = e.cfg.uploadRate, half = e.uploadRate / 2;
  return e.waits && !scarce(e, now) && (rate === 0 || half < rate) ? half : rate;
}

/**
 * openWindow is how many bytes the driver may have and not have sent: no more than leave soon, because what we ask of
 * others waits behind them, and one chunk at a time until it is known how fast that is.
 * @param {Engine} e
 */
export const openWindow = (e) => !e.measured ? 1 : Math.max(1, Math.min(Math.trunc(e.uploadRate / 4), uploadWindow));

/** overRatio says whether the upload ratio forbids another chunk. @param {Engine} e */
export function overRatio(e) {
  return e.cfg.uploadRatio > 0 &&
    e.totals.uploaded_bytes > e.cfg.uploadRatio * (e.totals.peer_bytes + e.totals.origin_bytes) + (4 << 20);
}

/** onSent learns the uplink's rate from a chunk that has left. @param {Engine} e @param {number} now @param {import("./input.js").Input} input */
export function onSent(e, now, input) {
  const n = e.byID.get(input.peer);
  if (!n) return; // what it had was taken back when it went
  e.inFlight -= left(n, input.bytes);
  const dt = now - e.sentAt;
  if (dt > 0 && input.bytes > 0) {
    e.uploadRate += (e.measured ? 0.2 : 0.5) * (input.bytes / seconds(Math.max(dt, Millisecond)) - e.uploadRate);
    e.measured = true;
  }
  e.sentAt = now;
}

/**
 * left takes out of what the driver has for a neighbor the chunk that has left, and returns its bytes. One that could not
 * be sent comes back at once, with no bytes: it is the newest.
 * @param {Neighbor} n
 * @param {number} bytes
 */
function left(n, bytes) {
  if (!n.sending.length) return 0;
  const i = bytes > 0 ? Math.max(n.sending.indexOf(bytes), 0) : n.sending.length - 1;
  return n.sending.splice(i, 1)[0];
}

/** unqueue takes out of the queue what gone says. @param {Engine} e @param {(it: Item) => boolean} gone */
export function unqueue(e, gone) {
  e.queue = e.queue.filter((it) => {
    if (!gone(it)) return true;
    e.queueBytes -= it.bytes;
    return false;
  });
}
