// The player's clock: where the playhead is on the timeline of the playlists, and how well it plays. It looks at the
// page's media element where there is one, else it estimates from what is asked for.

const Second = 1e9;
const LOOKS = 6; // requests after which a player has begun, whatever its media element says

export class Player {
  /** @param {() => void} moved is called when it starts, stalls, goes on, or is moved */
  constructor(moved) {
    this.moved = moved;
    /** @type {HTMLMediaElement} */
    this.media = null;
    /** Media time plus offset is timeline time, ns; null while it is not known. @type {number|null} */
    this.offset = null;
    this.fixed = false;
    this.misfits = 0;
    // The estimate without a media element.
    this.guess = 0;
    this.guessAt = -1; // performance.now(), -1 before the first request
    this.asks = 0;
    // Quality.
    this.firstAsk = 0;
    this.startup = 0; // ms
    this.stalls = 0;
    this.stallMS = 0;
    this.stalledAt = 0;
    this.played = 0; // s
    this.lastTime = 0;
  }

  /** attach observes a media element. @param {HTMLMediaElement} media */
  attach(media) {
    if (this.media === media) return;
    this.detach?.abort();
    this.detach = new AbortController();
    this.media = media;
    const on = (/** @type {string} */ type, /** @type {() => void} */ f) => media.addEventListener(type, f, { signal: this.detach.signal });
    on("playing", () => {
      if (!this.startup && this.firstAsk) this.startup = Math.max(1, Math.round(performance.now() - this.firstAsk));
      if (this.stalledAt) this.stallMS += performance.now() - this.stalledAt;
      this.stalledAt = 0;
      this.moved();
    });
    on("waiting", () => {
      if (this.startup && !media.seeking && !media.ended && !this.stalledAt) {
        this.stalls++;
        this.stalledAt = performance.now();
      }
      this.moved();
    });
    on("timeupdate", () => {
      const d = media.currentTime - this.lastTime;
      if (d > 0 && d < 2) this.played += d;
      this.lastTime = media.currentTime;
    });
    for (const e of ["play", "pause", "seeked", "ratechange", "ended"]) on(e, () => this.moved());
    on("emptied", () => {
      if (!this.fixed) this.offset = null;
      this.moved();
    });
  }

  /** find takes the page's media element: the largest that is not paused, else the largest. */
  find() {
    if (this.media?.isConnected) return;
    const area = (/** @type {HTMLMediaElement} */ m) => m.clientWidth * m.clientHeight + (m.paused ? 0 : 1e9);
    const all = [...document.querySelectorAll("video, audio")].map((m) => /** @type {HTMLMediaElement} */ (m));
    if (all.length) this.attach(all.reduce((a, b) => (area(b) > area(a) ? b : a)));
  }

  /** zero says that media time is timeline time, as it is for a stream that has ended. */
  zero() {
    this.fixed = true;
    this.offset = 0;
  }

  /** buffered is how far the media element has bytes, in ns of its time, or null. */
  buffered() {
    const b = this.media?.buffered;
    return b?.length ? b.end(b.length - 1) * Second : null;
  }

  /**
   * asked notes that the player asks for a segment. delivered is the end of the one it was given before, ns, or null: by
   * now it should be in the buffer. A player that passes over segments is moved, or looked at one only to see what it is.
   * @param {number} start ns
   * @param {number|null} delivered
   * @param {boolean} skipped it passes over some
   */
  asked(start, delivered, skipped) {
    this.find();
    const now = performance.now();
    this.firstAsk ||= now;
    const at = this.guessAt < 0 ? start : this.#guessed();
    this.guess = skipped || start < at ? start : at;
    this.guessAt = now;
    this.asks++;
    const end = this.buffered();
    if (this.fixed || delivered === null || end === null) return;
    // What was given last may not be in the buffer yet, so the least that was seen is nearest.
    const offset = delivered - end;
    if (this.offset === null || offset < this.offset) this.offset = offset;
    else if (offset > this.offset + Second && ++this.misfits >= 3) this.offset = offset;
    else if (offset <= this.offset + Second) this.misfits = 0;
  }

  /** position is where the playhead is, ns. */
  position() {
    if (this.media && this.offset !== null) return Math.trunc(this.media.currentTime * Second + this.offset);
    return this.#guessed();
  }

  #guessed() {
    return Math.trunc(this.playing() && this.guessAt >= 0 ? this.guess + (performance.now() - this.guessAt) * 1e6 : this.guess);
  }

  /** begun says whether the player has something to play; before, it may only be looking what there is, and from where. */
  begun() {
    return this.buffered() !== null || this.asks > LOOKS;
  }

  /** playing says whether the playhead runs. */
  playing() {
    const m = this.media;
    if (!m) return this.guessAt >= 0;
    return !m.paused && !m.ended && m.readyState >= 3 && !m.seeking;
  }

  /** bufferMS is the media buffered ahead of the playhead. */
  bufferMS() {
    const end = this.buffered();
    return end === null ? 0 : Math.max(0, Math.round(end / 1e6 - this.media.currentTime * 1000));
  }

  /** quality is the player's part of a report. */
  quality() {
    const stalled = this.stalledAt ? performance.now() - this.stalledAt : 0;
    return {
      startup_ms: this.startup, stalls: this.stalls, stall_ms: Math.round(this.stallMS + stalled),
      played_ms: Math.round(this.played * 1000), buffer_ms: this.bufferMS(),
    };
  }
}
