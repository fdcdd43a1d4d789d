// One fetch from the origin: meshcore/peer/origin.go and stripes.go.

import * as wire from "../wire.js";
import { comingFor, hearing, Millisecond, stripes } from "./config.js";
import { CancelOrigin, FetchOrigin } from "./input.js";
import { originTime, scarce } from "./measure.js";
import { connected } from "./neighbor.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

export const asideWait = 1500 * Millisecond; // that a chunk waits at an origin at which it is no use to step aside

/**
 * aside reports that this peer does not cooperate. Where the origin is far behind everybody does: what all ask for at once
 * nobody gets.
 * @param {Engine} e
 * @param {number} now
 */
export const aside = (e, now) => now < e.asideUntil && e.originWait < asideWait;

/** cooperates reports that the origin is scarce and that there are neighbors, of which we know what they have. @param {Engine} e @param {number} now */
export const cooperates = (e, now) => scarce(e, now) && !aside(e, now) && connected(e) > 0 && now >= e.upAt + hearing / 4;

/** takenFor is how long what neighbors take is waited for, in the origin's queue too. @param {Engine} e */
export const takenFor = (e) => Math.max(comingFor, originTime(e, Math.trunc(e.usual / stripes))) + e.originWait;

/**
 * fetch takes chunks of s from the origin; without a proof it takes all of it. Of a stripe, and
 * of what none of them has, the neighbors hear at once, so that they do not take it, too.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 * @param {bigint} mask
 */
export function fetch(e, now, s, mask) {
  const stripe = cooperates(e, now) ? mask : 0n;
  if (e.upload && !s.private && !s.shut && (stripe || (!s.have && !s.copies))) {
    for (const n of e.slots) if (n?.up) e.send(n, { type: wire.Have, haves: [{ segment: s.id, chunks: 0, mask: stripe }] });
  }
  if (!s.proven) {
    mask = 0n;
    s.origin = s.all & ~s.have;
  } else {
    if (!mask) return;
    s.origin |= mask;
  }
  if (s.fetching === 0) {
    e.under.push(s);
    s.fetchedAt = now;
    s.fetched = 0;
    s.fetchedWhole = !mask;
  }
  s.fetching++;
  e.fetches++;
  e.emit({ kind: FetchOrigin, segment: s.id, chunks: mask });
}

/** cancelFetch ends all fetches of s. @param {Engine} e @param {SegmentState} s */
export function cancelFetch(e, s) {
  e.fetches -= s.fetching;
  e.under = e.under.filter((x) => x !== s);
  s.cancelled += s.fetching;
  s.fetching = 0;
  s.origin = 0n;
  e.emit({ kind: CancelOrigin, segment: s.id });
}
