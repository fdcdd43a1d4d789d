// What a player plays: the media playlists that it has loaded, where their segments lie on one timeline, which of them
// play at once, and what the engine is to know of that.

import { id as segmentId } from "./integrity.js";
import { Lookout } from "./lookout.js";
import { parseMPD } from "./mpd.js";
import { parse, Second, Timeline } from "./playlist.js";
import { cutURI, key, nameOf, plain } from "./url.js";

const SLIP = 0.5 * Second; // between the end of a segment and the start of the next one, where timestamps are not exact

/**
 * @typedef {import("./playlist.js").Playlist} Playlist
 * @typedef {import("./playlist.js").Segment & {key: string, id: string, start: number, media: Media, initSection: boolean, part: boolean, hint: boolean}} Record one that is listed
 *
 * @typedef {object} Events
 * @property {(playlist: string, segments: string[], inits: string[]) => void} listed a playlist lists these URLs now; they are without queries
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
    this.asked = url; // as the player asked for it last
    this.kind = kind;
    this.rendition = nameOf(url);
    /** @type {string} the id of the rendition on the wire, "" while it is worked out */
    this.number = "";
    this.timeline = new Timeline();
    this.live = false;
    this.parts = false; // the player loads parts where they are listed
    /** @type {import("./playlist.js").Segment[]} */
    this.segments = [];
    /** @type {Record[]} */
    this.records = [];
    /** @type {Record[]} of the reload before: a player may still ask for them */
    this.previous = [];
    /** @type {(() => Promise<void>)|null} lists what has come since, where the manifest does not */
    this.list = null;
    this.from = 0; // where the player needs it from, ns
    this.lookout = new Lookout();
  }
}

export class Presentation {
  /** @param {Events} events @param {import("./url.js").Identity} [who] */
  constructor(events, who = { names: [], params: [], path: null }) {
    this.events = events;
    this.who = who; // the edge may learn more
    this.token = ""; // the viewer token that was last seen in a URL
    this.query = { origin: "", parameter: "" }; // of that URL, if it was there
    // Playlists and segments are known by their key, which is the URL without what is there for the server alone.
    /** @type {Map<string, string>} kind of a playlist */
    this.kinds = new Map();
    /** @type {Map<string, Map<string, string>>} variables that a playlist may import */
    this.variables = new Map();
    /** @type {Map<string, Media>} */
    this.playlists = new Map();
    /** @type {Map<string, Media>} which the player plays now, by kind */
    this.active = new Map();
    /** @type {Map<string, {r: Record, done: boolean}>} what the player asked for last, by kind, and whether it has it */
    this.last = new Map();
    /** @type {Map<string, Record[]>} by key */
    this.index = new Map();
    /** @type {Map<string, Record>} */
    this.byId = new Map();
    /** @type {Map<string, {media: Media, listed: Promise<boolean>, resolve: (listed: boolean) => void}>} hints that a listing is awaited of */
    this.hinted = new Map();
  }

