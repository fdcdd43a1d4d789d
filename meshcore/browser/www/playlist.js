// As much of HLS playlists (RFC 8216 and its second edition, draft-pantos-hls-rfc8216bis) as the mesh needs, and the
// timeline that their segments lie on. It reads line by line, and passes over tags that it does not know. Times are
// nanoseconds.

export const Second = 1e9;

/**
 * @typedef {object} Resource what one request fetches
 * @property {string} url without fragment
 * @property {number} offset
 * @property {number} length of the byte range, 0 for all
 *
 * @typedef {object} SegmentExtra
 * @property {number} sequence a part has that of its segment
 * @property {number} duration ns
 * @property {number|null} at when it was made (EXT-X-PROGRAM-DATE-TIME), ns since 1970
 * @property {boolean} gap the origin does not have it
 * @property {Resource|null} init
 * @property {Segment[]} [parts] that a player may load in its place (EXT-X-PART)
 * @property {number} [start] where the manifest says that it lies on the timeline, ns
 * @typedef {Resource & SegmentExtra} Segment
 *
 * @typedef {object} Playlist
 * @property {{url: string, kind: string}[]} children playlists that it lists; kind tells apart which may play at once
 * @property {Map<string, string>} [variables] that its children may import (EXT-X-DEFINE)
 * @property {number} target ns
 * @property {boolean} ended
 * @property {number} [skipped] segments before the first that the reload before had (EXT-X-SKIP)
 * @property {Segment[]} segments
 * @property {Segment[]} [next] parts of the segment that is not complete yet
 * @property {Segment|null} [hint] the part that comes after them (EXT-X-PRELOAD-HINT)
 */

/**
 * parse reads a playlist; it throws where the text is none, or uses a variable that is not defined.
 * @param {string} text
 * @param {string} base URL
 * @param {Map<string, string>} [variables] of the multivariant playlist
 * @returns {Playlist}
 */
export function parse(text, base, variables) {
  if (!text.startsWith("#EXTM3U")) throw new Error("not an HLS playlist");
  /** @type {Playlist & {segments: Segment[], next: Segment[]}} */
  const p = { children: [], variables: new Map(), target: 0, ended: false, skipped: 0, segments: [], next: [], hint: null };
  const fill = (/** @type {string} */ s) => s.replace(/\{\$([\w-]+)\}/g, (_, name) => {
    if (!p.variables.has(name)) throw new Error(`variable ${name} is not defined`);
    return p.variables.get(name);
  });
  const resolve = (/** @type {string} */ uri) => new URL(uri, base).href.split("#")[0];
  const read = (/** @type {string} */ list) => {
    const a = attributes(list);
    for (const name in a) a[name] = fill(a[name]);
    return a;
  };
  let sequence = 0, variant = false, duration = -1, gap = false;
  /** @type {number|null} */
  let at = null;
  let passed = 0; // the parts of the next segment, ns
  let partTarget = 0; // ns
  /** @type {{length: number, offset: number}|null} */
  let range = null;
  /** @type {Resource|null} */
  let init = null;
  // Where the last range of a URL ended; parts are counted apart from segments.
  const segmentEnds = new Map(), partEnds = new Map();
  /** @param {string} uri @param {{length: number, offset: number}|null} r @param {Map<string, number>} ends @returns {Resource} */
  const resource = (uri, r, ends) => {
    const url = resolve(uri);
    if (!r) return { url, offset: 0, length: 0 };
    const offset = r.offset < 0 ? ends.get(url) ?? 0 : r.offset;
    ends.set(url, offset + r.length);
    return { url, offset, length: r.length };
  };
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (!line) continue;
    if (line[0] !== "#") {
      if (variant) p.children.push({ url: resolve(fill(line)), kind: "main" });
      else if (duration >= 0) {
        /** @type {Segment} */
        const s = { ...resource(fill(line), range, segmentEnds), sequence: sequence++, duration, at, gap, init };
        if (p.next.length) s.parts = p.next;
        p.segments.push(s);
        p.next = [];
        passed = 0;
        if (at !== null) at += duration;
      }
      variant = gap = false;
      duration = -1;
      range = null;
      continue;
    }
    const colon = line.indexOf(":");
    const value = colon < 0 ? "" : line.slice(colon + 1);
    switch (colon < 0 ? line : line.slice(0, colon)) {
      case "#EXT-X-DEFINE": {
        const a = read(value), query = new URL(base).searchParams;
        const name = a.NAME ?? a.IMPORT ?? a.QUERYPARAM;
        const is = a.NAME ? a.VALUE : a.IMPORT ? variables?.get(name) : query.get(name);
        if (name && is != null) p.variables.set(name, is);
        break;
      }
      case "#EXT-X-STREAM-INF":
        variant = true;
        break;
      case "#EXT-X-MEDIA": {
        const a = read(value);
        if (a.URI) p.children.push({ url: resolve(a.URI), kind: a.TYPE ?? "" });
        break;
      }
      case "#EXT-X-TARGETDURATION":
        p.target = Math.trunc(parseFloat(value) * Second) || 0;
        break;
      case "#EXT-X-MEDIA-SEQUENCE":
        sequence = parseInt(value, 10) || 0;
        break;
      case "#EXT-X-SKIP":
        p.skipped = parseInt(attributes(value)["SKIPPED-SEGMENTS"], 10) || 0;
        sequence += p.skipped;
        break;
      case "#EXT-X-ENDLIST":
        p.ended = true;
        break;
      case "#EXT-X-PLAYLIST-TYPE":
        p.ended ||= value === "VOD";
        break;
      case "#EXTINF":
        duration = Math.trunc(parseFloat(value) * Second);
        if (!(duration >= 0)) duration = 0;
        break;
      case "#EXT-X-PART-INF":
        partTarget = Math.trunc(parseFloat(read(value)["PART-TARGET"]) * Second) || 0;
        break;
      case "#EXT-X-PRELOAD-HINT": {
        const a = read(value), length = Number(a["BYTERANGE-LENGTH"] ?? 0), from = a["BYTERANGE-START"];
        if (a.TYPE !== "PART" || !a.URI || (from && !length)) break;
        p.hint = { ...resource(a.URI, length ? { length, offset: Number(from ?? 0) } : null, partEnds), sequence, duration: partTarget, at: null, gap: false, init };
        break;
      }
      case "#EXT-X-PART": {
        const a = read(value), d = Math.trunc(parseFloat(a.DURATION) * Second) || 0;
        if (!a.URI) break;
        p.next.push({
          ...resource(a.URI, a.BYTERANGE ? byteRange(a.BYTERANGE) : null, partEnds), sequence, duration: d,
          at: at === null ? null : at + passed, gap: a.GAP === "YES", init,
        });
        passed += d;
        break;
      }
      case "#EXT-X-BYTERANGE":
        range = byteRange(value);
        break;
      case "#EXT-X-DISCONTINUITY":
        at = null;
        break;
      case "#EXT-X-GAP":
        gap = true;
        break;
      case "#EXT-X-PROGRAM-DATE-TIME": {
        const ms = Date.parse(value);
        if (!Number.isNaN(ms)) at = ms * 1e6;
        break;
      }
      case "#EXT-X-MAP": {
        const a = read(value);
        if (a.URI) init = resource(a.URI, a.BYTERANGE ? byteRange(a.BYTERANGE) : null, new Map());
      }
    }
  }
  if (!p.target) for (const s of p.segments) p.target = Math.max(p.target, s.duration);
  return p;
}

