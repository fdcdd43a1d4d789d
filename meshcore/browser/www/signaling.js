// The signaling WebSocket of a session: hello, renewals, and coming back after it broke.

import { decode, encode } from "./signal.js";

/** @typedef {import("./signal.js").Message} Message */

const FIRST = 1000; // ms before the first try to come back
const LONGEST = 60_000;
const QUIET = 10_000; // ms without a message after which the edge is asked whether it is there
const ANSWER = 5000; // ms in which it has to answer

/**
 * @typedef {object} Events
 * @property {() => void} open the edge has said welcome
 * @property {(pass: string) => void} renewed
 * @property {() => void} network the ICE servers are others
 * @property {(m: Message) => void} message peers, drop, offer, answer, candidate, refuse
 * @property {(afterMS: number) => void} lost another session is due
 */

export class Signaling {
  /** @param {import("./session.js").Session} session @param {Events} events */
  constructor(session, events) {
    this.session = session;
    this.events = events;
    this.tries = 0;
    this.closed = false;
    this.#connect();
    this.#renewLater();
  }

  #connect() {
    const ws = (this.ws = new WebSocket(this.session.signal));
    let welcome = false;
    ws.onopen = () => this.send({ type: "hello", pass: this.session.pass });
    this.#heard();
    ws.onmessage = (e) => {
      this.#heard();
      let m;
      try {
        m = decode(String(e.data));
      } catch (error) {
        if (error.code !== "unknown_type") ws.close();
        return;
      }
      switch (m.type) {
        case "welcome":
          welcome = true;
          this.tries = 0;
          this.events.open();
          break;
        case "pass":
          this.session.pass = m.pass;
          this.session.expires = performance.now() + m.expires_ms;
          if (m.ice_servers) {
            const urls = (/** @type {RTCIceServer[]} */ servers) => JSON.stringify(servers.map((s) => s.urls));
            const other = urls(m.ice_servers) !== urls(this.session.iceServers);
            this.session.iceServers = m.ice_servers;
            if (other) this.events.network();
          }
          this.#renewLater();
          this.events.renewed(m.pass);
          break;
        case "reconnect":
          this.close();
          this.events.lost(m.after_ms ?? 0);
          break;
        case "error": // the edge closes
        case "pong":
          break;
        default:
          this.events.message(m);
      }
    };
    ws.onclose = () => {
      if (this.closed || ws !== this.ws) return;
      clearTimeout(this.quiet);
      // Without a welcome the pass may be the reason: after some tries, or when it has expired, a new session is due.
      if ((!welcome && ++this.tries > 3) || performance.now() > this.session.expires) {
        this.close();
        return this.events.lost(LONGEST * (0.5 + Math.random() / 2));
      }
      const wait = Math.min(LONGEST, FIRST * 2 ** this.tries) * (0.5 + Math.random() / 2);
      this.timer = setTimeout(() => this.#connect(), wait);
    };
  }

  /** #heard notes that something came. A WebSocket to nowhere says nothing by itself for a minute. */
  #heard() {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      this.send({ type: "ping" });
      this.quiet = setTimeout(() => this.again(), ANSWER);
    }, QUIET);
  }

  /** again gives up the WebSocket for a new one, at once. */
  again() {
    if (this.closed) return;
    clearTimeout(this.timer);
    clearTimeout(this.quiet);
    this.ws.onclose = this.ws.onmessage = null; // it may take a minute to close
    this.ws.close();
    this.#connect();
  }

  #renewLater() {
    clearTimeout(this.renewal);
    const left = this.session.expires - performance.now();
    this.renewal = setTimeout(() => {
      this.send({ type: "renew" });
      this.#renewLater(); // again, if no pass comes
    }, Math.max(5000, left * 0.6));
  }

  /** send drops m if the WebSocket is not open. @param {Message} m */
  send(m) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(encode(m));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.renewal);
    clearTimeout(this.quiet);
    this.ws.close();
  }
}
