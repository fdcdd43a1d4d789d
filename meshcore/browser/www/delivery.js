// Paced delivery: a player takes the speed at which bytes reach it for what it can count on. Bytes that lie here already
// come at the rate that was measured of the origin, never much below what playing needs.

const STEP = 10; // ms, the shortest pause

/**
 * burst is how many bytes may come at once: those of a tenth of a second, so that small segments do not look faster than
 * they are, and no more than 64 KiB.
 * @param {number} rate bytes/s
 */
const burst = (rate) => Math.ceil(Math.min(64 << 10, Math.max(4 << 10, rate / 10)));

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
      const now = performance.now();
      const r = rate();
      at = Math.max(at, now - (burst(r) / r) * 1000);
      if (at - now >= STEP && !hidden()) await pause(at - now); // timers of a hidden page are slow
      const cut = piece.subarray(i, i + burst(r));
      i += cut.length;
      at += (cut.length / r) * 1000;
      yield cut;
    }
  }
}

/** paceOut waits as long as a rate asks for bytes that come at once. @param {number} bytes @param {number} took ms that have passed @param {number} rate bytes/s */
export async function paceOut(bytes, took, rate) {
  const wait = ((bytes - burst(rate)) / rate) * 1000 - took;
  if (wait >= STEP && !hidden()) await pause(wait);
}

const hidden = () => typeof document !== "undefined" && document.hidden;
