// Finding and keeping neighbors: meshcore/peer/neighbor.go.

import { MaxFailed } from "../signal.js";
import * as wire from "../wire.js";
import { backingOff, backOff, failed } from "./backoff.js";
import { bit, draw } from "./bits.js";
import { announceFloor, Millisecond, startRate } from "./config.js";
import { Accept, Connect, Disconnect, Signal } from "./input.js";
import { unqueue } from "./serve.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {{seg: import("./segment.js").SegmentState, index: number, bytes: number, at: number, by: number}} Pending */

/** Neighbor is a connected peer, or one that we are connecting to. */
export class Neighbor {
  /** @param {string} id @param {number} slot @param {number} now */
  constructor(id, slot, now) {
    this.id = id;
    this.slot = slot;
    this.open = false; // the data channel is open
    this.greeted = false; // its hello came
    this.up = false; // its pass is good: chunks may travel
    this.mute = false; // its pass does not let it give
    this.passSeen = 0; // when its last hello came
    this.passBy = 0; // when its pass runs out; 0 before it is up
    this.relayed = false;
    this.noUpload = false;
    this.number = ""; // its rendition
    this.since = now;

    /** @type {Pending[]} */
    this.pending = []; // what we asked of it, oldest first
    this.pendingBytes = 0;
    /** @type {number[]} */
    this.sending = []; // bytes of each chunk for it that the driver has and has not sent
    this.minRoom = 32 << 10; // bytes that may be asked of it however slow it is
    this.rtt = 100 * Millisecond;
    this.pingAt = 0;
    this.heardAt = 0; // when its last message came
    this.struckAt = 0; // when it let the first time in a row pass
    this.rate = startRate; // bytes/s it gives us
    this.hoped = 0; // the rate it is thought to give while it is not known
    this.lastAt = 0; // when its last chunk came
    this.busyUntil = 0; // it asked us to wait
    this.strikes = 0; // timeouts in a row
    this.busies = 0; // times in a row that it asked us to wait
    this.misses = 0; // announced chunks that were not there

    this.gaveUs = this.tookFromUs = 0; // bytes, over all
    this.gaveRecent = this.tookRecent = 0; // since the last review
  }
}

/** connected is the number of neighbors that chunks may travel to and from. @param {Engine} e */
export const connected = (e) => e.slots.reduce((c, n) => c + (n?.up ? 1 : 0), 0);

/** @param {Engine} e */
const occupied = (e) => e.slots.reduce((c, n) => c + (n ? 1 : 0), 0);

/** target is the number of neighbors that the engine looks for itself; the rest of the slots is for those who look for it. @param {Engine} e */
const target = (e) => Math.max(1, Math.trunc((e.cfg.neighbors * 2) / 3));

/** @param {Engine} e @param {number} now @param {string} id */
function addNeighbor(e, now, id) {
  const i = e.slots.indexOf(null);
  if (i < 0) return null;
  const n = new Neighbor(id, i, now);
  e.slots[i] = n;
  e.byID.set(id, n);
  return n;
}

/** remember appends to a bounded list. @param {string[]} list @param {string} id */
function remember(list, id) {
  if (list.includes(id)) return;
  if (list.length === MaxFailed) list.shift();
  list.push(id);
}

/** onSignal takes a peer list or a drop from the edge. @param {Engine} e @param {number} now @param {import("../signal.js").Message} m */
export function onSignal(e, now, m) {
  if (m.type === "peers") {
    e.swarmSize = m.swarm_size ?? 0;
    const peers = m.peers ?? [];
    e.duty = m.duty ?? null;
    for (const p of peers) {
      if (!p.initiate || p.id === e.cfg.id || e.byID.has(p.id) || e.barred.includes(p.id) || backingOff(e, now, p.id) ||
        (!p.upload && !e.upload) || lacking(e) === 0) continue;
      addNeighbor(e, now, p.id);
      e.emit({ kind: Connect, peer: p.id });
    }
    e.dirty(now);
  } else if (m.type === "drop" && m.peer) {
    const n = e.byID.get(m.peer);
    if (m.reason === "banned") {
      remember(e.barred, m.peer);
      if (n) drop(e, now, n, wire.ByeFault);
    } else if (n && !n.open) {
      drop(e, now, n, wire.ByeLeaving); // it left before it could answer
    }
  }
}

/**
 * onOffered accepts a peer that offers a connection, if there is room and it was not slow just before. One that could not
 * be reached is welcome: its network may have changed. When two peers offer to each other at once, the offer of the
 * smaller id stands.
 * @param {Engine} e
 * @param {number} now
 * @param {string} id
 */
export function onOffered(e, now, id) {
  const n = e.byID.get(id);
  if (e.barred.includes(id) || id === e.cfg.id || backingOff(e, now, id)?.slow) return e.emit({ kind: Disconnect, peer: id });
  if (n && !n.open && e.cfg.id < id) return; // ours stands; the other side will accept it
  if (n) release(e, now, n); // it began anew
  e.emit({ kind: addNeighbor(e, now, id) ? Accept : Disconnect, peer: id });
}

/** @param {Engine} e @param {number} now @param {import("./input.js").Input} input */
export function onUp(e, now, input) {
  const n = e.byID.get(input.peer);
  if (!n) return e.emit({ kind: Disconnect, peer: input.peer });
  const { open } = n;
  n.open = true;
  n.relayed = !!input.relayed;
  if (open) return e.dirty(now); // over another path
  n.pingAt = n.heardAt = now;
  sayHello(e, n);
  e.send(n, { type: wire.Ping, nonce: n.slot });
}

