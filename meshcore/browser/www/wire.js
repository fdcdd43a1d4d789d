// The peer protocol, as package meshcore/wire has it: its documentation has the table of messages.
//
// Ids are strings of 16 hexadecimal digits, as in JSON; masks are BigInt; bytes are Uint8Array.

export const Version = 2;
export const MaxMessage = 16 << 10; // bytes in one message
export const MaxChunks = 64; // chunks in a segment
export const MaxHaves = 512; // segments in one have
export const MaxToken = 2 << 10; // bytes in a pass or a segment token
export const MaxChunk = 4 << 20; // bytes in a chunk
const haveSize = 8 + 1 + 8 + 4;
const chunkHeader = 1 + 8 + 1 + 4 + 4;
const signatureSize = 64;
export const MaxFragment = MaxMessage - chunkHeader - signatureSize; // bytes of a chunk that fit one message

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
 * @property {number} [root] first four bytes of the root of its statement, 0 if not known
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
 * @property {number} [root] request
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
 * @property {Uint8Array} [signature] chunk, in the first fragment
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

/** Cursor is a place in the bytes of a message. */
class Cursor {
  /** @param {Uint8Array} b */
  constructor(b) {
    this.b = b;
    this.v = new DataView(b.buffer, b.byteOffset, b.length);
    this.n = 0;
  }
  left() { return this.b.length - this.n; }
  /** take passes k bytes and returns where they begin. @param {number} k */
  take(k) {
    if (this.left() < k) throw new WireError("short");
    this.n += k;
    return this.n - k;
  }
  /** @param {number} k */
  bytes(k) {
    const at = this.take(k);
    return this.b.subarray(at, at + k);
  }
}

/**
 * A kind of field: how it is written, and how it is read.
 * @typedef {[(c: Cursor, x: any, m?: any) => void, (c: Cursor, m?: any) => any]} Kind
 */

/** @type {Kind} */ const u8 = [(c, x) => { c.b[c.take(1)] = x; }, (c) => c.b[c.take(1)]];
/** @type {Kind} */ const u16 = [(c, x) => c.v.setUint16(c.take(2), x), (c) => c.v.getUint16(c.take(2))];
/** @type {Kind} */ const u32 = [(c, x) => c.v.setUint32(c.take(4), x), (c) => c.v.getUint32(c.take(4))];
/** @type {Kind} */ const u64 = [(c, x) => c.v.setBigUint64(c.take(8), x), (c) => c.v.getBigUint64(c.take(8))];
/** @type {Kind} */ const id = [(c, x) => u64[0](c, BigInt("0x" + x)), (c) => u64[1](c).toString(16).padStart(16, "0")];
/** @type {Kind} */ const rest = [(c, x) => c.b.set(x, c.take(x.length)), (c) => c.bytes(c.left())];
/** @type {Kind} */ const version = [u8[0], (c) => {
  if (u8[1](c) !== Version) throw new WireError("version");
  return Version;
}];
/** @type {Kind} */ const token = [(c, x) => {
  if (x.length > MaxToken) throw new WireError("too_large");
  u16[0](c, x.length);
  for (let i = 0; i < x.length; i++) u8[0](c, x.charCodeAt(i));
}, (c) => {
  const k = u16[1](c);
  if (k > MaxToken) throw new WireError("too_large");
  return ascii.decode(c.bytes(k));
}];
/** @type {Kind} */ const hashes = [(c, x) => {
  const n = x.length / 32;
  if (!n || n % 1 || n > MaxChunks) throw new WireError("value");
  u8[0](c, n);
  rest[0](c, x);
}, (c) => {
  const n = u8[1](c);
  if (!n || n > MaxChunks) throw new WireError("value");
  return c.bytes(32 * n).slice();
}];
/** @type {Kind} */ const haves = [(c, x) => {
  if (x.length > MaxHaves) throw new WireError("value");
  u16[0](c, x.length);
  for (const h of x) put(c, have, valid(validHave, h));
}, (c) => {
  const n = u16[1](c);
  if (n > MaxHaves) throw new WireError("value");
  if (c.left() < n * haveSize) throw new WireError("short");
  return Array.from({ length: n }, () => valid(validHave, get(c, have, {})));
}];

