// As much of HLS playlists (RFC 8216 and its second edition, draft-pantos-hls-rfc8216bis) as the mesh needs, and the
// timeline that their segments lie on. It reads line by line, and passes over tags that it does not know. Times are
// nanoseconds.

import { resolve } from "./url.js";

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
 * @property {boolean} gap the origin does not have it, or the playlist does not say in a readable way where it is; then url is ""
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
 * parse reads a playlist; it throws where the text is none. What it cannot read it passes over: a segment of which that is
 * so is one that the origin does not have.
 * @param {string} text
 * @param {string} base URL
 * @param {Map<string, string>} [imports] variables of the multivariant playlist
 * @returns {Playlist}
 */
export function parse(text, base, imports) {
  text = text.replace(/^\uFEFF/, "");
  if (!text.startsWith("#EXTM3U")) throw new Error("not an HLS playlist");
  /** @type {Playlist & {segments: Segment[], next: Segment[]}} */
  const p = { children: [], variables: new Map(), target: 0, ended: false, skipped: 0, segments: [], next: [], hint: null };
  /** fill puts in the values of variables; it is null if one has none. @param {string} s */
  const fill = (s) => {
    let defined = true;
    const filled = s.replace(/\{\$([\w-]+)\}/g, (_, name) => {
      defined &&= p.variables.has(name);
      return p.variables.get(name) ?? "";
    });
    return defined ? filled : null;
  };
  const read = (/** @type {string} */ list) => {
    const a = attributes(list);
    let whole = true;
    for (const name in a) {
      const filled = fill(a[name]);
      if (filled !== null) a[name] = filled;
      else {
        delete a[name];
        whole &&= !name.startsWith("BYTERANGE");
      }
    }
    if (!whole) delete a.URI; // it is not the whole that is meant
    return a;
  };
  let variant = false, range = ""; // of the next URI
  let sequence = 0, duration = -1, gap = false;
  /** @type {number|null} */
  let at = null;
  let passed = 0; // the parts of the next segment, ns
  let partTarget = 0; // ns
  /** @type {Resource|null} */
  let init = null;
  // Where the last range of a URL ended; parts are counted apart from segments.
  const segmentEnds = new Map(), partEnds = new Map();
  /**
   * resource is what a URI and a byte range mean, null if that cannot be read.
   * @param {string|null|undefined} uri
   * @param {string|undefined} range
   * @param {Map<string, number>} [ends]
   * @returns {Resource|null}
   */
  const resource = (uri, range, ends) => {
    const url = uri ? resolve(uri, base) : null;
    if (!url) return null;
    if (!range) return { url, offset: 0, length: 0 };
    const r = byteRange(range);
    if (!r || (r.offset < 0 && ends && !ends.has(url) && p.skipped)) return null;
    if (r.offset < 0) r.offset = ends?.get(url) ?? 0;
    ends?.set(url, r.offset + r.length);
    return { url, ...r };
  };
  const nowhere = { url: "", offset: 0, length: 0 };
  const child = (/** @type {string|null} */ uri, /** @type {string} */ kind) => {
    const url = uri ? resolve(uri, base) : null;
    if (url) p.children.push({ url, kind });
  };
  for (const raw of text.split("\n")) {
    const line = raw.replace(/^[ \t\r]+|[ \t\r]+$/g, "");
    if (!line) continue;
    if (line[0] !== "#") {
      const uri = fill(line);
      if (variant) child(uri, "main");
      else if (duration >= 0) {
        const where = resource(uri, range, segmentEnds);
        /** @type {Segment} */
        const s = { ...(where ?? nowhere), sequence: sequence++, duration, at, gap: gap || !where, init };
        if (p.next.length) s.parts = p.next;
        p.segments.push(s);
        p.next = [];
        passed = 0;
        gap = false;
        if (at !== null) at += duration;
      }
      variant = false;
      duration = -1;
      range = "";
      continue;
    }
    const colon = line.indexOf(":");
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^[ \t]+/, "");
    switch (colon < 0 ? line : line.slice(0, colon)) {
      case "#EXT-X-DEFINE": {
        const a = attributes(value);
        const name = a.NAME || a.IMPORT || a.QUERYPARAM;
        const is = a.NAME ? a.VALUE ?? "" : a.IMPORT ? imports?.get(name) : new URL(base).searchParams.get(name);
        if (name && is != null) p.variables.set(name, is);
        break;
      }
      case "#EXT-X-STREAM-INF":
        variant = true;
        break;
      case "#EXT-X-MEDIA": {
        const a = read(value);
        child(a.URI, a.TYPE ?? "");
        break;
      }
      case "#EXT-X-TARGETDURATION":
        p.target = seconds(value);
        break;
      case "#EXT-X-MEDIA-SEQUENCE":
        if (!p.segments.length) sequence = whole(value) ?? 0;
        break;
      case "#EXT-X-SKIP": {
        const skipped = p.segments.length ? 1 : whole(attributes(value)["SKIPPED-SEGMENTS"]) ?? 1;
        p.skipped += skipped;
        if (!p.segments.length) sequence += skipped;
        break;
      }
      case "#EXT-X-ENDLIST":
        p.ended = true;
        break;
      case "#EXT-X-PLAYLIST-TYPE":
        p.ended ||= value === "VOD";
        break;
      case "#EXTINF":
        duration = seconds(value.split(",")[0]);
        break;
      case "#EXT-X-PART-INF":
        partTarget = seconds(read(value)["PART-TARGET"]);
        break;
      case "#EXT-X-PRELOAD-HINT": {
        const a = read(value), length = a["BYTERANGE-LENGTH"], start = a["BYTERANGE-START"];
        if (a.TYPE !== "PART" || (start !== undefined && length === undefined)) break;
        const where = resource(a.URI, length === undefined ? "" : `${length}@${start ?? 0}`, new Map());
        if (where) p.hint = { ...where, sequence, duration: partTarget, at: null, gap: false, init };
        break;
      }
      case "#EXT-X-PART": {
        const a = read(value), where = resource(a.URI, a.BYTERANGE, partEnds), d = seconds(a.DURATION);
        p.next.push({
          ...(where ?? nowhere), sequence, duration: d, at: at === null ? null : at + passed, gap: a.GAP === "YES" || !where, init,
        });
        passed += d;
        break;
      }
      case "#EXT-X-BYTERANGE":
        range = value;
        break;
      case "#EXT-X-DISCONTINUITY":
        at = null;
        break;
      case "#EXT-X-GAP":
        gap = true;
        break;
      case "#EXT-X-PROGRAM-DATE-TIME":
        at = date(value) ?? at;
        break;
      case "#EXT-X-MAP": {
        const a = read(value);
        init = resource(a.URI, a.BYTERANGE) ?? init;
      }
    }
  }
  if (p.children.length) p.segments = [];
  if (!p.target) for (const s of p.segments) p.target = Math.max(p.target, Math.round(s.duration / Second) * Second);
  return p;
}

