// Segments from the origin: whole or chunk by chunk, checked against what the edge vouches for where it does; and the
// bytes that pass from the origin to the player anyhow.

import { Layout } from "./integrity.js";
import { get as steady, stoppable } from "./steady.js";

export const MARK = "#mesh"; // at the end of a URL: the service worker lets it pass
const RUNS = 4; // range requests of one fetch at once
const STATEMENT = 5000; // ms for a statement
const PAUSES = [50, 150, 400]; // ms before asking for a statement, which the edge knows when the bytes have gone through

/**
 * @typedef {import("./store.js").Entry} Entry
 * @typedef {import("./store.js").Proof} Proof
 * @typedef {{token: string, hashes: Uint8Array}} Statement
 * @typedef {{status: number, headers: Headers, body: AsyncIterable<Uint8Array>}} Answer
 *
 * @typedef {object} Job what to fetch, and whom to tell
 * @property {string} url
 * @property {number} offset
 * @property {number} length 0 for all of the resource
 * @property {Entry} entry
 * @property {import("./session.js").Carried} requests
 * @property {string} statements URL to ask for a statement, "" for none
 * @property {Promise<boolean>|null} listed resolves once the edge can vouch for what was hinted at; false if it never will
 * @property {(s: Statement) => Promise<Proof|null>} verify
 * @property {(i: number, bytes: number) => void} chunk a chunk is stored
 * @property {(proof: Proof) => void} prove
 * @property {Timing} timing
 * @property {() => void} over the bytes are all here
 *
 * @typedef {{ok: boolean, bytes: number, mismatch?: boolean, open?: boolean}} Result bytes came that were not given as chunks;
 *   mismatch: a chunk is not what the edge signed for; open: the edge may yet vouch for it (vouch)
 */

/** Timing is how long the answers to one request took, in ms, from the first head to the last byte. */
export class Timing {
  asked = performance.now();
  began = 0; // when the first head came
  ended = 0; // when the last byte came
  bytes = 0;

  /** head notes a head. @param {number} [after] ms after it was asked for; now unless given */
  head(after = performance.now() - this.asked) {
    this.began ||= this.ended = this.asked + after;
  }

  /** add notes bytes. @param {number} bytes @param {number} [after] likewise */
  add(bytes, after = performance.now() - this.asked) {
    this.bytes += bytes;
    this.ended = this.asked + after;
  }
}

/** get asks for bytes of a segment. @param {Job} job @param {number} from @param {number} to exclusive, 0 for no range @param {AbortSignal} signal */
const get = (job, from, to, signal) => steady({
  url: job.url + MARK, init: job.requests, from, to, held: !!job.listed, came: (n) => (n ? job.timing.add(n) : job.timing.head()),
}, signal);

/** @param {Headers} h @returns {Statement|null} */
function statementOf(h) {
  const token = h.get("Mesh-Segment"), digests = h.get("Mesh-Digests");
  const m = /^:([A-Za-z0-9+/=]+):$/.exec(digests ?? ""); // RFC 9651, section 3.3.5
  return token && m ? { token, hashes: decode64(m[1]) } : null;
}

/** @param {string} s */
const decode64 = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));

/** @param {string|null} s Content-Range @returns {[number, number, number]|null} first, last, size; NaN for one that still grows */
function contentRange(s) {
  const m = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(s ?? "");
  return m && [Number(m[1]), Number(m[2]), Number(m[3])];
}

/** ask asks the edge for the statement about a segment, by its URL as it is fetched: the viewer token may be in it. @param {Job} job @param {AbortSignal} signal @returns {Promise<Statement|null>} */
async function ask(job, signal) {
  const u = new URL(job.statements), of = new URL(job.url);
  u.searchParams.set("path", of.pathname + of.search);
  if (job.length) {
    u.searchParams.set("offset", String(job.offset));
    u.searchParams.set("length", String(job.length));
  }
  for (const wait of job.listed ? [0, ...PAUSES] : PAUSES) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const stop = stoppable(signal), timer = setTimeout(() => stop.abort(), STATEMENT);
    const r = await fetch(u.href + MARK, { ...job.requests, signal: stop.signal }).finally(() => clearTimeout(timer));
    if (!r.ok) return null;
    const { token, hashes, code } = await r.json();
    if (token) return { token, hashes: decode64(hashes) };
    if (code !== "not_known") return null;
  }
  return null;
}

