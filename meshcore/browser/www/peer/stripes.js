// What a swarm does together where the origin is scarce: meshcore/peer/stripes.go.

import { All } from "../wire.js";
import { hearing, joinPatience, Millisecond, never, scarceFor, Second, stripes } from "./config.js";
import { aside, asideWait, cancelFetch, cooperates, fetch, takenFor } from "./fetch.js";
import { distance, urgent } from "./fetchrules.js";
import { crowded, originTime } from "./measure.js";
import { connected } from "./neighbor.js";
import { chance } from "./segment.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

const slowAfter = 500 * Millisecond; // from when a fetch runs until it may be found to be slow
const slowRest = Second; // that the rest of a fetch takes of one that is not
const hangAfter = 4 * Second; // that a fetch has begun another may begin
const asideFor = 60 * Second; // that a peer does not cooperate whom cooperation has let wait
const recovery = 20 * Second; // from when the origin was last far behind, in which turns are longer
const stripeGrace = 2 * Second; // that the player waits, after which the origin is asked for what neighbors have

/**
 * waitForPeers is until when a peer that has just come waits for its neighbors with s, because the edge says that the origin
 * is scarce; 0 if it does not.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 */
export function waitForPeers(e, now, s) {
  if (e.originWait === 0 || aside(e, now) || s.private || e.swarmSize === 1 || cooperates(e, now)) return 0;
  return connected(e) > 0 ? e.upAt + hearing / 4 : e.startedAt + joinPatience;
}

/**
 * stepAside ends cooperation for a while: what neighbors have does not come, so this peer plays as without it.
 * @param {Engine} e
 * @param {number} now
 */
function stepAside(e, now) {
  if (e.originWait >= asideWait) return;
  e.asideUntil = now + asideFor;
  e.dirty(now);
}

/** covered is what neighbors have of s. @param {Engine} e @param {SegmentState} s */
export function covered(e, s) {
  let mask = 0n;
  for (const n of e.slots) if (n?.up && !n.noUpload) mask |= s.theirs[n.slot];
  return mask;
}

/** crawls reports that the fetch of s, as it goes, would take long yet. @param {Engine} e @param {number} now @param {SegmentState} s */
function crawls(e, now, s) {
  const took = now - s.fetchedAt;
  if (took < slowAfter) return false;
  if (s.fetched === 0) return took > slowAfter + 2 * e.originDelay;
  return Math.trunc((s.bytes(s.origin) / s.fetched) * took) > slowRest;
}

/**
 * endSlowFetch cancels a fetch of s that others can spare us any of, or that is better taken in stripes, and returns when to look
 * again.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 */
export function endSlowFetch(e, now, s) {
  if (s.fetching === 0 || s.private || !crowded(e) || (s.proven && !s.fetchedWhole && !cooperates(e, now))) return never;
  if (!crawls(e, now, s) && !(cooperates(e, now) && s.fetchedWhole && s.proven)) return Math.max(s.fetchedAt + slowAfter, now + slowAfter / 4);
  e.scarceUntil = now + scarceFor;
  if (!cooperates(e, now)) return now + slowAfter / 2;
  const keep = s.proven
    ? (s.origin & covered(e, s)) === 0n && !(s.fetchedWhole && e.swarmSize > 2 && 2 * s.bytes(s.origin) > s.size)
    : s.copies === 0 || peersLate(e, now, s);
  if (!keep) cancelFetch(e, s);
  return now + slowAfter / 2;
}

/**
 * planStripe takes a stripe of s from a scarce origin if it is time to, and returns when to look again.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 */
export function planStripe(e, now, s) {
  const late = peersLate(e, now, s);
  const [stripe, at] = turn(e, now, s);
  if (now < at && !late) return at;
  const again = now + slowAfter / 2;
  if (s.fetching > 0 || fetchesOne(e, now)) return again;
  if (s.chunks === 0 || !s.proven) {
    if (s.copies === 0 || late) fetch(e, now, s, 0n);
    return again;
  }
  const missing = s.missing();
  const uncovered = missing & ~covered(e, s);
  const mask = uncovered & stripe & ~s.takenNow(now, takenFor(e));
  if (mask) {
    fetch(e, now, s, mask);
    return never;
  }
  if (late && (!uncovered || waited(e, now) > 3 * stripeGrace)) stepAside(e, now);
  return again;
}

/** fetchesOne reports that a fetch is under way that does not hang. @param {Engine} e @param {number} now */
const fetchesOne = (e, now) => e.under.some((s) => now - s.fetchedAt < hangAfter + 3 * e.originWait);

/**
 * turn returns the stripe of s that this peer is to take, and from when. The ranks take turns, so many at a time as there
 * are stripes, until nothing is missing; each time in the order of the rotation of the segment.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 * @returns {[bigint, number]}
 */
function turn(e, now, s) {
  const from = e.live ? Math.max(published(e, s), e.startedAt) : s.due - e.cfg.originGoal;
  if (!e.duty || s.sequence < 0) return [stripeOf(s, Number(chance(e, s) % BigInt(stripes)), stripes), Math.max(from, now) + hearing];
  const size = s.proven ? s.layout.size : s.size;
  let unit = Math.max(slowAfter, 2 * originTime(e, Math.trunc(size / stripes)), Math.trunc(s.slack / 10), 2 * e.originWait);
  if (e.farAt > 0 && now - e.farAt < recovery) unit *= 2; // all lack the same
  const d = distance(e, s.sequence), n = Math.min(stripes, e.duty.of);
  const turns = Math.trunc((e.duty.of + n - 1) / n);
  const slot = Math.trunc(Math.max(0, now - from) / unit);
  const wait = (Math.trunc(d / n) - (slot % turns) + turns) % turns;
  const share = Math.max(1, e.duty.fetchers);
  return [stripeOf(s, ((d + slot + wait) % n) * share + Number(chance(e, s) % BigInt(share)), n * share), from + (slot + wait) * unit];
}

/** published is about when a live segment came to be, so that all count its turns from the same moment. @param {Engine} e @param {SegmentState} s */
function published(e, s) {
  return s.fresh || !e.newest ? s.known : e.newest.known - (e.newest.start - s.start);
}

/** stripeOf is the mask of stripe i of n. @param {SegmentState} s @param {number} i @param {number} n */
function stripeOf(s, i, n) {
  if (s.chunks === 0) return 0n;
  n = Math.min(n, s.chunks);
  i %= n;
  return All(Math.trunc(((i + 1) * s.chunks) / n)) & ~All(Math.trunc((i * s.chunks) / n));
}

/** peersLate reports that what neighbors have of s will not come from them in time. @param {Engine} e @param {number} now @param {SegmentState} s */
function peersLate(e, now, s) {
  if (!e.duty) return waited(e, now) > stripeGrace || s.due - now < Math.min(urgent(e, s), Math.trunc(s.slack / 3));
  return waited(e, now) > 3 * stripeGrace;
}

/** waited is for how long the player, which does not play, has waited with neighbors there, and an origin not far behind. @param {Engine} e @param {number} now */
function waited(e, now) {
  return e.playing ? 0 : now - Math.max(e.playAt, e.upAt, e.farAt);
}

/** cancelObsolete cancels slow fetches of what the playhead has passed, or left behind. @param {Engine} e @param {number} now */
export function cancelObsolete(e, now) {
  const pos = e.playhead(now);
  for (const s of [...e.under].reverse()) {
    if (now - s.fetchedAt >= slowAfter && s.known !== 0 && s.duration > 0 && s.start + s.duration <= pos && s.needBy === never) cancelFetch(e, s);
  }
}
