// The newest statement of a segment counts: meshcore/peer/versions.go.

import * as wire from "../wire.js";
import { same } from "./bits.js";
import { Second } from "./config.js";
import { takeBack } from "./segment.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

/** newer says whether a statement takes the place of the one that there is. @param {SegmentState} s @param {number} root @param {number} issued */
export const newer = (s, root, issued) => !same(root, s.root) && issued > s.issued && !s.shut;

/** supersede gives up what is here of a segment, because a newer statement has come. @param {Engine} e @param {SegmentState} s */
export function supersede(e, s) {
  e.stored -= s.storedBytes();
  takeBack(e, s);
  s.have = s.origin = 0n;
  s.whole = s.proven = false;
  s.given.fill(0);
}

/** askDisputed asks for the proof of what a neighbor has, if that is disputed, of each neighbor once and of one after the other. @param {Engine} e @param {number} now @param {SegmentState} s */
export function askDisputed(e, now, s) {
  const c = s.disputed.find((c) => !c.asked);
  if (!c || !(s.sought() || s.proven) || (s.proofFrom >= 0 && (!s.proven || now < s.proofBy))) return;
  c.asked = true;
  const n = e.slots[c.slot];
  e.send(n, { type: wire.Request, segment: s.id, mask: 0n, flags: wire.FlagProof });
  s.proofFrom = c.slot;
  s.proofBy = now + 3 * n.rtt + Second;
  e.dirty(now);
}
