// Passes, shown and checked: meshcore/peer/pass.go.

import * as wire from "../wire.js";
import { backOff } from "./backoff.js";
import { never, passFloor } from "./config.js";
import { sendAllHaves } from "./have.js";
import { CheckPass } from "./input.js";
import { connected, drop, fault, forgetHaves, sayHello } from "./neighbor.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./neighbor.js").Neighbor} Neighbor */

/** renew shows a new pass to all neighbors. @param {Engine} e @param {string} pass */
export function renew(e, pass) {
  e.cfg.pass = pass;
  for (const n of e.slots) if (n?.open) sayHello(e, n);
}

/**
 * onHello has the pass of a neighbor checked. A later hello shows a renewed one; more of them than an edge gives out are
 * not looked at.
 * @param {Engine} e
 * @param {number} now
 * @param {Neighbor} n
 * @param {wire.Message} m
 */
export function onHello(e, now, n, m) {
  if (m.version !== wire.Version || m.peer !== n.id) return fault(e, now, n);
  if (n.greeted && now - n.passSeen < passFloor) return;
  if (!n.greeted) {
    n.greeted = true;
    n.noUpload = (m.flags & wire.FlagNoUpload) !== 0;
    n.number = m.rendition;
  }
  n.passSeen = now;
  e.emit({ kind: CheckPass, peer: n.id, message: m });
}

/**
 * onPass lets chunks travel, or go on doing so. A renewed pass that is not good changes nothing: what the neighbor showed
 * before is good as long as it says.
 * @param {Engine} e
 * @param {number} now
 * @param {import("./input.js").Input} input
 */
export function onPass(e, now, input) {
  const n = e.byID.get(input.peer), within = input.within ?? 0;
  if (!n || !n.greeted) return;
  if (!input.ok || within < 0) {
    if (n.up) return;
    backOff(e, now, n.id, true);
    return drop(e, now, n, wire.ByePass);
  }
  n.passBy = within > 0 ? now + within : never;
  e.passAt = Math.min(e.passAt, n.passBy);
  n.mute = !!input.receiveOnly;
  if (n.mute && !n.noUpload) {
    n.noUpload = true;
    forgetHaves(e, now, n);
  }
  if (n.up) return;
  if (connected(e) === 0) e.upAt = now;
  n.up = true;
  if (e.upload) sendAllHaves(e, n);
  e.dirty(now);
}

/** dropExpired ends the connections to neighbors whose pass has run out. They may come back with another. @param {Engine} e @param {number} now */
export function dropExpired(e, now) {
  e.passAt = never;
  for (const n of [...e.slots]) {
    if (!n?.up) continue;
    if (now >= n.passBy) drop(e, now, n, wire.ByePass);
    else e.passAt = Math.min(e.passAt, n.passBy);
  }
}
