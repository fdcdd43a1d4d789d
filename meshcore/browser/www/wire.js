// The peer protocol, as package meshcore/wire has it: its documentation has the table of messages.
//
// Ids are strings of 16 hexadecimal digits, as in JSON; masks are BigInt; bytes are Uint8Array.

export const Version = 1;
export const MaxMessage = 16 << 10; // bytes in one message
export const MaxChunks = 64; // chunks in a segment
export const MaxHaves = 512; // segments in one have
export const MaxToken = 2 << 10; // bytes in a pass or a segment token
export const MaxChunk = 4 << 20; // bytes in a chunk
const chunkHeader = 1 + 8 + 1 + 4 + 4;
export const MaxFragment = MaxMessage - chunkHeader; // bytes of a chunk that fit one message

export const Hello = 1, Status = 2, Have = 3, Request = 4, Cancel = 5, Reject = 6, Proof = 7, Chunk = 8, Ping = 9, Pong = 10, Bye = 11;

export const FlagNoUpload = 1; // hello, status
export const FlagProof = 1; // request

export const RejectBusy = 1, RejectMissing = 2, RejectDenied = 3;
export const ByeLeaving = 1, ByeVersion = 2, ByePass = 3, ByeFault = 4, ByeSlow = 5, ByeFull = 6;

/**
 * @typedef {object} SegmentHave
 * @property {string} segment
 * @property {number} chunks number of chunks of the segment, 0 if not known
 * @property {bigint} mask
 */

/**
 * Message is one message. Which fields count follows from type.
 * @typedef {object} Message
 * @property {number} type
 * @property {number} [version] hello
 * @property {number} [flags] hello, status, request
 * @property {number} [reason] reject, bye
 * @property {number} [index] chunk
 * @property {number} [within] request, ms
 * @property {number} [retry] reject, ms
 * @property {number} [nonce] ping, pong
 * @property {number} [total] chunk
 * @property {number} [offset] chunk
 * @property {string} [peer] hello
 * @property {string} [rendition] hello, status
 * @property {string} [segment]
 * @property {bigint} [mask]
 * @property {SegmentHave[]} [haves]
 * @property {string} [token] hello: the pass; proof: the segment token
 * @property {Uint8Array} [hashes] proof, 32 bytes a chunk
 * @property {Uint8Array} [data] chunk
 */

/** WireError means that the connection must be closed; code is too_large, short, trailing, type, version or value. */
export class WireError extends Error {
  /** @param {string} code */
  constructor(code) {
    super("wire: " + code);
    this.code = code;
  }
}

/** All is the mask of n chunks. @param {number} n 0 to 64 */
export const All = (n) => (1n << BigInt(n)) - 1n;

const ascii = new TextDecoder("latin1");

class Writer {
  /** @param {number} size */
  constructor(size) {
    this.b = new Uint8Array(size);
    this.v = new DataView(this.b.buffer);
    this.n = 0;
  }
  /** @param {number} x */ u8(x) { this.b[this.n++] = x; }
  /** @param {number} x */ u16(x) { this.v.setUint16(this.n, x); this.n += 2; }
  /** @param {number} x */ u32(x) { this.v.setUint32(this.n, x); this.n += 4; }
  /** @param {bigint} x */ u64(x) { this.v.setBigUint64(this.n, x); this.n += 8; }
  /** @param {string} x */
  id(x) {
    this.u32(parseInt(x.slice(0, 8), 16));
    this.u32(parseInt(x.slice(8), 16));
  }
  /** @param {Uint8Array} x */ bytes(x) { this.b.set(x, this.n); this.n += x.length; }
  /** @param {string} s */
  token(s) {
    if (s.length > MaxToken) throw new WireError("too_large");
    this.u16(s.length);
    for (let i = 0; i < s.length; i++) this.u8(s.charCodeAt(i));
  }
}

/**
 * encode gives the bytes of m. It throws if m breaks a limit of the protocol, which is a fault of the caller and never
 * of a peer.
 * @param {Message} m
 * @returns {Uint8Array}
 */
export function encode(m) {
  const w = new Writer(64 + (m.token?.length ?? 0) + (m.hashes?.length ?? 0) + (m.data?.length ?? 0) + 17 * (m.haves?.length ?? 0));
  w.u8(m.type);
  switch (m.type) {
    case Hello:
      w.u8(m.version), w.u8(m.flags), w.id(m.peer), w.id(m.rendition), w.token(m.token);
      break;
    case Status:
      w.u8(m.flags), w.id(m.rendition);
      break;
    case Have:
      if (m.haves.length > MaxHaves) throw new WireError("value");
      w.u16(m.haves.length);
      for (const h of m.haves) {
        if (!validHave(h)) throw new WireError("value");
        w.id(h.segment), w.u8(h.chunks), w.u64(h.mask);
      }
      break;
    case Request:
      w.id(m.segment), w.u64(m.mask), w.u8(m.flags ?? 0), w.u32(m.within ?? 0);
      break;
    case Cancel:
      w.id(m.segment), w.u64(m.mask);
      break;
    case Reject:
      w.id(m.segment), w.u64(m.mask), w.u8(m.reason), w.u32(m.retry ?? 0);
      break;
    case Proof:
      if (!m.hashes.length || m.hashes.length % 32 || m.hashes.length > 32 * MaxChunks) throw new WireError("value");
      w.id(m.segment), w.token(m.token), w.u8(m.hashes.length / 32), w.bytes(m.hashes);
      break;
    case Chunk:
      if (!validFragment(m)) throw new WireError("value");
      w.id(m.segment), w.u8(m.index), w.u32(m.total), w.u32(m.offset), w.bytes(m.data);
      break;
    case Ping:
    case Pong:
      w.u32(m.nonce);
      break;
    case Bye:
      w.u8(m.reason);
      break;
    default:
      throw new WireError("type");
  }
  if (w.n > MaxMessage) throw new WireError("too_large");
  return w.b.subarray(0, w.n);
}

