// The answer to a player's request for a segment, from what is stored and still coming.

import { paced, paceOut } from "./delivery.js";

/**
 * Answer is what the mesh gives: the head of an HTTP response once the size is known, and the bytes as a stream, or all of
 * the segment as a blob.
 * @typedef {{head: Promise<{status: number, headers: [string, string][], from: number, length: number}>, body: () => AsyncIterable<Uint8Array>, blob: () => Promise<Blob>}} Answer
 * @typedef {import("./presentation.js").Record} Record
 */

/**
 * Range is what a Range header asks for; last is -1 for the end.
 * @typedef {{first: number, last: number}} Range
 */

/** parseRange reads a Range header of one range; null where it is of another kind. @param {string} header @returns {Range|null} */
export function parseRange(header) {
  const m = /^bytes=(\d+)-(\d*)$/.exec(header);
  return m && { first: Number(m[1]), last: m[2] ? Number(m[2]) : -1 };
}

/**
 * answer gives a segment as it is stored.
 * @param {Record} r
 * @param {import("./store.js").Entry} entry
 * @param {Range|null} range
 * @param {AbortSignal} signal
 * @param {() => number} pace bytes/s
 * @param {() => void} done the player has all of it
 * @returns {Answer}
 */
export function answer(r, entry, range, signal, pace, done) {
  const base = r.length ? r.offset : 0; // of the store's bytes in the resource
  let from = 0, to = 0; // of the store's bytes
  const type = () => entry.type || typeOf(r.key);
  const head = entry.known(signal).then((size) => {
    if (!r.length && range) from = range.first;
    to = r.length || !range || range.last < 0 ? size : Math.min(size, range.last + 1);
    if (from >= to) throw new Error("range is not satisfiable");
    /** @type {[string, string][]} */
    const headers = [["Content-Type", type()], ["Content-Length", String(to - from)], ["Accept-Ranges", "bytes"]];
    if (range) headers.push(["Content-Range", `bytes ${base + from}-${base + to - 1}/${r.length ? "*" : size}`]);
    return { status: range ? 206 : 200, headers, from: base + from, length: to - from };
  });
  head.catch(() => {});
  return {
    head,
    body: async function* () {
      yield* paced(entry.read(from, to, signal), pace);
      done();
    },
    // The whole segment at once, whatever the range: whoever fetches the blob asks for a part of it.
    blob: async () => {
      const begun = performance.now(), parts = [];
      for await (const piece of entry.read(0, entry.size, signal)) parts.push(piece);
      await paceOut(entry.size, performance.now() - begun, pace());
      done();
      return new Blob(/** @type {BlobPart[]} */ (parts), { type: type() });
    },
  };
}

/** typeOf guesses a Content-Type. @param {string} url */
function typeOf(url) {
  const ext = /\.(\w+)$/.exec(new URL(url).pathname)?.[1].toLowerCase() ?? "";
  const types = { ts: "video/mp2t", aac: "audio/aac", mp3: "audio/mpeg", vtt: "text/vtt", m4a: "audio/mp4", cmfa: "audio/mp4" };
  return types[/** @type {keyof typeof types} */ (ext)] ?? "video/mp4";
}
