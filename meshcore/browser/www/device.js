// What the viewer plays on, and what follows from it: no upload over a cellular connection, with Save-Data, on a low
// battery, or in a tab that has been hidden for a while.

const HIDDEN = 5 * 60_000; // ms hidden after which a tab gives nothing
const LOW = 0.2; // of the battery

/** @typedef {boolean|{cellular?: boolean, wifi?: boolean}} Switch */

export class Device {
  /** @param {() => void} changed is called when the rules may say something else */
  constructor(changed) {
    const nav = /** @type {any} */ (navigator);
    this.net = nav.connection;
    this.hidden = false;
    /** @type {{level: number, charging: boolean, addEventListener: Function}|null} */
    this.battery = null;
    this.net?.addEventListener?.("change", changed);
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.timer);
      if (document.hidden) this.timer = setTimeout(() => ((this.hidden = true), changed()), HIDDEN);
      else (this.hidden = false), changed();
    });
    nav.getBattery?.().then((/** @type {any} */ b) => {
      this.battery = b;
      for (const e of ["levelchange", "chargingchange"]) b.addEventListener(e, changed);
      changed();
    }, () => {});
  }

  /** connection is ethernet, wifi, cellular or "" where it is not known. */
  connection() {
    const t = this.net?.type;
    return ["ethernet", "wifi", "cellular"].includes(t) ? t : "";
  }

  #low() {
    return !!this.battery && !this.battery.charging && this.battery.level < LOW;
  }

  /** @param {Switch} s */
  #allows(s) {
    if (typeof s === "boolean") return s;
    return (this.connection() === "cellular" ? s.cellular : s.wifi) !== false;
  }

  /** download says whether to take from peers. @param {Switch} s */
  download(s) {
    return this.#allows(s);
  }

  /**
   * upload says why not to give to peers, or "". A page that speaks of cellular itself decides that.
   * @param {Switch} s
   */
  upload(s) {
    if (!this.#allows(s)) return "switched off";
    if (this.connection() === "cellular" && !(typeof s === "object" && s.cellular)) return "cellular";
    if (this.net?.saveData) return "save-data";
    if (this.#low()) return "battery";
    if (this.hidden) return "hidden";
    return "";
  }

  /** memory is how much of it to use for segments, in bytes; 0 where it is not known. */
  memory() {
    const gib = /** @type {any} */ (navigator).deviceMemory;
    return gib ? Math.min(128, 24 * gib) * 2 ** 20 : 0;
  }

  /** describe is what a session request says of the device. */
  describe() {
    const nav = /** @type {any} */ (navigator);
    const mobile = nav.userAgentData?.mobile ?? /Mobi|Android/i.test(nav.userAgent);
    return {
      kind: mobile ? "mobile" : "desktop",
      connection: this.connection() || undefined,
      memory_mib: nav.deviceMemory ? Math.round(nav.deviceMemory * 1024) : undefined,
      battery: this.battery && !this.battery.charging ? this.battery.level : undefined,
      save_data: this.net?.saveData || undefined,
    };
  }
}
