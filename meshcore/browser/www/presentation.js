// What a player plays: the media playlists that it has loaded, where their segments lie on one timeline, which of them
// play at once, and what the engine is to know of that.

import { id as segmentId } from "./integrity.js";
import { parseMPD } from "./mpd.js";
import { parse, Timeline } from "./playlist.js";

/**
 * @typedef {import("./playlist.js").Playlist} Playlist
 * @typedef {import("./playlist.js").Segment & {id: string, start: number, media: Media, initSection: boolean}} Record one that is listed
 *
 * @typedef {object} Events
 * @property {(playlist: string, urls: string[]) => void} listed a playlist lists these URLs now
 * @property {() => void} changed manifest() says something else
 * @property {() => void} ended nothing of it is live
 * @property {(id: string) => boolean} kept a segment is stored, though it may not be listed any more
 * @property {() => number} now the edge's time, ms since 1970
 */

/** Media is a media playlist that the player has loaded. */
class Media {
  /** @param {string} url @param {string} kind */
  constructor(url, kind) {
    this.url = url;
    this.kind = kind;
    this.rendition = new URL(url).pathname;
    /** @type {string} the id of the rendition on the wire, "" while it is worked out */
    this.number = "";
    this.timeline = new Timeline();
    this.live = false;
    this.target = 0;
    /** @type {Record[]} */
    this.records = [];
    /** @type {Record[]} of the reload before: a player may still ask for them */
    this.previous = [];
    /** @type {(() => Promise<void>)|null} lists what has come since, where the manifest does not */
    this.list = null;
    this.from = 0; // where the player needs it from, ns
    /** @type {Record} the last that was asked for */
    this.last = null;
    this.lastDone = false;
  }
}

export class Presentation {
  /** @param {Events} events */
  constructor(events) {
    this.events = events;
    /** @type {Map<string, string>} kind of a playlist, by URL */
    this.kinds = new Map();
    /** @type {Map<string, Media>} by URL */
    this.playlists = new Map();
    /** @type {Map<string, Media>} which the player plays now, by kind */
    this.active = new Map();
    /** @type {Map<string, Record[]>} by URL */
    this.index = new Map();
    /** @type {Map<string, Record>} */
    this.byId = new Map();
  }

  /**
   * read reads a playlist that the player has loaded.
   * @param {string} asked URL that was asked for
   * @param {string} url that it came from
   * @param {string} text
   * @returns {Promise<{children: string[]}>}
   */
  async read(asked, url, text) {
    if (/^\uFEFF?\s*</.test(text)) {
      const all = parseMPD(text, url);
      for (const r of all) {
        const key = `${asked}#${r.id}`;
        this.kinds.set(key, r.kind);
        await this.#media(key, url, r.list(this.events.now()), r.list);
      }
      return { children: [] };
    }
    const p = parse(text, url);
    for (const c of p.children) this.kinds.set(c.url, c.kind);
    if (p.segments.length) await this.#media(asked, url, p, null);
    return { children: p.children.map((c) => c.url) };
  }

  /**
   * #media takes a media playlist, or a representation of a manifest; list makes it anew as time goes on.
   * @param {string} asked
   * @param {string} url
   * @param {Playlist} p
   * @param {((now: number) => Playlist)|null} list
   */
  async #media(asked, url, p, list) {
    if (!p.segments.length) return;
    const kind = this.kinds.get(asked) ?? this.kinds.get(url) ?? "main";
    let m = this.playlists.get(asked);
    if (!m) this.playlists.set(asked, (m = new Media(url, kind)));
    if (list) m.rendition = new URL(asked).pathname + new URL(asked).hash;
    m.list = list && !p.ended ? () => this.#media(asked, url, list(this.events.now()), list) : null;
    m.number ||= await segmentId(m.rendition);
    const ids = await Promise.all(p.segments.map((s) => this.#idOf(s)));
    const edge = Math.max(0, ...[...this.playlists.values()].filter((x) => x !== m && x.live).map((x) => x.timeline.end()));
    const starts = m.timeline.place(p, edge);
    m.live = !p.ended;
    m.target = p.target;
    m.previous = m.records;
    const inits = new Map();
    /** @type {Record[]} */
    const records = [];
    p.segments.forEach((s, i) => {
      if (s.init && !inits.has(s.init.url)) {
        inits.set(s.init.url, true);
        records.push({ ...s, ...s.init, id: "", start: starts[i], duration: 0, media: m, initSection: true });
      }
      records.push({ ...s, id: ids[i], start: starts[i], media: m, initSection: false });
    });
    m.records = records;
    if (p.ended && [...this.playlists.values()].every((x) => !x.live)) this.events.ended();
    this.#reindex();
    this.events.listed(asked, [...new Set([...m.previous, ...records].map((r) => r.url))]);
    if (this.active.get(m.kind) === m) this.events.changed();
  }

  /** @param {import("./playlist.js").Segment} s */
  #idOf(s) {
    const known = this.index.get(s.url)?.find((r) => !r.initSection && r.offset === s.offset && r.length === s.length);
    return known?.id ?? segmentId(new URL(s.url).pathname, s.offset, s.length);
  }

  #reindex() {
    this.index.clear();
    const before = this.byId;
    this.byId = new Map();
    for (const m of this.playlists.values()) {
      for (const r of [...m.previous, ...m.records]) {
        const list = this.index.get(r.url);
        if (!list) this.index.set(r.url, [r]);
        else if (!list.some((x) => x.offset === r.offset && x.length === r.length)) list.push(r);
        if (r.id) this.byId.set(r.id, r);
      }
    }
    for (const [segment, r] of before) if (!this.byId.has(segment) && this.events.kept(segment)) this.byId.set(segment, r);
  }

  /** relist lists what has come since, where the manifest says only how. */
  relist() {
    for (const m of this.playlists.values()) m.list?.().catch(() => {});
  }

  /**
   * asked notes that the player asks for a segment. It says whether the player plays something else now, or plays it from
   * elsewhere.
   * @param {Record} r
   */
  asked(r) {
    const m = r.media;
    m.last = r;
    m.lastDone = false;
    const moved = this.active.get(m.kind) !== m || r.start < m.from;
    if (moved) m.from = r.start;
    this.active.set(m.kind, m);
    return moved;
  }

  /** done notes that the player has been given a segment. @param {Record} r */
  done(r) {
    if (r.media.last === r) r.media.lastDone = true;
  }

  /**
   * manifest is what the player plays, as the engine sees it: the playlists that play at once become one. It is null before
   * the player has asked for anything.
   * @param {boolean} download list segments; without them the engine takes nothing
   * @returns {import("./peer/input.js").Manifest|null}
   */
  manifest(download) {
    const all = [...this.active.values()];
    const main = this.active.get("main") ?? all[0];
    if (!main) return null;
    /** @type {import("./peer/input.js").Segment[]} */
    const segments = [];
    if (download) {
      for (const m of all) {
        for (const r of m.records) {
          if (r.initSection || r.gap || r.start + r.duration <= m.from) continue;
          segments.push({ id: r.id, sequence: r.sequence, start: r.start, duration: r.duration, size: 0, private: false });
        }
      }
    }
    segments.sort((a, b) => a.start - b.start);
    return {
      rendition: main.rendition, number: main.number || "0".repeat(16), live: main.live, segments,
      from: Math.min(...all.map((m) => m.from)),
    };
  }
}
