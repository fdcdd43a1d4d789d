// As much of DASH manifests (ISO/IEC 23009-1) as the mesh needs: SegmentTemplate with $Number$ or $Time$, with a duration
// or a timeline, and SegmentList. Each representation becomes a playlist, over all periods that have one of its id. Times
// are nanoseconds.

import { Second } from "./playlist.js";
import { resolve } from "./url.js";

const MOST = 20_000; // segments of one representation
const IDENTIFIER = /\$(RepresentationID|Number|Bandwidth|Time)?(?:%0?(\d+)d)?\$/g; // of a template (section 5.3.9.4.4)

/**
 * @typedef {import("./playlist.js").Playlist} Playlist
 * @typedef {import("./playlist.js").Segment} Segment
 * @typedef {{id: string, kind: string, list: (now: number) => Playlist}} Representation list gives what is there at a time, ms since 1970
 *
 * @typedef {object} Clock what the whole manifest says of time, ns
 * @property {boolean} live
 * @property {number} epoch of the timeline, since 1970
 * @property {number} depth how long a segment stays
 *
 * @typedef {{from: number, length: number}} Span of a period, ns; length is NaN if it is not known
 */

/** duration reads an ISO 8601 duration, ns; NaN where there is none. @param {string|null} s */
function duration(s) {
  const m = /^P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(s ?? "");
  return m ? (((Number(m[1] ?? 0) * 24 + Number(m[2] ?? 0)) * 60 + Number(m[3] ?? 0)) * 60 + Number(m[4] ?? 0)) * Second : NaN;
}

/** @param {Element} e @param {string} name */
const children = (e, name) => [...e.children].filter((c) => c.localName === name);

/** base is the BaseURL in force below an element, the first that can be read; null if none can. @param {string|null} url @param {Element} e */
function base(url, e) {
  const own = children(e, "BaseURL");
  if (url === null || !own.length) return url;
  return own.map((b) => resolve(b.textContent.trim(), url)).find((u) => u !== null) ?? null;
}

/**
 * parseMPD reads a manifest. What it does not understand is left out; SegmentBase is, because the edge signs nothing for
 * parts of a file that no manifest lists.
 * @param {string} text
 * @param {string} url
 * @returns {Representation[]}
 */
export function parseMPD(text, url) {
  const mpd = new DOMParser().parseFromString(text, "application/xml").documentElement;
  if (mpd.localName !== "MPD") throw new Error("not a DASH manifest");
  const live = mpd.getAttribute("type") === "dynamic";
  const clock = {
    live, epoch: live ? (Date.parse(mpd.getAttribute("availabilityStartTime") ?? "") || 0) * 1e6 : 0,
    depth: duration(mpd.getAttribute("timeShiftBufferDepth")) || 60 * Second,
  };
  /** @type {Map<string, Representation & {periods: ((now: number) => Segment[])[]}>} */
  const all = new Map();
  const periods = children(mpd, "Period");
  let from = 0;
  periods.forEach((period, i) => {
    // Section 5.3.2.1: a period without a start begins where the one before ends.
    from = duration(period.getAttribute("start")) || from;
    const to = i + 1 < periods.length ? duration(periods[i + 1].getAttribute("start")) : duration(mpd.getAttribute("mediaPresentationDuration"));
    const length = duration(period.getAttribute("duration")) || to - from;
    for (const set of children(period, "AdaptationSet")) {
      for (const rep of children(set, "Representation")) {
        const id = rep.getAttribute("id") ?? "";
        const type = set.getAttribute("contentType") ?? (set.getAttribute("mimeType") ?? rep.getAttribute("mimeType") ?? "").split("/")[0];
        const at = base(base(base(base(url, mpd), period), set), rep);
        const segments = at === null ? null : lister(clock, { from, length }, [rep, set, period], at);
        if (!segments) continue;
        let r = all.get(id);
        if (!r) {
          /** @type {((now: number) => Segment[])[]} */
          const periods = [];
          const list = (/** @type {number} */ now) => {
            const segments = periods.flatMap((list) => list(now)).slice(0, MOST);
            return { children: /** @type {Playlist["children"]} */ ([]), target: Math.max(0, ...segments.map((s) => s.duration)), ended: !live, segments };
          };
          all.set(id, (r = { id, kind: type === "video" ? "main" : type, list, periods }));
        }
        r.periods.push(segments);
      }
    }
    from += length || 0;
  });
  return [...all.values()];
}