/** sayHello introduces this peer, or shows the pass that it was given since. @param {Engine} e @param {Neighbor} n */
export function sayHello(e, n) {
  e.send(n, { type: wire.Hello, version: wire.Version, flags: e.flags(), peer: e.cfg.id, rendition: e.number, token: e.cfg.pass });
}

/** @param {Engine} e @param {number} now @param {string} id */
export function onDown(e, now, id) {
  const n = e.byID.get(id);
  if (!n) return;
  if (!n.open) backOff(e, now, id, false);
  release(e, now, n);
  lookForPeers(e, now);
}

/** drop ends a connection for a reason that the neighbor is told. @param {Engine} e @param {number} now @param {Neighbor} n @param {number} reason */
export function drop(e, now, n, reason) {
  if (n.open) e.send(n, { type: wire.Bye, reason });
  release(e, now, n);
  e.emit({ kind: Disconnect, peer: n.id });
  lookForPeers(e, now);
}

/** fault ends the connection to a neighbor that broke the protocol. @param {Engine} e @param {number} now @param {Neighbor} n */
export function fault(e, now, n) {
  remember(e.barred, n.id);
  drop(e, now, n, wire.ByeFault);
}

/** release forgets a neighbor and all that was asked of it or by it. @param {Engine} e @param {number} now @param {Neighbor} n */
export function release(e, now, n) {
  forgetPending(n);
  for (const s of e.list) {
    s.theirs[n.slot] = s.requested[n.slot] = 0n;
    if (s.proofFrom === n.slot) s.proofFrom = -1;
    s.held = s.held.filter((h) => {
      if (h.slot !== n.slot) return true;
      s.checking &= ~bit[h.index];
      return false;
    });
    s.disputed = s.disputed.filter((c) => c.slot !== n.slot);
  }
  unqueue(e, (it) => it.n === n);
  for (const bytes of n.sending) e.inFlight -= bytes;
  e.slots[n.slot] = null;
  e.byID.delete(n.id);
  e.dirty(now);
}

/** forgetPending takes back all that was asked of a neighbor. @param {Neighbor} n */
export function forgetPending(n) {
  for (const p of n.pending) p.seg.asked &= ~bit[p.index];
  n.pending = [];
  n.pendingBytes = 0;
}

/**
 * lacking is how many neighbors the engine looks for. Those that play another rendition count half, because they have
 * less and less for it after a switch.
 * @param {Engine} e
 */
function lacking(e) {
  let others = 0;
  for (const n of e.slots) if (n?.up && n.number !== e.number) others++;
  return Math.max(0, Math.min(target(e) - occupied(e) + Math.trunc(others / 2), e.slots.length - occupied(e)));
}

/** forgetHaves takes nothing more from a neighbor. @param {Engine} e @param {number} now @param {Neighbor} n */
export function forgetHaves(e, now, n) {
  for (const s of e.list) s.theirs[n.slot] = 0n;
  forgetPending(n);
  e.dirty(now);
}

/** lookForPeers has an announce sent soon if there are too few neighbors. @param {Engine} e @param {number} now */
export function lookForPeers(e, now) {
  if (lacking(e) > 0 && (e.swarmSize < 0 || occupied(e) < e.swarmSize - 1)) {
    e.announceAt = Math.min(e.announceAt, Math.max(now, e.announced + announceFloor));
  }
}

/** announce tells the edge of this peer, and asks for peers if some are lacking. @param {Engine} e @param {number} now */
export function announce(e, now) {
  e.announced = now;
  e.announceAt = now + e.cfg.announceInterval;
  if (now - e.startedAt < Math.trunc(e.cfg.announceInterval / 2)) {
    e.announceAt = now + Math.trunc(e.cfg.announceInterval / 4); // the edge does not know our uplink yet
  }
  review(e, now);
  const want = lacking(e);
  if (want > 0 && (e.swarmSize < 0 || occupied(e) < e.swarmSize - 1)) {
    // Ask again soon, with some spread, while neighbors are lacking.
    e.announceAt = now + 3 * announceFloor + Number(draw(e.cfg.id, e.cfg.seed + BigInt(now)) % BigInt(2 * announceFloor));
  }
  e.emit({ kind: Signal, signal: {
    type: "announce", rendition: e.rendition, live: e.live, position_ms: Math.max(0, Math.trunc(e.playhead(now) / Millisecond)),
    neighbors: occupied(e), relayed: e.slots.filter((n) => n?.open && n.relayed).length, want, upload: e.upload,
    uplink_bps: e.totals.uploaded_bytes >= 1 << 20 ? Math.trunc(8 * Math.min(e.uploadRate, e.cfg.uploadRate || Infinity)) : 0, failed: failed(e, now),
  } });
}

/**
 * review drops, at each announce, a neighbor that was of no use since the last, and two of those that play another
 * rendition or are reached over a relay, when there are others of the swarm to try in their place.
 * @param {Engine} e
 * @param {number} now
 */
function review(e, now) {
  let spare = occupied(e) >= target(e) && e.swarmSize > occupied(e) + 1 ? 2 : 0;
  for (const other of [true, false]) { // those of another rendition and over a relay first
    for (const n of e.slots) {
      if (!n?.up || spare <= 0 || now - n.since < Math.trunc(e.cfg.announceInterval / 2) || n.gaveRecent + n.tookRecent > 0 ||
        other !== (n.number !== e.number || n.relayed)) continue;
      spare = other ? spare - 1 : 0;
      e.send(n, { type: wire.Bye, reason: wire.ByeSlow });
      release(e, now, n);
      e.emit({ kind: Disconnect, peer: n.id });
    }
  }
  for (const n of e.slots) if (n) n.gaveRecent = n.tookRecent = 0;
}
