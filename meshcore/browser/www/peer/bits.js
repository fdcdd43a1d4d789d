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

/** PCG is rand.NewPCG of math/rand/v2: PCG-DXSM. */
export class PCG {
  /** @param {bigint} hi @param {bigint} lo */
  constructor(hi, lo) {
    this.state = (u64(hi) << 64n) | u64(lo);
  }

  uint64() {
    this.state = BigInt.asUintN(128, this.state * 0x2360ed051fc65da44385df649fccf645n + 0x5851f42d4c957f2d14057b7ef767814fn);
    let hi = this.state >> 64n;
    const lo = u64(this.state);
    hi ^= hi >> 32n;
    hi = u64(hi * 0xda942042e4dd58b5n);
    hi ^= hi >> 48n;
    return u64(hi * (lo | 1n));
  }

  /** int64N is a number from 0 to n-1, as Rand.Int64N draws it. @param {number} n */
  int64N(n) {
    const b = BigInt(n);
    if ((b & (b - 1n)) === 0n) return Number(this.uint64() & (b - 1n));
    let x = this.uint64() * b;
    if (u64(x) < b) {
      const threshold = u64(-b) % b;
      while (u64(x) < threshold) x = this.uint64() * b;
    }
    return Number(x >> 64n);
  }
}
