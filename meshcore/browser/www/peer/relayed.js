// When chunks are asked of neighbors over a relay: meshcore/peer/relayed.go.

import { full } from "./bits.js";
import { Millisecond, never, Second } from "./config.js";
import { urgent } from "./fetchrules.js";
import { fraction } from "./segment.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

/**
 * overRelay returns which chunks of s may be asked of neighbors over a relay now, and when that is to be looked at anew.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 * @returns {[bigint, number]}
 */
export function overRelay(e, now, s) {
  if (!e.ready.some((n) => n.relayed && s.theirs[n.slot])) return [0n, never];
  const direct = e.slots.filter((n) => n?.up && !n.noUpload && !n.relayed);
  let may = full;
  if (direct.length) {
    const at = relayTime(e, s);
    if (now < at) return [0n, at];
    for (const n of direct) may &= ~s.theirs[n.slot];
  }
  const at = relayFree(e, now);
  return now < at ? [0n, at] : [may, never];
}

/**
 * relayTime is when a viewer with direct neighbors asks over a relay for what none of them has: each after a time of its
 * own, so that the first passes it on to the others, and before the origin's turn.
 * @param {Engine} e
 * @param {SegmentState} s
 */
const relayTime = (e, s) => Math.min(s.known + Math.trunc(fraction(e, s) * Math.trunc(s.slack / 2)), s.due - 2 * urgent(e, s));

/** relayFree is when the relay rate allows another chunk; a second's worth may come at once. @param {Engine} e @param {number} now */
function relayFree(e, now) {
  const rate = e.cfg.relayRate;
  if (!rate) return now;
  e.relayAllowance = Math.min(rate, e.relayAllowance + rate * ((now - e.relayAt) / Second));
  e.relayAt = now;
  return e.relayAllowance > 0 ? now : now + Millisecond + Math.trunc((-e.relayAllowance / rate) * Second);
}

/** spendRelay counts bytes asked over a relay, and tells whether more may be. @param {Engine} e @param {number} bytes */
export const spendRelay = (e, bytes) => !e.cfg.relayRate || (e.relayAllowance -= bytes) > 0;