/**
 * take reads an answer that carries the whole segment into the store.
 * @param {Job} job
 * @param {Answer} answer
 * @returns {Promise<Result>}
 */
export async function take(job, answer) {
  let { entry } = job;
  /** @type {Result} */
  const res = { ok: false, bytes: 0 };
  const size = wholeSize(job, answer);
  if (size === null) return res;
  entry.type ||= answer.headers.get("Content-Type") ?? "";
  const s = entry.disowned ? null : statementOf(answer.headers);
  if (s && s.token !== entry.proof?.token) {
    const proof = await job.verify(s);
    if (proof?.layout.size === size) job.prove(proof);
    entry = job.entry;
  }
  const proof = entry.disowned ? null : entry.proof;
  if (proof && proof.layout.size === size) {
    await takeChunks(job, proof, 0, proof.layout.chunks() - 1, answer.body, res);
    // The origin's bytes are what the player gets, whatever was signed.
    if (res.mismatch && entry.rawBytes === size) {
      entry.finishRaw();
      res.ok = true;
    }
    return res;
  }
  if (proof) entry.disowned = true;
  entry.startRaw(size);
  for await (const piece of answer.body) {
    entry.addRaw(piece);
    res.bytes += piece.length;
  }
  if (size > 0 && res.bytes !== size) return res;
  entry.finishRaw();
  res.ok = true;
  res.open = answer.headers.get("Mesh-Digests") !== "?0" && !proof && !entry.disowned;
  return res;
}

/**
 * vouch asks the edge about a segment that came whole, and makes chunks of it if the edge vouches for its bytes.
 * @param {Job} job
 * @param {Result} res that of take
 * @param {AbortSignal} signal
 * @returns {Promise<Result>}
 */
export async function vouch(job, res, signal) {
  const { entry } = job;
  if (!res.open || !job.statements || (job.listed && !(await job.listed))) return res;
  try {
    const s = await ask(job, signal);
    const proof = s && (await job.verify(s));
    if (proof?.layout.size === res.bytes && (await matches(entry, proof))) {
      job.prove(proof);
      if (job.entry.proof !== proof) return res; // neighbors have shown a newer one
      entry.adopt();
      for (let i = 0; i < proof.layout.chunks(); i++) job.chunk(i, entry.chunks[i].length);
      res.bytes = 0;
    }
  } catch {
    // It is played all the same, and not shared.
  }
  return res;
}

/** wholeSize gives the size of the segment if the answer carries all of it, 0 if it does not say, else null. @param {Job} job @param {Answer} a */
function wholeSize(job, a) {
  const n = Number(a.headers.get("Content-Length") ?? 0);
  if (a.status === 200) return job.length ? null : n;
  if (a.status !== 206) return null;
  const r = contentRange(a.headers.get("Content-Range"));
  if (!r || r[0] !== job.offset) return null;
  const length = r[1] - r[0] + 1;
  return length === (job.length || r[2]) ? length : null;
}

/** @param {Entry} entry @param {Proof} proof */
async function matches(entry, proof) {
  const all = new Uint8Array(await new Blob(/** @type {BlobPart[]} */ (entry.raw)).arrayBuffer());
  for (let i = 0; i < proof.layout.chunks(); i++) {
    if (!(await proof.layout.check(proof.hashes, i, all.subarray(...proof.layout.range(i))))) return false;
  }
  return true;
}

/**
 * takeChunks reads the chunks from first to last. One that does not match ends it; if they were to be all, the segment is
 * disowned, and what comes is raw.
 * @param {Job} job
 * @param {Proof} proof
 * @param {number} first
 * @param {number} last
 * @param {AsyncIterable<Uint8Array>} body
 * @param {Result} res
 */
async function takeChunks(job, proof, first, last, body, res) {
  const { layout, hashes } = proof;
  let i = first, n = 0;
  let chunk = room(layout, i);
  /** @param {Uint8Array} bytes */
  const raw = (bytes) => {
    job.entry.addRaw(bytes);
    res.bytes += bytes.length;
  };
  for await (let piece of body) {
    if (res.mismatch) {
      raw(piece);
      continue;
    }
    while (piece.length && i <= last) {
      const part = piece.subarray(0, chunk.length - n);
      chunk.set(part, n);
      n += part.length;
      piece = piece.subarray(part.length);
      if (n < chunk.length) continue;
      if (!(await layout.check(hashes, i, chunk))) {
        res.mismatch = true;
        if (last - first + 1 < layout.chunks()) return (res.bytes += n), res;
        job.entry.disown(i);
        raw(chunk);
        raw(piece);
        n = 0;
        break;
      }
      job.entry.put(i, chunk);
      job.chunk(i, n);
      i++;
      n = 0;
      if (i <= last) chunk = room(layout, i);
    }
    if (i > last) break;
  }
  res.bytes += n;
  res.ok = i > last;
  return res;
}