/** seconds reads a number of seconds, ns; 0 if it is none. @param {string|undefined} s */
function seconds(s) {
  const t = (s ?? "").trim(), n = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(t) ? Number(t) : 0;
  return n >= 0 && n < 1e7 ? Math.trunc(n * Second) : 0;
}

/** whole reads a whole number of 0 or more, null if it is none. @param {string|undefined} s */
function whole(s) {
  return /^\d{1,15}$/.test(s ?? "") ? Number(s) : null;
}

/** date reads ISO 8601 as packagers write it, ns since 1970; null if it is none. @param {string} s */
function date(s) {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([.,]\d+)?(Z|([+-]\d\d):?(\d\d))?$/.exec(s.trim());
  const ms = m ? Date.parse(`${m[1]}${m[4] ? `${m[4]}:${m[5]}` : "Z"}`) : NaN;
  return Number.isNaN(ms) ? null : ms * 1e6 + Math.round(Number(`0${(m[2] ?? "").replace(",", ".")}`) * Second);
}

/** byteRange reads n[@o]; the offset is -1 where it is not given. @param {string} s */
function byteRange(s) {
  const m = /^\s*(\d{1,15})\s*(?:@\s*(\d{1,15})\s*)?$/.exec(s);
  return m && Number(m[1]) > 0 ? { length: Number(m[1]), offset: m[2] === undefined ? -1 : Number(m[2]) } : null;
}

/** attributes reads an attribute list (section 4.2); the first of two attributes of one name counts. @param {string} s */
function attributes(s) {
  /** @type {Record<string, string>} */
  const a = {};
  for (let rest = s; rest; ) {
    const is = rest.indexOf("=");
    if (is < 0) break;
    const name = rest.slice(0, is).trim();
    rest = rest.slice(is + 1);
    let value = rest, end = rest.indexOf(",");
    if (rest[0] === '"') {
      const quote = rest.indexOf('"', 1);
      if (quote < 0) break;
      value = rest.slice(1, quote);
      end = rest.indexOf(",", quote);
    } else if (end >= 0) value = rest.slice(0, end);
    rest = end < 0 ? "" : rest.slice(end + 1);
    if (!(name in a)) a[name] = value.trim();
  }
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
