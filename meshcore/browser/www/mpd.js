// As much of DASH manifests (ISO/IEC 23009-1) as the mesh needs: SegmentTemplate with $Number$ or $Time$, with a duration
// or a timeline. Each representation becomes a playlist. Times are nanoseconds.

import { Second } from "./playlist.js";

const MOST = 20_000; // segments of one representation

/**
 * @typedef {import("./playlist.js").Playlist} Playlist
 * @typedef {{id: string, kind: string, list: (now: number) => Playlist}} Representation list gives what is there at a time, ms since 1970
 */

/** duration reads an ISO 8601 duration, ns. @param {string|null} s */
function duration(s) {
  const m = /^P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(s ?? "");
  return m ? (((Number(m[1] ?? 0) * 24 + Number(m[2] ?? 0)) * 60 + Number(m[3] ?? 0)) * 60 + Number(m[4] ?? 0)) * Second : 0;
}

/**
 * parseMPD reads a manifest. What it does not understand is left out.
 * @param {string} text
 * @param {string} base URL
 * @returns {Representation[]}
 */
export function parseMPD(text, base) {
  const mpd = new DOMParser().parseFromString(text, "application/xml").documentElement;
  if (mpd.localName !== "MPD") throw new Error("not a DASH manifest");
  const live = mpd.getAttribute("type") === "dynamic";
  const epoch = live ? (Date.parse(mpd.getAttribute("availabilityStartTime") ?? "") || 0) * 1e6 : 0;
  const depth = duration(mpd.getAttribute("timeShiftBufferDepth")) || 60 * Second;
  const whole = duration(mpd.getAttribute("mediaPresentationDuration"));
  const children = (/** @type {Element} */ e, /** @type {string} */ name) => [...e.children].filter((c) => c.localName === name);
  const resolve = (/** @type {string} */ url, /** @type {Element} */ e) => new URL(children(e, "BaseURL")[0]?.textContent.trim() ?? "", url).href;
  /** @type {Representation[]} */
  const all = [];
  const periods = children(mpd, "Period");
  periods.forEach((period, i) => {
    const from = duration(period.getAttribute("start"));
    const next = periods[i + 1]?.getAttribute("start");
    const length = duration(period.getAttribute("duration")) || (next ? duration(next) : whole) - from;
    for (const set of children(period, "AdaptationSet")) {
      for (const rep of children(set, "Representation")) {
        // An attribute that the inner template lacks is that of the outer.
        const templates = [rep, set, period].flatMap((e) => children(e, "SegmentTemplate"));
        const get = (/** @type {string} */ name) => templates.map((t) => t.getAttribute(name)).find((v) => v !== null) ?? null;
        const media = get("media");
        if (!media) continue;
        const scale = Second / (Number(get("timescale")) || 1), first = Number(get("startNumber") ?? 1), each = Number(get("duration")) * scale;
        const shift = Number(get("presentationTimeOffset") ?? 0) * scale;
        const timeline = templates.flatMap((t) => children(t, "SegmentTimeline"))[0];
        const id = rep.getAttribute("id") ?? "";
        const type = set.getAttribute("contentType") ?? (set.getAttribute("mimeType") ?? rep.getAttribute("mimeType") ?? "").split("/")[0];
        const at = resolve(resolve(resolve(resolve(base, mpd), period), set), rep);
        const fill = (/** @type {string} */ template, /** @type {number} */ number, /** @type {number} */ time) => new URL(
          template.replace(/\$(RepresentationID|Number|Bandwidth|Time)?(?:%0(\d+)d)?\$/g, (_, name, width) => {
            if (!name) return "$";
            const v = { RepresentationID: id, Number: number, Bandwidth: rep.getAttribute("bandwidth"), Time: time }[/** @type {"Number"} */ (name)];
            return String(v).padStart(Number(width ?? 0), "0");
          }), at).href;
        const start = get("initialization");
        const init = start ? { url: fill(start, 0, 0), offset: 0, length: 0 } : null;
        const segment = (/** @type {number} */ number, /** @type {number} */ time, /** @type {number} */ d) => ({
          url: fill(media, number, Math.round(time / scale)), offset: 0, length: 0, sequence: number, duration: Math.trunc(d),
          at: live ? Math.trunc(epoch + from + time - shift) : null, gap: false, init,
        });
        const list = (/** @type {number} */ now) => {
          const segments = [];
          if (timeline) {
            let time = 0, number = first;
            for (const s of children(timeline, "S")) {
              const d = Number(s.getAttribute("d")) * scale;
              if (s.hasAttribute("t")) time = Number(s.getAttribute("t")) * scale;
              for (let r = Number(s.getAttribute("r") ?? 0); r >= 0 && segments.length < MOST; r--, time += d) segments.push(segment(number++, time, d));
            }
          } else if (each > 0) {
            // Of a live one what has ended by now, and is not too old.
            const edge = live ? now * 1e6 - epoch - from : length;
            const to = Math.min(live ? Math.floor(edge / each) : Math.ceil(edge / each), length > 0 ? Math.ceil(length / each) : Infinity);
            for (let n = Math.max(0, live ? to - Math.floor(depth / each) : 0, to - MOST); n < to; n++) segments.push(segment(first + n, n * each, each));
          }
          return { children: /** @type {Playlist["children"]} */ ([]), target: each || Math.max(0, ...segments.map((s) => s.duration)), ended: !live, segments };
        };
        all.push({ id, kind: type === "video" ? "main" : type, list });
      }
    }
  });
  return all;
}
