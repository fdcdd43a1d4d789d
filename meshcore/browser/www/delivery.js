// Paced delivery: a player takes the speed at which bytes reach it for what it can count on. Bytes that lie here already
// come at the rate that was measured of the origin, never much below what playing needs. The last comes when it would have
// come from there, so that a small segment looks no faster than a large one.

const STEP = 10; // ms, the shortest pause
const LATE = 100; // ms, the longest delay that is made up for

/** slice is how many bytes come at once: those of 20 ms. @param {number} rate bytes/s */
const slice = (rate) => Math.ceil(Math.min(64 << 10, Math.max(2 << 10, rate / 50)));

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * paced passes pieces on at a rate.
 * @param {AsyncIterable<Uint8Array>} pieces
 * @param {() => number} rate bytes/s
 */
export async function* paced(pieces, rate) {
  let at = performance.now(); // when what was passed on would have come at that rate
  for await (const piece of pieces) {
    for (let i = 0; i < piece.length; ) {
      const now = performance.now(), r = rate();
      const cut = piece.subarray(i, i + slice(r));
      i += cut.length;
      at = Math.max(at, now - LATE) + (cut.length / r) * 1000;
      if (at - now >= STEP && !hidden()) await pause(at - now); // timers of a hidden page are slow
      yield cut;
    }
  }
}

/** paceOut waits as long as a rate asks for bytes that come at once. @param {number} bytes @param {number} took ms that have passed @param {number} rate bytes/s */
export async function paceOut(bytes, took, rate) {
  const wait = (bytes / rate) * 1000 - took;
  if (wait >= STEP && !hidden()) await pause(wait);
}

const hidden = () => typeof document !== "undefined" && document.hidden;
