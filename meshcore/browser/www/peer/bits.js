// 64-bit arithmetic as Go's math/bits and math/rand/v2 have it, on BigInt, and durations.

/** @param {bigint} x */
export const u64 = (x) => BigInt.asUintN(64, x);

/** Bits by index. */
export const bit = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i));
export const full = (1n << 64n) - 1n;

/** trailingZeros is the index of the lowest bit. @param {bigint} x not 0 */
export function trailingZeros(x) {
  const low = Number(x & 0xffffffffn);
  if (low) return 31 - Math.clz32(low & -low);
  const high = Number(x >> 32n);
  return 63 - Math.clz32(high & -high);
}

/** onesCount is the number of bits that are set. @param {bigint} x */
export const onesCount = (x) => ones32(Number(x & 0xffffffffn)) + ones32(Number(x >> 32n));

/** @param {number} v */
function ones32(v) {
  v -= (v >>> 1) & 0x55555555;
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** seconds of a duration in ns, as time.Duration.Seconds rounds it. @param {number} d */
export const seconds = (d) => Math.trunc(d / 1e9) + (d % 1e9) / 1e9;

/**
 * draw is a number that is fixed for a peer and x and unlike that of other peers (SplitMix64, Steele et al. 2014).
 * @param {string} peer
 * @param {bigint} x
 */
export function draw(peer, x) {
  let z = u64(x) ^ u64(BigInt("0x" + peer) * 0x9e3779b97f4a7c15n);
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** same says whether two roots may be of one statement; 0 is not known. @param {number} a @param {number} b */
export const same = (a, b) => a === b || !a || !b;