/**
 * fragments gives the encoding of each message that carries a chunk.
 * @param {string} segment
 * @param {number} index
 * @param {Uint8Array} data
 */
export function* fragments(segment, index, data) {
  for (let offset = 0; offset < data.length; offset += MaxFragment) {
    yield encode({ type: Chunk, segment, index, total: data.length, offset, data: data.subarray(offset, offset + MaxFragment) });
  }
}

class Reader {
  /** @param {Uint8Array} b */
  constructor(b) {
    this.b = b;
    this.v = new DataView(b.buffer, b.byteOffset, b.length);
    this.n = 0;
  }
  left() { return this.b.length - this.n; }
  /** @param {number} k */
  take(k) {
    if (this.left() < k) throw new WireError("short");
    this.n += k;
    return this.n - k;
  }
  u8() { return this.b[this.take(1)]; }
  u16() { return this.v.getUint16(this.take(2)); }
  u32() { return this.v.getUint32(this.take(4)); }
  u64() { return this.v.getBigUint64(this.take(8)); }
  id() { return hex32(this.u32()) + hex32(this.u32()); }
  /** @param {number} k */
  bytes(k) {
    const at = this.take(k);
    return this.b.subarray(at, at + k);
  }
  token() {
    const k = this.u16();
    if (k > MaxToken) throw new WireError("too_large");
    return ascii.decode(this.bytes(k));
  }
}

/** @param {number} x */
const hex32 = (x) => x.toString(16).padStart(8, "0");

/**
 * decode reads one message. data of the result shares memory with b; the other fields are copies. It throws WireError.
 * @param {Uint8Array} b
 * @returns {Message}
 */
export function decode(b) {
  if (b.length > MaxMessage) throw new WireError("too_large");
  const r = new Reader(b);
  const type = r.u8();
  /** @type {Message} */
  const m = { type };
  switch (type) {
    case Hello:
      m.version = r.u8();
      if (m.version !== Version) throw new WireError("version");
      m.flags = r.u8(), m.peer = r.id(), m.rendition = r.id(), m.token = r.token();
      break;
    case Status:
      m.flags = r.u8(), m.rendition = r.id();
      break;
    case Have: {
      const n = r.u16();
      if (n > MaxHaves) throw new WireError("value");
      if (r.left() < n * 17) throw new WireError("short");
      m.haves = [];
      for (let i = 0; i < n; i++) {
        const h = { segment: r.id(), chunks: r.u8(), mask: r.u64() };
        if (!validHave(h)) throw new WireError("value");
        m.haves.push(h);
      }
      break;
    }
    case Request:
      m.segment = r.id(), m.mask = r.u64(), m.flags = r.u8(), m.within = r.u32();
      break;
    case Cancel:
      m.segment = r.id(), m.mask = r.u64();
      break;
    case Reject:
      m.segment = r.id(), m.mask = r.u64(), m.reason = r.u8(), m.retry = r.u32();
      break;
    case Proof: {
      m.segment = r.id(), m.token = r.token();
      const n = r.u8();
      if (n === 0 || n > MaxChunks) throw new WireError("value");
      m.hashes = r.bytes(32 * n).slice();
      break;
    }
    case Chunk:
      m.segment = r.id(), m.index = r.u8(), m.total = r.u32(), m.offset = r.u32(), m.data = r.bytes(r.left());
      if (!validFragment(m)) throw new WireError("value");
      break;
    case Ping:
    case Pong:
      m.nonce = r.u32();
      break;
    case Bye:
      m.reason = r.u8();
      break;
    default:
      throw new WireError("type");
  }
  if (r.left()) throw new WireError("trailing");
  return m;
}

/** @param {SegmentHave} h */
const validHave = (h) => h.chunks <= MaxChunks && (h.chunks === 0 || h.mask >> BigInt(h.chunks) === 0n);

/** @param {Message} m */
const validFragment = (m) => m.index < MaxChunks && m.total <= MaxChunk && m.data.length > 0 && m.offset + m.data.length <= m.total;

/** Assembler puts the fragments of chunks together for one connection. It holds at most one chunk. */
export class Assembler {
  constructor() {
    /** @type {Uint8Array} */
    this.data = null;
    this.n = 0; // bytes of data that came
    /** @type {Message} */
    this.first = null;
  }

  /**
   * add takes a message of type Chunk, and gives one of the whole chunk when m is its last fragment, else null. It
   * throws WireError when fragments come out of order. Memory grows with what arrives, beyond the first 256 KiB.
   * @param {Message} m
   * @returns {Message|null}
   */
  add(m) {
    if (m.offset === 0) {
      if (this.n) throw new WireError("value");
      this.first = m;
      this.data = new Uint8Array(Math.min(m.total, 16 * MaxFragment));
    } else if (!this.first || m.segment !== this.first.segment || m.index !== this.first.index || m.total !== this.first.total || m.offset !== this.n) {
      throw new WireError("value");
    }
    const end = this.n + m.data.length;
    if (end > this.data.length) {
      const more = new Uint8Array(Math.min(m.total, Math.max(end, 2 * this.data.length)));
      more.set(this.data);
      this.data = more;
    }
    this.data.set(m.data, this.n);
    this.n = end;
    if (end < m.total) return null;
    const whole = { ...m, offset: 0, data: this.data };
    this.data = this.first = null;
    this.n = 0;
    return whole;
  }
}
