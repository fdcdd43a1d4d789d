// What the engine learns from the origin's answers: meshcore/peer/measure.go.

import { seconds } from "./bits.js";
import { crowd, Millisecond, Second, scarceTime } from "./config.js";

/** @typedef {import("./engine.js").Engine} Engine */

export const minAnswer = 4 << 10; // bytes of an answer from which the engine learns
const minTook = Millisecond; // that they take at least, and
const burst = 16; // of the time to the first byte this part
const fade = 0.7; // of what was measured before counts when an answer comes
const stretch = Second; // for so long answers that overlap are taken together
const maxLate = 2 * Second; // that an answer is believed to be late

/**
 * Measure is what the origin's rate is known from: the bytes of its answers and the time in which they came, both fading.
 * What an answer has in common with others counts half: they may have shared the way here, or not.
 */
export class Measure {
  known = false; // there was an answer
  bytes = 0; // before this stretch
  took = 0; // s
  now = 0; // bytes of this stretch
  span = 0; // its time, ns
  until = 0; // when the last answer ended

  /**
   * learn takes an answer that is over now, and gives the rate in bytes a second.
   * @param {number} now
   * @param {import("./input.js").Input} input
   */
  learn(now, input) {
    const took = Math.max(input.took, Math.trunc(input.within / burst), minTook);
    const common = this.known ? Math.max(0, this.until - (now - took)) : 0;
    if (common === 0 || this.span >= stretch) {
      this.bytes = fade * (this.bytes + this.now);
      this.took = fade * (this.took + seconds(this.span));
      this.now = this.span = 0;
    }
    this.known = true;
    this.until = now;
    this.now += input.bytes;
    this.span += took - Math.trunc(common / 2);
    return (this.bytes + this.now) / (this.took + seconds(this.span));
  }
}

/**
 * learnOrigin takes an answer of the origin into the estimates: the first as it is. The deviation is how much later than
 * expected the end came; it grows at once and fades slowly (compare RFC 6298).
 * @param {Engine} e
 * @param {number} now
 * @param {import("./input.js").Input} input
 */
export function learnOrigin(e, now, input) {
  const { bytes, within, took } = input;
  if (bytes < minAnswer) return;
  const all = within + took, wait = Math.min(within, maxLate);
  const late = Math.min(Math.max(0, all - originTime(e, bytes)), maxLate);
  if (!e.measure.known) {
    e.originDev = Math.min(Math.trunc(all / 4), maxLate);
    if (wait > 0) e.originDelay = wait;
  } else {
    e.originDev += Math.trunc((late - e.originDev) / (late > e.originDev ? 2 : 8));
    if (wait > 0) e.originDelay += Math.trunc((wait - e.originDelay) / 8);
  }
  e.originRate = e.measure.learn(now, input);
  if (now < e.scarceUntil && e.originWait === 0 && originTime(e, e.usual) < scarceTime) e.scarceUntil = 0;
}

/** originTime is how long the origin needs for bytes, from what was measured. @param {Engine} e @param {number} bytes */
export const originTime = (e, bytes) => e.originDelay + Math.trunc((bytes / e.originRate) * Second);

/** crowded reports that the origin may have too little for all: the edge says so, or they are many. @param {Engine} e */
export const crowded = (e) => e.originWait > 0 || e.swarmSize >= crowd;

/** scarce reports that the origin is taken for one that cannot serve all who ask. @param {{scarceUntil: number}} e @param {number} now */
export const scarce = (e, now) => now < e.scarceUntil;
