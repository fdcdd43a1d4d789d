// Whom this peer does not connect to for a while: meshcore/peer/backoff.go.

import { MaxFailed } from "../signal.js";
import * as wire from "../wire.js";
import { firstBackoff, lastBackoff, maxStrikes } from "./config.js";
import { drop } from "./neighbor.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./neighbor.js").Neighbor} Neighbor */

/**
 * Backoff is a peer that is left alone. slow: it was connected and of no use, so that its offers are refused, too.
 * @typedef {{id: string, until: number, wait: number, slow: boolean}} Backoff
 */

/** backOff leaves a peer alone for firstBackoff, for twice as long each time. @param {Engine} e @param {number} now @param {string} id @param {boolean} slow */
export function backOff(e, now, id, slow) {
  const b = backoff(e, now, id);
  b.until = now + b.wait;
  b.slow = slow;
  b.wait = Math.min(2 * b.wait, lastBackoff);
}

/**
 * backoff finds the entry of a peer or adds one. Entries that ended long ago make room, and then those that were added
 * first.
 * @param {Engine} e
 * @param {number} now
 * @param {string} id
 * @returns {Backoff}
 */
function backoff(e, now, id) {
  e.backoffs = e.backoffs.filter((b) => now < b.until + lastBackoff);
  let b = e.backoffs.find((b) => b.id === id);
  if (!b) {
    if (e.backoffs.length === MaxFailed) e.backoffs.shift();
    e.backoffs.push((b = { id, until: 0, wait: firstBackoff, slow: false }));
  }
  return b;
}

/** backingOff returns the entry of a peer that is left alone now. @param {Engine} e @param {number} now @param {string} id */
export const backingOff = (e, now, id) => e.backoffs.find((b) => b.id === id && now < b.until);

/** failed lists whom the edge is not to introduce now. @param {Engine} e @param {number} now */
export const failed = (e, now) => e.backoffs.filter((b) => now < b.until).map((b) => b.id);

/**
 * reached notes that bytes of a peer came: what was wrong with the path to it is over. A slow one keeps its entry, because
 * it sends bytes, too.
 * @param {Engine} e
 * @param {string} id
 */
export function reached(e, id) {
  if (e.backoffs.length) e.backoffs = e.backoffs.filter((b) => b.id !== id || b.slow);
}

/** heard notes a message of a neighbor. One that was silent may be asked again. @param {Engine} e @param {number} now @param {Neighbor} n */
export function heard(e, now, n) {
  n.heardAt = now;
  if (n.strikes < maxStrikes) return;
  n.strikes = 0;
  n.busyUntil = now;
  e.dirty(now);
}

/** dropSlow drops a neighbor that is there and of no use. @param {Engine} e @param {number} now @param {Neighbor} n */
export function dropSlow(e, now, n) {
  backOff(e, now, n.id, true);
  drop(e, now, n, wire.ByeSlow);
}

/**
 * dropSilent drops a neighbor whose path is dead. It may be tried again at once; if it is silent again before any of its
 * bytes came, it is left alone.
 * @param {Engine} e
 * @param {number} now
 * @param {Neighbor} n
 */
export function dropSilent(e, now, n) {
  const b = backoff(e, now, n.id);
  if (b.until === 0) b.until = now;
  else backOff(e, now, n.id, false);
  drop(e, now, n, wire.ByeLeaving);
}
