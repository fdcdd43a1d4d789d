// Telling neighbors what is here: meshcore/peer/have.go.

import * as wire from "../wire.js";
import { haveFraction, maxHaveInterval, minHaveInterval, never, settle } from "./config.js";

/** @typedef {import("./engine.js").Engine} Engine */

/**
 * queueHave has neighbors told of what is new of s: at once if the last time is long enough ago, else together with what
 * comes until then. That there is a segment which none of them has is told soonest: it spares them the way to the origin.
 * @param {Engine} e
 * @param {number} now
 * @param {import("./segment.js").SegmentState} s
 */
export function queueHave(e, now, s) {
  if (!e.upload || !s.proven || s.shut || s.private || s.queued) return;
  s.queued = true;
  e.haveQueue.push(s);
  const news = s.told === 0n && s.copies === 0;
  const every = news ? minHaveInterval : Math.min(Math.max(Math.trunc(s.slack / haveFraction), minHaveInterval), maxHaveInterval);
  e.haveAt = Math.min(e.haveAt, Math.max(now + settle, e.haveSent + every));
}

/** flushHaves tells each neighbor of the queued segments, unless it has all that we have of them. @param {Engine} e @param {number} now */
export function flushHaves(e, now) {
  e.haveAt = never;
  e.haveSent = now;
  if (!e.haveQueue.length) return;
  const haves = e.haveQueue.map((s) => {
    s.told = s.have;
    return { segment: s.id, chunks: s.chunks, mask: s.have, root: s.root };
  });
  for (const n of e.slots) {
    if (n?.up && e.haveQueue.some((s) => (s.have & ~s.theirs[n.slot]) !== 0n)) e.send(n, { type: wire.Have, haves });
  }
  for (const s of e.haveQueue) s.queued = false;
  e.haveQueue = [];
}

/** sendAllHaves tells a neighbor of all that may be shared. @param {Engine} e @param {import("./neighbor.js").Neighbor} n */
export function sendAllHaves(e, n) {
  const haves = [];
  for (const s of e.list) {
    if (s.have === 0n || !s.proven || s.shut || s.private) continue;
    haves.push({ segment: s.id, chunks: s.chunks, mask: s.have, root: s.root });
    s.told |= s.have;
  }
  for (let i = 0; i < haves.length; i += wire.MaxHaves) e.send(n, { type: wire.Have, haves: haves.slice(i, i + wire.MaxHaves) });
}
