// When to look for what a live playlist lists next. A player reloads at a beat of its own, up to the length of a segment
// after there is something new; whoever is to fetch that for others must not be so late. Times are nanoseconds of one clock.

import { Second } from "./playlist.js";

const STEP = 0.3 * Second; // between two looks

export class Lookout {
  end = -Infinity; // where the playlist ends on its timeline
  length = 0; // of its last segment
  lag = 0; // the clock, when an end is listed first, less that end
  exact = false; // lag was right to about a step once; before, it is the least that was seen
  loadedAt = -Infinity; // when the last answer came
  looking = false; // one is awaited

  /** looks notes that a look begins; without an answer there is no other before the player has got one. */
  looks() {
    this.looking = true;
  }

  /**
   * loaded takes an answer, the player's or that to a look.
   * @param {number} now
   * @param {number} end where the playlist ends
   * @param {number} length of its last segment
   */
  loaded(now, end, length) {
    const lag = now - end, exact = now - this.loadedAt < 2 * STEP;
    if (end > this.end && (exact || !this.exact || lag < this.lag)) {
      this.lag = lag;
      this.exact ||= exact;
    }
    this.end = end;
    this.length = length;
    this.loadedAt = now;
    this.looking = false;
  }

  /**
   * next is when to look for the next segment: one step before it is expected, so as to learn when it came, and then step by
   * step, with growing ones when it is overdue.
   */
  next() {
    if (this.looking) return Infinity;
    const due = this.end + this.length + this.lag;
    const again = this.loadedAt + Math.max(STEP, (this.loadedAt - due) / 4);
    return this.exact ? Math.max(due - STEP, again) : again;
  }
}