  /** @param {string} url */
  #key(url) {
    return key(url, this.who);
  }

  /** carry notes the viewer token in the URL of a player's request. @param {string} url */
  carry(url) {
    const { token, query } = cutURI(url, this.who.names);
    if (!token) return;
    this.token = token;
    if (query) this.query = { origin: new URL(url).origin, parameter: query };
  }

  /** lists says whether a playlist is one of those that the multivariant playlist names. @param {string} url */
  lists(url) {
    return this.kinds.has(this.#key(url));
  }

  /** find gives what lies at the URL of a player's request. @param {string} url @returns {Record[]|undefined} */
  find(url) {
    this.carry(url);
    return this.index.get(this.#key(url));
  }

  /** fetchURL is where to fetch a segment from: with the token that the player adds to the query. @param {Record} r */
  fetchURL(r) {
    const { origin, parameter } = this.query;
    if (!parameter || new URL(r.url).origin !== origin || cutURI(r.url, this.who.names).token) return r.url;
    return r.url + (r.url.includes("?") ? "&" : "?") + parameter;
  }

  /**
   * read reads a playlist that the player has loaded.
   * @param {string} asked URL that was asked for
   * @param {string} url that it came from
   * @param {string} text
   * @returns {Promise<{children: string[]}>}
   */
  async read(asked, url, text) {
    this.carry(asked);
    const whole = plain(asked);
    asked = this.#key(asked);
    if (/^\uFEFF?\s*</.test(text)) {
      const all = parseMPD(text, url);
      for (const r of all) {
        const key = `${asked}#${r.id}`;
        this.kinds.set(key, r.kind);
        await this.#media(key, url, r.list(this.events.now()), r.list);
      }
      return { children: [] };
    }
    const p = parse(text, url, this.variables.get(asked));
    for (const c of p.children) {
      this.kinds.set(this.#key(c.url), c.kind);
      this.variables.set(this.#key(c.url), p.variables);
    }
    await this.#media(asked, this.#key(url), p, null);
    const m = this.playlists.get(asked);
    if (m) m.asked = whole;
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
    const came = Math.trunc(performance.now() * 1e6);
    const kind = this.kinds.get(asked) ?? this.kinds.get(url) ?? "main";
    let m = this.playlists.get(asked);
    if (!m) this.playlists.set(asked, (m = new Media(url, kind)));
    if (list) m.rendition = nameOf(asked) + new URL(asked).hash;
    m.list = list && !p.ended ? () => this.#media(asked, url, list(this.events.now()), list) : null;
    if (p.skipped) {
      const first = p.segments[0].sequence;
      p.segments.unshift(...m.segments.filter((s) => s.sequence < first && s.sequence >= first - p.skipped));
    }
    const newest = m.segments.at(-1)?.sequence;
    const last = p.segments.at(-1).sequence;
    if (!list && !p.ended && last < newest && last >= m.segments[0].sequence) return; // it was on its way for longer than the last
    m.segments = p.segments;
    m.number ||= await segmentId(m.rendition);
    const all = p.segments.flatMap((s) => [s, ...(s.parts ?? [])]).concat(p.next ?? [], p.hint ?? []).filter((s) => s.url);
    const ids = new Map(await Promise.all(all.map(async (s) => /** @type {[typeof s, {key: string, id: string}]} */ ([s, await this.#idOf(s)]))));
    const edge = Math.max(0, ...[...this.playlists.values()].filter((x) => x !== m && x.live).map((x) => x.timeline.end()));
    const starts = m.timeline.place(p, edge);
    m.live = !p.ended;
    m.lookout.loaded(came, m.timeline.end(), p.segments.at(-1).duration);
    const inits = new Set();
    /** @type {Record[]} */
    const records = [];
    const add = (/** @type {import("./playlist.js").Segment} */ s, /** @type {number} */ start, part = false, hint = false) => {
      if (!s.url) return;
      const init = s.init && `${s.init.url} ${s.init.offset}`;
      if (init && !inits.has(init)) {
        inits.add(init);
        records.push({ ...s, ...s.init, key: this.#key(s.init.url), id: "", start, duration: 0, media: m, initSection: true, part: false, hint: false });
      }
      records.push({ ...s, ...ids.get(s), start, media: m, initSection: false, part, hint });
    };
    const addParts = (/** @type {import("./playlist.js").Segment[]|undefined} */ parts, /** @type {number} */ start) => {
      for (const s of parts ?? []) {
        add(s, start, true);
        start += s.duration;
      }
      return start;
    };
    p.segments.forEach((s, i) => {
      addParts(s.parts, starts[i]);
      add(s, starts[i]);
    });
    const end = addParts(p.next, m.timeline.end());
    if (p.hint) add(p.hint, end, true, true);
    if (records.length !== m.records.length || records.some((r, i) => r.id !== m.records[i].id)) m.previous = m.records;
    m.records = records;
    if (p.ended && [...this.playlists.values()].every((x) => !x.live)) this.events.ended();
    this.#reindex();
    const urls = (/** @type {boolean} */ init) => [...new Set([...m.previous, ...records].filter((r) => r.initSection === init).map((r) => r.url.split("?")[0]))];
    this.events.listed(asked, urls(false), urls(true));
    if (this.active.get(m.kind) === m) this.events.changed();
    for (const [id, { media, resolve }] of this.hinted) {
      const r = media === m && records.find((x) => x.id === id);
      if (media !== m || (r && r.hint)) continue;
      this.hinted.delete(id);
      resolve(!!r);
    }
  }

  /** hints are the parts that come next in what the player plays by parts. */
  hints() {
    return [...this.active.values()].filter((m) => m.parts).flatMap((m) => m.records.filter((r) => r.hint));
  }

  /**
   * listing resolves once a playlist lists what one hinted at, or does not hint at it any more: false.
   * @param {Record} r
   * @returns {Promise<boolean>}
   */
  listing(r) {
    let h = this.hinted.get(r.id);
    if (!h) {
      let resolve;
      const listed = /** @type {Promise<boolean>} */ (new Promise((f) => (resolve = f)));
      this.hinted.set(r.id, (h = { media: r.media, listed, resolve }));
    }
    return h.listed;
  }

  /** coming are the playlists that play and list more as time goes on, but for those with parts, whose hints say what comes. */
  coming() {
    return [...this.active.values()].filter((m) => m.live && !m.records.some((r) => r.part));
  }

  /**
   * look lists anew what a playlist has.
   * @param {Media} m
   * @param {(url: string) => Promise<Response>} get
   */
  async look(m, get) {
    m.lookout.looks();
    try {
      if (m.list) return await m.list();
      const r = await get(m.asked);
      if (r.ok) await this.read(m.asked, r.url.split("#")[0], await r.text());
    } catch {
      // the player will see
    }
  }

  /** #idOf is a segment's key and its id. @param {import("./playlist.js").Segment} s @returns {Promise<{key: string, id: string}>} */
  async #idOf(s) {
    const key = this.#key(s.url), known = this.index.get(key)?.find((r) => !r.initSection && r.offset === s.offset && r.length === s.length);
    return { key, id: known?.id ?? (await segmentId(nameOf(key), s.offset, s.length)) };
  }

  #reindex() {
    this.index.clear();
    const before = this.byId;
    this.byId = new Map();
    for (const m of this.playlists.values()) {
      for (const r of [...m.records, ...m.previous]) {
        const list = this.index.get(r.key);
        if (!list) this.index.set(r.key, [r]);
        else if (!list.some((x) => x.offset === r.offset && x.length === r.length)) list.push(r);
        if (r.id && !this.byId.has(r.id)) this.byId.set(r.id, r);
      }
    }
    for (const [segment, r] of before) if (!this.byId.has(segment) && this.events.kept(segment)) this.byId.set(segment, r);
  }

  /** relist lists what has come since, where the manifest says only how. */
  relist() {
    for (const m of this.playlists.values()) m.list?.().catch(() => {});
  }

  /**
   * asked notes that the player asks for a segment or a part. changed: it plays something else now, or from elsewhere, or by
   * parts; skipped: it passes over some; delivered: the end of the one before, ns, if the player has that.
   * @param {Record} r
   */
  asked(r) {
    const m = r.media, last = this.last.get(m.kind);
    const end = last ? last.r.start + last.r.duration : r.start;
    const parts = r.part || (m.parts && !r.parts);
    const skipped = r.start > end + SLIP;
    const moved = skipped || this.active.get(m.kind) !== m || r.start < m.from;
    if (moved) m.from = r.start;
    const changed = moved || parts !== m.parts;
    m.parts = parts;
    this.active.set(m.kind, m);
    this.last.set(m.kind, { r, done: false });
    return { changed, skipped, delivered: last?.done && r.start > last.r.start ? end : null };
  }

  /** done notes that the player has been given a segment. @param {Record} r */
  done(r) {
    const last = this.last.get(r.media.kind);
    if (last?.r === r) last.done = true;
  }

  /**
   * manifest is what the player plays, as the engine sees it: the playlists that play at once become one. It is null before
   * the player has asked for a segment.
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
          if (r.initSection || r.gap || r.hint || r.start + r.duration <= m.from) continue;
          if (m.parts ? r.parts : r.part) continue; // either a segment or its parts
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
