// When a segment is to be taken from the origin: meshcore/peer/fetchrules.go.

import { hearing, joinPatience, Millisecond, never } from "./config.js";
import { crowded, originTime } from "./measure.js";
import { connected } from "./neighbor.js";
import { fraction } from "./segment.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */
/** @typedef {(e: Engine, now: number, s: SegmentState) => number} When */

/**
 * urgent is the length of the window before a segment's deadline in which the origin is used without waiting: one and a
 * half times what the origin needs for the rest of the segment, four times the deviation of what it needed from what was
 * expected (as in RFC 6298), and some margin; at most half the slack, or three quarters of it for a live segment that was
 * there before this peer, to which no neighbor has proved itself by then. A segment that this peer needs as soon as it is there
 * comes from the neighbors that have it, or take it, until the origin is just in time.
 * @param {Engine} e
 * @param {SegmentState} s
 */
export function urgent(e, s) {
  const rest = s.chunks > 0 ? s.bytes(s.all & ~s.have) : s.size;
  if (s.quick) return originTime(e, rest) + 2 * e.originDev;
  const u = Math.trunc((originTime(e, rest) * 3) / 2) + 4 * e.originDev + 250 * Millisecond + Math.trunc(fraction(e, s) * 200 * Millisecond);
  return Math.max(Math.min(u, Math.trunc((s.slack * (s.fresh || !e.live ? 2 : 3)) / 4)), 400 * Millisecond);
}

/** @type {When} */
const whenUrgent = (e, now, s) => s.due - urgent(e, s);

/**
 * fetchRules are of when a segment is to be taken, and are asked in order; the first that applies says when. The urgent
 * window goes before them all.
 * @type {[(e: Engine, now: number, s: SegmentState) => boolean, When][]}
 */
const fetchRules = [
  [isAlone, asPlayer], // alone
  [isShort, (e, now, s) => s.known], // uplinks are short
  [(e, now, s) => s.copies > 0, whenUrgent], // held by neighbors
  [(e, now, s) => now < s.coming && !(onDuty(e, s) && crowded(e)), (e, now, s) => s.coming], // a neighbor fetches it
  [isJoining, (e) => e.startedAt + joinPatience + 1], // neighbors are on their way
  [isHearing, heardAt], // the first neighbor has just come
  [(e) => !e.live, filmTime], // film
  [(e, now, s) => !e.duty || s.sequence < 0, whenUrgent], // no rotation
  [() => true, rotationTime], // rotation
];

/** fetchTime is when this peer is to take s from the origin, as things stand. @type {When} */
export function fetchTime(e, now, s) {
  const [, at] = fetchRules.find(([applies]) => applies(e, now, s));
  return Math.min(whenUrgent(e, now, s), at(e, now, s));
}

/** isAlone reports that there is nobody to take s from, or that nobody may have it. @param {Engine} e @param {number} now @param {SegmentState} s */
function isAlone(e, now, s) {
  return s.private || (connected(e) === 0 && (e.swarmSize === 1 || now - e.startedAt > joinPatience));
}

/** isShort reports that it is this peer's turn to take s early because uplinks are short. @param {Engine} e @param {number} now @param {SegmentState} s */
function isShort(e, now, s) {
  if (!e.live || !s.fresh || hurried(e, s) || !e.duty || s.sequence < 0) return false;
  const d = distance(e, s.sequence);
  return d >= e.duty.fetchers && d < e.share.early(e.duty.of);
}

/** asPlayer takes a segment as a player without neighbors does. @type {When} */
function asPlayer(e, now, s) { return e.live ? now : s.due - e.cfg.originGoal; }

/** isJoining reports that those who have s may still be on their way to us. @param {Engine} e @param {number} now @param {SegmentState} s */
function isJoining(e, now, s) {
  return !s.fresh && now - e.startedAt <= joinPatience && (connected(e) === 0 || (!e.live && s.needBy === never));
}

/**
 * isHearing reports that the first neighbor came so lately that it may not yet have said what it has.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 */
function isHearing(e, now, s) { return (e.live ? !s.fresh : s.needBy !== never) && now < heardAt(e, now, s); }

/** @type {When} */
function heardAt(e, now, s) { return e.upAt + hearing + spread(e, s); }

/** filmTime spreads those who wait together, so that the first spares the others the way. @type {When} */
function filmTime(e, now, s) {
  const early = Math.trunc((fraction(e, s) * e.cfg.originGoal) / 2);
  const at = s.due - e.cfg.originGoal + early;
  return s.needBy === never ? at : Math.max(at, s.neededAt + Math.trunc(spread(e, s) / 8));
}

/**
 * rotationTime has the fetchers of a live segment go at once; if nothing is heard of it, the next in the rotation follow,
 * twice as many in each tenth of the slack. A segment that was there before this peer came has had its fetchers, and the rank
 * of one who has just come may not be true yet.
 * @type {When}
 */
function rotationTime(e, now, s) {
  const d = distance(e, s.sequence);
  if (d < e.duty.fetchers && s.fresh) return s.known;
  const turns = Math.max(d, e.duty.fetchers) / Math.max(1, e.duty.fetchers);
  const wait = Math.trunc(s.slack * (0.35 + 0.1 * Math.log2(turns)));
  return s.known + wait + (s.fresh ? 0 : spread(e, s));
}

/**
 * spread is what this peer waits beyond others with s where the rotation does not say who comes first: two who have just
 * met, or begun, would else fetch it at once.
 * @param {Engine} e
 * @param {SegmentState} s
 */
const spread = (e, s) => Math.trunc(fraction(e, s) * hearing);

/** distance is this peer's place in the rotation for a sequence number (signal.Duty). @param {Engine} e @param {number} sequence */
export function distance(e, sequence) {
  const { rank, of, fetchers } = e.duty;
  const d = (rank - sequence * fetchers) % of;
  return d < 0 ? d + of : d;
}

/**
 * hurried reports that this peer plays so near to the live edge that it needs s less than its duration after it has heard
 * of it.
 * @param {Engine} e
 * @param {SegmentState} s
 */
export const hurried = (e, s) => e.live && s.fresh && s.slack < s.duration;

/** @param {Engine} e @param {SegmentState} s */
export const onDuty = (e, s) => e.live && s.fresh && fetches(e, s.sequence);

/**
 * fetches says whether it is this peer's turn to take the live segment, or the part, of a media sequence number from the
 * origin at once. A driver asks when a playlist hints at a part, of which the engine does not know yet, and to look for the
 * next segment in time.
 * @param {Engine} e
 * @param {number} sequence
 */
export const fetches = (e, sequence) => !!e.duty && sequence >= 0 && distance(e, sequence) < e.duty.fetchers;