/**
 * lister makes a function that lists the segments of a representation in one period; null where there is no telling.
 * @param {Clock} clock
 * @param {Span} span
 * @param {Element[]} levels the representation and what it is in
 * @param {string} url
 * @returns {((now: number) => Segment[])|null}
 */
function lister({ live, epoch, depth }, { from, length }, levels, url) {
  // An attribute that the inner element lacks is that of the outer.
  const all = (/** @type {string} */ name) => levels.flatMap((e) => children(e, name));
  const templates = all("SegmentTemplate"), lists = all("SegmentList");
  const rules = templates.length ? templates : lists;
  const get = (/** @type {string} */ name) => rules.map((t) => t.getAttribute(name)).find((v) => v !== null) ?? null;
  const media = get("media");
  const urls = templates.length ? [] : lists.map((l) => children(l, "SegmentURL")).find((u) => u.length) ?? [];
  if (!media && !urls.length) return null;
  const scale = Second / (Number(get("timescale")) || 1), first = Number(get("startNumber") ?? 1), each = Number(get("duration")) * scale;
  const shift = Number(get("presentationTimeOffset") ?? 0) * scale;
  const timeline = rules.flatMap((t) => children(t, "SegmentTimeline"))[0];
  const start = get("initialization"), section = rules.flatMap((t) => children(t, "Initialization"))[0];
  for (const t of [media, start]) if (t && t.replace(IDENTIFIER, "").includes("$")) return null; // one that is not known
  const fill = (/** @type {string} */ template, /** @type {number} */ number, /** @type {number} */ time) => template.replace(IDENTIFIER, (_, name, width) => {
    if (!name) return "$";
    const v = { RepresentationID: levels[0].getAttribute("id"), Number: number, Bandwidth: levels[0].getAttribute("bandwidth"), Time: time }[/** @type {"Number"} */ (name)];
    return name === "RepresentationID" ? String(v) : String(v).padStart(Number(width ?? 0), "0");
  });
  /** @returns {import("./playlist.js").Resource|null} */
  const file = (/** @type {string|null} */ at, /** @type {string|null} */ range) => {
    const where = at ? resolve(at, url) : url, m = /^\s*(\d{1,15})\s*-\s*(\d{1,15})\s*$/.exec(range ?? "");
    if (where === null || (range && !(m && Number(m[2]) >= Number(m[1])))) return null;
    return { url: where, offset: m ? Number(m[1]) : 0, length: m ? Number(m[2]) - Number(m[1]) + 1 : 0 };
  };
  const init = start ? file(fill(start, 0, 0), null) : section ? file(section.getAttribute("sourceURL"), section.getAttribute("range")) : null;
  /** @param {number} i from 0 @param {number} time of the media @param {number} d @returns {Segment} */
  const segment = (i, time, d) => {
    const at = from + time - shift;
    const where = media ? file(fill(media, first + i, Math.round(time / scale)), null) : file(urls[i].getAttribute("media"), urls[i].getAttribute("mediaRange"));
    return { ...(where ?? { url: "", offset: 0, length: 0 }), sequence: first + i, duration: Math.trunc(d), at: null, start: Math.trunc(epoch + at), gap: !where, init };
  };
  return (now) => {
    const segments = [];
    if (timeline) {
      let time = 0, i = 0;
      const all = children(timeline, "S");
      all.forEach((s, k) => {
        const d = Number(s.getAttribute("d")) * scale;
        if (s.hasAttribute("t")) time = Number(s.getAttribute("t")) * scale;
        let more = Number(s.getAttribute("r") ?? 0);
        // Below 0: until the next S, or the end of the period.
        if (more < 0) more = Math.ceil(((all[k + 1]?.hasAttribute("t") ? Number(all[k + 1].getAttribute("t")) * scale : length + shift) - time) / d) - 1;
        for (; more >= 0 && segments.length < MOST && (media || i < urls.length); more--, time += d) segments.push(segment(i++, time, d));
      });
    } else if (each > 0) {
      // Of a live one what has ended by now, and is not too old.
      const edge = live ? now * 1e6 - epoch - from : length;
      const end = Math.min(live ? Math.floor(edge / each) : Math.ceil(edge / each), length > 0 ? Math.ceil(length / each) : Infinity, media ? Infinity : urls.length);
      const begin = live ? Math.max(0, Math.floor(edge / each) - Math.floor(depth / each)) : 0;
      for (let i = Math.max(begin, end - MOST); i < end; i++) segments.push(segment(i, i * each + shift, each));
    }
    return segments;
  };
}