/** @param {Layout} layout @param {number} i */
function room(layout, i) {
  const [from, to] = layout.range(i);
  return new Uint8Array(to - from);
}

/**
 * fetchWhole fetches all of a segment.
 * @param {Job} job
 * @param {AbortSignal} signal
 * @returns {Promise<Result>}
 */
export async function fetchWhole(job, signal) {
  const res = await take(job, await get(job, job.offset, job.length && job.offset + job.length, signal));
  job.over();
  return vouch(job, res, signal);
}

/**
 * fetchChunks fetches chunks of a segment with a proof, in runs that lie together, several at once.
 * @param {Job} job
 * @param {bigint} mask
 * @param {AbortSignal} signal
 * @returns {Promise<Result>}
 */
export async function fetchChunks(job, mask, signal) {
  const { proof } = job.entry;
  /** @type {[number, number][]} */
  const runs = [];
  for (let i = 0; i < proof.layout.chunks(); i++) {
    if (!((mask >> BigInt(i)) & 1n)) continue;
    if (runs.length && runs.at(-1)[1] === i - 1) runs.at(-1)[1] = i;
    else runs.push([i, i]);
  }
  /** @type {Result} */
  const res = { ok: true, bytes: 0 };
  const work = async () => {
    for (let run = runs.shift(); run; run = runs.shift()) {
      /** @type {Result} */
      const one = { ok: false, bytes: 0 };
      try {
        const from = job.offset + proof.layout.range(run[0])[0], to = job.offset + proof.layout.range(run[1])[1];
        const a = await get(job, from, to, signal);
        const r = contentRange(a.headers.get("Content-Range"));
        job.entry.type ||= a.headers.get("Content-Type") ?? "";
        if (a.status === 206 && r?.[0] === from) await takeChunks(job, proof, ...run, a.body, one);
        else if (a.status === 200 && from === 0) await takeChunks(job, proof, ...run, a.body, one);
      } catch {
        // one is not ok
      }
      res.ok &&= one.ok;
      res.mismatch ||= one.mismatch;
      res.bytes += one.bytes;
    }
  };
  await Promise.all(Array.from({ length: Math.min(RUNS, runs.length) }, work));
  return res;
}

/** Pipe is an answer of the origin that passes to the player, as the worker shows it to the page. */
export class Pipe {
  /** @param {(answer: Answer) => Promise<void>} taken is called when the header has come @param {() => void} ended without one */
  constructor(taken, ended) {
    this.taken = taken;
    this.ended = ended;
    /** @type {(Uint8Array|null)[]} */
    this.queue = [];
    this.begun = false;
    this.ok = true;
    this.timing = new Timing();
  }

  /** @param {number} status @param {Headers} headers @param {number} [after] ms after the request; now unless given */
  begin(status, headers, after) {
    this.begun = true;
    this.timing.head(after);
    this.taken({ status, headers, body: this.#body() });
  }

  /** @param {Uint8Array} data @param {number} [after] likewise */
  push(data, after) {
    this.timing.add(data.length, after);
    this.queue.push(data);
    this.wake?.();
  }

  /** @param {boolean} ok */
  end(ok) {
    if (!this.begun) return this.ended();
    this.ok = ok;
    this.queue.push(null);
    this.wake?.();
  }

  /**
   * whole is an answer that came at once.
   * @param {number} status
   * @param {Headers} headers
   * @param {ArrayBuffer} data stays the player's
   * @param {number} [wait] ms until its head came, if that is known
   */
  whole(status, headers, data, wait = 0) {
    this.timing.began = this.timing.asked + wait;
    this.begin(status, headers);
    this.push(new Uint8Array(data.slice(0)));
    this.end(true);
  }

  async *#body() {
    for (;;) {
      while (!this.queue.length) await new Promise((/** @type {(x?: unknown) => void} */ resolve) => (this.wake = resolve));
      const piece = this.queue.shift();
      if (piece) yield piece;
      else if (this.ok) return;
      else throw new Error("the answer broke off");
    }
  }
}
