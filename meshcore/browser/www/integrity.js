// Segment ids, chunks and digests, as package meshcore/integrity has them. Hashing is WebCrypto's, so it is awaited.

import { MaxChunk, MaxChunks } from "./wire.js";

export const MinChunkSize = 16 << 10; // bytes
export const TargetChunks = 32;
export const MaxSegment = TargetChunks * MaxChunk; // bytes
export const HashSize = 32;

const utf8 = new TextEncoder();

/** @param {Uint8Array} b @returns {Promise<Uint8Array>} */
export const sha256 = async (b) => new Uint8Array(await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (b)));

/** @param {Uint8Array} b */
export function hex(b) {
  let s = "";
  for (const x of b) s += (x < 16 ? "0" : "") + x.toString(16);
  return s;
}

/**
 * id is the id that peers use for a segment: the first eight bytes of the SHA-256 of its name (see nameOf), or of
 * "name@offset+length" for a byte range (length > 0).
 * @param {string} name
 * @param {number} [offset]
 * @param {number} [length]
 * @returns {Promise<string>} 16 hexadecimal digits
 */
export async function id(name, offset = 0, length = 0) {
  const sum = await sha256(utf8.encode(length > 0 ? `${name}@${offset}+${length}` : name));
  return hex(sum.subarray(0, 8));
}

/** chunkSize is the chunk size an edge chooses for a segment of size bytes. @param {number} size */
export function chunkSize(size) {
  let c = MinChunkSize;
  while (c < MaxChunk && c * TargetChunks < size) c *= 2;
  return c;
}

/** Layout is how a segment is divided. */
export class Layout {
  /**
   * It throws where size and chunkSize do not give 1 to 64 chunks of allowed size.
   * @param {number} size bytes in the segment
   * @param {number} chunkSize bytes in each chunk but the last
   */
  constructor(size, chunkSize) {
    if (!(size > 0 && chunkSize > 0 && chunkSize <= MaxChunk && size <= chunkSize * MaxChunks)) {
      throw new Error("segment size cannot be shared");
    }
    this.size = size;
    this.chunkSize = chunkSize;
  }

  /** chunks is the number of chunks, 1 to 64. */
  chunks() { return Math.ceil(this.size / this.chunkSize); }

  /** range gives the first byte of chunk i and the byte after its last. @param {number} i @returns {[number, number]} */
  range(i) {
    const from = i * this.chunkSize;
    return [from, Math.min(from + this.chunkSize, this.size)];
  }

  /** verify says whether hashes has one hash a chunk and the root. @param {Uint8Array} hashes @param {Uint8Array} root */
  async verify(hashes, root) {
    return hashes.length === HashSize * this.chunks() && equal(await sha256(hashes), root);
  }

  /** check says whether data is chunk i. @param {Uint8Array} hashes @param {number} i @param {Uint8Array} data */
  async check(hashes, i, data) {
    if (i < 0 || i >= this.chunks()) return false;
    const [from, to] = this.range(i);
    return data.length === to - from && equal(await sha256(data), hashes.subarray(i * HashSize, (i + 1) * HashSize));
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
