// What the player plays and waits for: meshcore/peer/player.go.

import * as wire from "../wire.js";
import { announceFloor, maxNeeded, never, scarceFor, tolerance } from "./config.js";
import { asideWait } from "./fetch.js";
import { entry } from "./segment.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./segment.js").SegmentState} SegmentState */

/**
 * need notes that the player waits for a segment. It waits for one of each track at most, so that of what it has given up
 * in the meantime the last few are left.
 * @param {Engine} e
 * @param {number} now
 * @param {SegmentState} s
 * @param {number} by
 */
export function need(e, now, s, by) {
  unneed(e, s);
  if (e.needed.length === maxNeeded) unneed(e, e.needed[0]);
  s.needBy = by;
  s.neededAt = now;
  e.needed.push(s);
}

/** unneed notes that the player has a segment, or that it is gone. @param {Engine} e @param {SegmentState} s */
export function unneed(e, s) {
  s.needBy = never;
  e.needed = e.needed.filter((x) => x !== s);
}

/** @param {Engine} e @param {number} now @param {import("./input.js").Manifest} m */
export function onManifest(e, now, m) {
  const switched = !e.manifest || m.number !== e.number;
  if (m.wait > 0) e.scarceUntil = now + scarceFor;
  else if (e.originWait > 0) e.scarceUntil = 0;
  e.originWait = m.wait ?? 0;
  if (e.originWait >= asideWait) e.farAt = now;
  e.manifest = m;
  e.rendition = m.rendition;
  e.number = m.number;
  e.live = m.live;
  for (const listed of m.segments) {
    let s = e.table.get(listed.id);
    if (s && s.known !== 0) continue;
    s = entry(e, listed.id);
    learn(s, listed);
    s.known = Math.max(now, 1);
    s.slack = e.deadline(now, s) - now;
    s.fresh = !switched;
    e.newest = s;
  }
  refreshWanted(e, now);
  if (switched) {
    for (const n of e.slots) if (n?.up) e.send(n, { type: wire.Status, flags: e.flags(), rendition: e.number });
    e.announceAt = Math.min(e.announceAt, Math.max(now, e.announced + announceFloor / 4));
  }
  e.dirty(now);
}

/** @param {SegmentState} s @param {import("./input.js").Segment} listed */
function learn(s, listed) {
  s.sequence = listed.sequence;
  s.start = listed.start;
  s.duration = listed.duration;
  s.private = listed.private;
  s.size = listed.size || s.size;
}

/** refreshWanted lists what the player has still to play, up to its goal. @param {Engine} e @param {number} now */
export function refreshWanted(e, now) {
  for (const s of e.wanted) s.wanted = false;
  e.wanted = [];
  if (!e.manifest) return;
  const pos = e.playhead(now);
  e.widenAt = never;
  for (const listed of e.manifest.segments) {
    if (listed.duration > 0 && (listed.start + listed.duration <= pos + tolerance || listed.start < e.manifest.from)) continue;
    if (!e.live && listed.start > pos + e.cfg.bufferGoal) {
      if (e.playing) e.widenAt = now + listed.start - pos - e.cfg.bufferGoal;
      break;
    }
    let s = e.table.get(listed.id);
    if (!s) { // evicted in the meantime and wanted again: a seek back
      s = entry(e, listed.id);
      s.size = 0;
      learn(s, listed);
      s.known = Math.max(now, 1);
      s.slack = listed.start - pos;
    }
    s.wanted = true;
    e.wanted.push(s);
  }
}

/** passPlayed takes out of wanted what the playhead has passed. @param {Engine} e @param {number} now */
export function passPlayed(e, now) {
  const pos = e.playhead(now);
  let i = 0;
  for (; i < e.wanted.length; i++) {
    const s = e.wanted[i];
    if (s.start + s.duration > pos + tolerance || s.duration === 0) break;
    s.wanted = false;
  }
  e.wanted.splice(0, i);
  if (!e.live && e.manifest) refreshWanted(e, now);
}
