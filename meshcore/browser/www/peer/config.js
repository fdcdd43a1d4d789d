// How an engine works: meshcore/peer/config.go. Durations are nanoseconds, rates bytes a second.

export const Millisecond = 1e6;
export const Second = 1e9;
export const never = Infinity;

/**
 * Config is how an engine works. What is absent or 0 means its default.
 * @typedef {object} Config
 * @property {string} id this peer's id
 * @property {bigint} [seed]
 * @property {string} [pass]
 * @property {boolean} [receiveOnly]
 * @property {number} [neighbors] default 24, at most 64
 * @property {number} [uploadRate]
 * @property {number} [uploadRatio]
 * @property {number} [relayRate]
 * @property {number} [cacheBytes] default 128 MiB
 * @property {number} [bufferGoal] default 30 s
 * @property {number} [originGoal] default 10 s
 * @property {number} [originRate] default 500,000
 * @property {number} [announceInterval] default 60 s
 * @property {number} [reportInterval] default 10 s
 */

/** @param {Config} c */
export function withDefaults(c) {
  const bufferGoal = c.bufferGoal || 30 * Second;
  return {
    id: c.id,
    seed: c.seed ?? 0n,
    pass: c.pass ?? "",
    receiveOnly: c.receiveOnly ?? false,
    neighbors: Math.min(c.neighbors || 24, 64),
    uploadRate: c.uploadRate ?? 0,
    uploadRatio: c.uploadRatio ?? 0,
    relayRate: c.relayRate ?? 0,
    cacheBytes: c.cacheBytes || 128 << 20,
    bufferGoal,
    originGoal: Math.min(c.originGoal || 10 * Second, bufferGoal),
    originRate: c.originRate || startOrigin,
    announceInterval: c.announceInterval || 60 * Second,
    reportInterval: c.reportInterval || 10 * Second,
  };
}

export const tolerance = 2 * Millisecond; // that tracks of one time differ by
export const settle = 8 * Millisecond; // inputs that come this close are planned together
export const comingFor = Second; // that a segment is waited for which a neighbor takes from the origin
export const haveFraction = 32; // a have is sent at most every slack/haveFraction
export const minHaveInterval = 50 * Millisecond;
export const maxHaveInterval = 400 * Millisecond;
export const startRate = 250e3; // bytes/s that a neighbor is thought to give before it has
export const startOrigin = 500e3; // the same of the origin
export const startUplink = 600e3; // the same of our own uplink
export const pipeline = 0.5; // s of a neighbor's rate that is asked for at once
export const remeasure = 20 * Second; // after which the rate of a neighbor that gave nothing is not known any more
export const maxQueue = 0.8; // s of our uplink that is promised at once
export const uploadWindow = 128 << 10; // bytes handed to the driver and not yet sent
export const pressing = Second; // a neighbor that needs a chunk within it is served before others
export const startGoal = 3 * Second; // from when a peer comes until its player is to begin, where the origin is scarce
export const maxStrikes = 3; // timeouts in a row after which a neighbor is slow or silent
export const maxMisses = 2; // announced chunks that were not there, after which it is dropped
export const maxBusies = 4; // times that the wait is doubled which a busy neighbor asks for
export const silence = 15 * Second; // after which a silent neighbor is dropped, if the driver does not see that it is gone
export const maxHeldOf = 8 << 20; // unproven bytes of one neighbor that are kept
export const maxHeld = 32 << 20; // and of all
export const maxUnknown = 256; // segments of one neighbor that are kept before a manifest lists them
export const firstBackoff = 30 * Second; // of a neighbor that was slow or could not be reached, doubled each time
export const lastBackoff = 480 * Second; // the longest
export const maxTable = 2048; // segments known at once, placeholders included
export const joinPatience = 4 * Second; // how long a peer without neighbors waits for the first
export const hearing = Second / 2; // from when the first is there until we know what it has
export const keepBehind = 20 * Second; // of a live stream that was played is kept
export const maxFetches = 4; // of one segment from the origin at once
export const passFloor = Second; // between two passes of one neighbor that are checked
export const maxNeeded = 4; // segments that the player waits for at once
export const announceFloor = 2 * Second; // between two announces
export const crowd = 24; // peers of a swarm that may be too many for its origin
export const scarceTime = Second; // that a segment takes of an origin that is not scarce, at most
export const scarceFor = 300 * Second; // that an origin is taken for scarce without new evidence
export const stripes = 8; // that a segment is divided into, at most