/** @type {Kind} in the first fragment */ const signature = [(c, x, m) => m.offset || rest[0](c, x), (c, m) => (m.offset ? undefined : c.bytes(signatureSize).slice())];

const have = { segment: id, chunks: u8, mask: u64, root: u32 };

/** The fields of each message after its type, in order. @type {Record<number, Record<string, Kind>>} */
const messages = {
  [Hello]: { version, flags: u8, peer: id, rendition: id, token },
  [Status]: { flags: u8, rendition: id },
  [Have]: { haves },
  [Request]: { segment: id, mask: u64, flags: u8, within: u32, root: u32 },
  [Cancel]: { segment: id, mask: u64 },
  [Reject]: { segment: id, mask: u64, reason: u8, retry: u32 },
  [Proof]: { segment: id, token, hashes },
  [Chunk]: { segment: id, index: u8, total: u32, offset: u32, signature, data: rest },
  [Ping]: { nonce: u32 },
  [Pong]: { nonce: u32 },
  [Bye]: { reason: u8 },
};

/** @param {Cursor} c @param {Record<string, Kind>} fields @param {any} from */
function put(c, fields, from) {
  for (const name in fields) fields[name][0](c, from[name] ?? 0, from);
}

/** @param {Cursor} c @param {Record<string, Kind>} fields @param {any} into */
function get(c, fields, into) {
  for (const name in fields) into[name] = fields[name][1](c, into);
  return into;
}

/** valid gives x, or throws. @template T @param {(x: T) => boolean} check @param {T} x */
function valid(check, x) {
  if (!check(x)) throw new WireError("value");
  return x;
}

/** @param {number} type */
function fieldsOf(type) {
  const fields = messages[type];
  if (!fields) throw new WireError("type");
  return fields;
}

/**
 * encode gives the bytes of m. It throws if m breaks a limit of the protocol, which is a fault of the caller and never
 * of a peer.
 * @param {Message} m
 * @returns {Uint8Array}
 */
export function encode(m) {
  const c = new Cursor(new Uint8Array(128 + (m.token?.length ?? 0) + (m.hashes?.length ?? 0) + (m.data?.length ?? 0) + haveSize * (m.haves?.length ?? 0)));
  u8[0](c, m.type);
  if (m.type === Chunk) valid(validFragment, m);
  put(c, fieldsOf(m.type), m);
  if (c.n > MaxMessage) throw new WireError("too_large");
  return c.b.subarray(0, c.n);
}

/**
 * fragments gives the encoding of each message that carries a chunk.
 * @param {string} segment
 * @param {number} index
 * @param {Uint8Array} data
 * @param {Uint8Array} signature
 */
export function* fragments(segment, index, data, signature) {
  for (let offset = 0; offset < data.length; offset += MaxFragment) {
    yield encode({ type: Chunk, segment, index, total: data.length, offset, data: data.subarray(offset, offset + MaxFragment), signature });
  }
}

/**
 * decode reads one message. data of the result shares memory with b; the other fields are copies. It throws WireError.
 * @param {Uint8Array} b
 * @returns {Message}
 */
export function decode(b) {
  if (b.length > MaxMessage) throw new WireError("too_large");
  const c = new Cursor(b);
  const type = u8[1](c);
  const m = get(c, fieldsOf(type), { type });
  if (type === Chunk) valid(validFragment, m);
  if (c.left()) throw new WireError("trailing");
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
    const whole = { ...this.first, data: this.data };
    this.data = this.first = null;
    this.n = 0;
    return whole;
  }
}