/** byteRange reads n[@o]; the offset is -1 where it is not given. @param {string} s */
function byteRange(s) {
  const [n, o] = s.split("@");
  const length = parseInt(n, 10);
  if (!(length > 0)) return null;
  return { length, offset: o === undefined ? -1 : parseInt(o, 10) || 0 };
}

/** attributes reads an attribute list (section 4.2). @param {string} s */
function attributes(s) {
  /** @type {Record<string, string>} */
  const a = {};
  for (const m of s.matchAll(/([A-Z0-9-]+)=("([^"]*)"|[^,]*)/g)) a[m[1]] = m[3] ?? m[2];
  return a;
}

/**
 * Timeline puts the segments of a media playlist on a continuous timeline that stays the same over reloads. A playlist
 * that has ended begins at 0. A live one begins at its first program date time, counted from 1970, so that all viewers
 * agree; without one at the edge that the caller gives, or else at the media sequence times the target duration. A
 * manifest that says where each segment lies is believed.
 */
export class Timeline {
  constructor() {
    this.first = 0; // media sequence of starts[0]
    /** @type {number[]} of the last playlist, and the end of its last segment */
    this.starts = [];
    /** @type {number|null} */
    this.at = null;
  }

  /** end is where the last segment placed ends. */
  end() {
    return this.starts.at(-1) ?? 0;
  }

  /**
   * place gives the start of each segment.
   * @param {Playlist} p
   * @param {number} edge where another playlist of the presentation ends now, 0 if not known
   */
  place(p, edge) {
    if (!p.segments.length) return [];
    const last = p.segments.at(-1);
    if (last.start !== undefined) {
      this.starts = [...p.segments.map((s) => s.start), last.start + last.duration];
      return this.starts.slice(0, -1);
    }
    const starts = [0];
    for (const s of p.segments) starts.push(starts.at(-1) + s.duration);
    const base = this.#base(p, starts.at(-1), edge);
    this.starts = starts.map((x) => x + base);
    this.first = p.segments[0].sequence;
    this.at = p.segments[0].at;
    return this.starts.slice(0, -1);
  }

  /** @param {Playlist} p @param {number} length @param {number} edge */
  #base(p, length, edge) {
    const first = p.segments[0];
    if (this.starts.length) {
      let before = 0;
      for (const s of p.segments) {
        const at = s.sequence - this.first;
        if (at >= 0 && at < this.starts.length) return this.starts[at] - before;
        before += s.duration;
      }
      // All segments in between were missed.
      if (this.at !== null && first.at !== null) return this.starts[0] + first.at - this.at;
      return this.end() + Math.max(0, first.sequence - this.first - (this.starts.length - 1)) * p.target;
    }
    if (p.ended) return 0;
    if (first.at !== null) return first.at;
    return edge ? edge - length : first.sequence * p.target;
  }
}
