// POST /mesh/session: opening a session at the edge.

import { makeKey } from "./evidence.js";
import { Verifier } from "./tokens.js";
import { cutURI } from "./url.js";

const OPEN = 10_000; // ms
const RETRY = 5; // s, where the edge does not say

/** Refused: the edge opens no session; the viewer plays from the origin. retry is in ms, 0 for never. */
export class Refused extends Error {
  /** @param {number} status @param {number} retry ms, 0 for never @param {string} [code] */
  constructor(status, retry, code) {
    super(`edge opened no session: status ${status}`);
    this.retry = retry;
    this.code = code;
  }
}

/**
 * Bootstrap is where to open a session, in which swarm, from which manifest (path and query, without viewer token), and what
 * of URLs is the viewer's.
 * @typedef {{session: string, swarm: string, manifest: string, who: import("./url.js").Identity}} Bootstrap
 */

/**
 * bootstrap reads the Mesh-Bootstrap header of a manifest; null if there is none of a version that is known.
 * @param {string} header an RFC 9651 dictionary
 * @param {string} base URL of the manifest
 * @returns {Bootstrap|null}
 */
export function bootstrap(header, base) {
  /** @type {Record<string, string>} */
  const d = {};
  for (const m of header.matchAll(/(?:^|,)\s*([a-z*][a-z0-9_.*-]*)=(?:"((?:[^"\\]|\\["\\])*)"|([^,;\s]+))[^,]*/g)) {
    d[m[1]] = m[2]?.replace(/\\(.)/g, "$1") ?? m[3];
  }
  if (d.v !== "1" || !d.session || !d.swarm) return null;
  const list = (/** @type {string} */ s) => s?.split(" ") ?? [];
  const names = list(d.token), u = new URL(base);
  return {
    session: new URL(d.session, base).href, swarm: d.swarm, manifest: cutURI(u.pathname + u.search, names).without,
    who: { names, params: list(d.params), path: d.path ? new RegExp(d.path) : null },
  };
}

/**
 * Carried is what requests to the edge carry.
 * @typedef {{credentials: RequestCredentials, headers: {[name: string]: string}}} Carried
 *
 * @typedef {object} Session
 * @property {string} swarm
 * @property {CryptoKey} key signs what is given
 * @property {string} peer
 * @property {string} pass
 * @property {Verifier} verifier
 * @property {RTCIceServer[]} iceServers
 * @property {boolean} relayOnly
 * @property {string} signal URL of the WebSocket
 * @property {string} segment URL of the statements
 * @property {Record<string, any>} limits
 * @property {number} originWaitMS that a segment waits at the origin
 * @property {number} announceMS
 * @property {number} reportMS
 * @property {number} expires by performance.now()
 * @property {() => number} now the edge's time, Unix seconds
 */

/** retryAfter is when to ask again what was answered so, ms; 0 for never. @param {Response} r */
export const retryAfter = (r) => (r.status === 429 || r.status >= 500 ? 1000 * (Number(r.headers.get("Retry-After")) || RETRY) : 0);

/**
 * open opens a session. It throws Refused if the edge says no.
 * @param {Bootstrap} b
 * @param {{mode?: string, token?: string, device: object}} request
 * @param {Carried} requests
 * @returns {Promise<Session>}
 */
export async function open(b, request, requests) {
  const { key, shown } = await makeKey();
  const asked = Date.now();
  const response = await fetch(b.session, {
    method: "POST",
    headers: { ...requests.headers, "Content-Type": "application/json" },
    body: JSON.stringify({ v: 1, swarm: b.swarm, manifest: b.manifest, key: shown, ...request }),
    cache: "no-store",
    credentials: requests.credentials,
    signal: AbortSignal.timeout(OPEN),
  });
  if (!response.ok) {
    throw new Refused(response.status, retryAfter(response), (await response.json().catch(() => ({}))).code);
  }
  const a = await response.json();
  if (a.v !== 1 || !a.peer || !a.pass || !(a.expires_ms > 0)) throw new Error("the session is incomplete");
  let ahead = Date.parse(response.headers.get("Date") ?? "") - asked;
  if (!(Math.abs(ahead) > 5000)) ahead = 0; // the header is as exact as that
  const url = new URL(a.signal, b.session);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return {
    swarm: b.swarm, key, peer: a.peer, pass: a.pass, verifier: await Verifier.create(a.keys), iceServers: a.ice_servers ?? [],
    relayOnly: a.relay_only === true, signal: url.href, segment: new URL(a.segment, b.session).href, limits: a.limits ?? {},
    originWaitMS: a.origin_wait_ms ?? 0, announceMS: a.announce_ms, reportMS: a.report_ms, expires: performance.now() + a.expires_ms,
    now: () => (Date.now() + ahead) / 1000,
  };
}
