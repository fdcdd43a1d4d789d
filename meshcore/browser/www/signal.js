// The messages on the signaling WebSocket, as package meshcore/signal has them. Message and field names are those of
// the JSON.

export const MaxMessage = 64 << 10; // bytes
export const MaxSDP = 32 << 10;
const MaxText = 256;
export const MaxFailed = 64;
export const MaxPeers = 64;

/**
 * @typedef {{rank: number, of: number, fetchers: number}} Duty
 * @typedef {{id: string, rendition?: string, upload: boolean, initiate: boolean}} PeerInfo
 * @typedef {Record<string, number>} Report
 * @typedef {{pass: string, token: string, hashes: string, index: number, hash: string, signature: string}} Evidence bytes are base64
 * @typedef {{type: string, pass?: string, expires_ms?: number, ice_servers?: RTCIceServer[], announce_ms?: number,
 *   report_ms?: number, rendition?: string, live?: boolean, position_ms?: number, neighbors?: number, relayed?: number, want?: number,
 *   upload?: boolean, uplink_bps?: number, failed?: string[], peers?: PeerInfo[], duty?: Duty, swarm_size?: number, origin_wait_ms?: number,
 *   to?: string, from?: string, connection?: string, sdp?: string, candidate?: RTCIceCandidateInit, report?: Report,
 *   peer?: string, segment?: string, reason?: string, evidence?: Evidence, after_ms?: number, code?: string, detail?: string}} Message
 */

/** SignalError is what decode throws; code is too_large, bad_json, unknown_type or bad_field. */
export class SignalError extends Error {
  /** @param {string} code @param {string} [detail] */
  constructor(code, detail = "") {
    super(detail ? `${code}: ${detail}` : code);
    this.code = code;
  }
}

/** A shape is "s" string, "i" integer, "b" boolean, "x" id, a number: a string of at most so many bytes; [shape]; {name: shape}. */
const shape = {
  type: "s", pass: 2048, expires_ms: "i", ice_servers: [{ urls: ["s"], username: "s", credential: "s" }],
  announce_ms: "i", report_ms: "i", rendition: "s", live: "b", position_ms: "i", neighbors: "i", relayed: "i", want: "i", upload: "b",
  uplink_bps: "i", failed: ["x"], peers: [{ id: "x", rendition: "s", upload: "b", initiate: "b" }],
  duty: { rank: "i", of: "i", fetchers: "i" }, swarm_size: "i", origin_wait_ms: "i", to: "x", from: "x", connection: MaxText, sdp: MaxSDP,
  candidate: { candidate: 2048, sdpMid: MaxText, sdpMLineIndex: "i", usernameFragment: MaxText },
  report: Object.fromEntries("peer origin relayed uploaded duplicate".split(" ").map((n) => [n + "_bytes", "i"])
    .concat("bad_chunks startup_ms stalls stall_ms played_ms buffer_ms neighbors".split(" ").map((n) => [n, "i"]))),
  peer: "x", segment: "x", reason: MaxText, after_ms: "i", code: MaxText, detail: "s",
};

const utf8 = new TextEncoder();
/** @param {string} s */
const size = (s) => utf8.encode(s).length;

/** @param {any} v @param {any} want @param {string} name */
function fit(v, want, name) {
  if (v === null || v === undefined) return;
  const bad = () => { throw new SignalError("bad_field", name); };
  if (Array.isArray(want)) {
    if (!Array.isArray(v)) bad();
    for (const x of v) fit(x, want[0], name);
  } else if (typeof want === "object") {
    if (typeof v !== "object" || Array.isArray(v)) bad();
    for (const k in want) fit(v[k], want[k], k);
  } else if (want === "i") {
    if (typeof v !== "number" || !Number.isInteger(v) || v >= 2 ** 63) bad();
  } else if (want === "b") {
    if (typeof v !== "boolean") bad();
  } else if (typeof v !== "string" || (want === "x" && !/^[0-9a-fA-F]{16}$/.test(v)) || (want > 0 && size(v) > want)) {
    bad();
  }
}

/** @param {string[]} names */
const needs = (...names) => (/** @type {any} */ m) => {
  for (const n of names) if (!m[n]) throw new SignalError("bad_field", n + " is missing");
};
/** @param {Message} m */
const addressed = (m) => {
  if (!m.to && !m.from) throw new SignalError("bad_field", "to is missing");
};
/** @param {any} o @param {string[]} names */
const count = (o, ...names) => {
  for (const n of names) if (o[n] < 0 || o[n] > 2 ** 53) throw new SignalError("bad_field", n);
};

/** What each type needs. @type {Record<string, ((m: Message) => void)[]>} */
const checks = {
  hello: [needs("pass")],
  pass: [needs("pass")],
  welcome: [], renew: [], leave: [], ping: [], pong: [], reconnect: [], error: [],
  announce: [(m) => {
    count(m, "neighbors", "relayed", "uplink_bps", "position_ms", "want");
    const r = m.rendition ?? "";
    if (m.want > MaxPeers || (m.failed?.length ?? 0) > MaxFailed || size(r) > MaxText || /[\0-\x1f]/.test(r)) throw new SignalError("bad_field");
  }],
  peers: [(m) => {
    const d = m.duty;
    if ((m.peers?.length ?? 0) > MaxPeers || (d && !(d.of >= 1 && d.rank >= 0 && d.rank < d.of && d.fetchers >= 0))) throw new SignalError("bad_field");
  }],
  offer: [addressed, needs("connection", "sdp")],
  answer: [addressed, needs("connection", "sdp")],
  candidate: [addressed, needs("connection", "candidate"), (m) => {
    if (m.candidate.sdpMLineIndex > 65535) throw new SignalError("bad_field", "sdpMLineIndex");
  }],
  refuse: [addressed, needs("connection")],
  report: [needs("report"), (m) => count(m.report, ...Object.keys(shape.report))],
  complain: [needs("peer")],
  drop: [needs("peer")],
};

/**
 * decode reads a frame and checks that the fields its type needs are there and within limits. It throws SignalError.
 * @param {string} frame
 * @returns {Message}
 */
export function decode(frame) {
  if (size(frame) > MaxMessage) throw new SignalError("too_large");
  let m;
  try {
    m = JSON.parse(frame);
  } catch {
    throw new SignalError("bad_json");
  }
  if (typeof m !== "object" || m === null || Array.isArray(m)) throw new SignalError("bad_json");
  fit(m, shape, "");
  // The edge writes the two line separators of Unicode as six bytes.
  if (m.sdp && size(JSON.stringify(m.sdp).replace(/[\u2028\u2029]/g, "\\u2028")) - 2 > MaxSDP * 1.5) throw new SignalError("bad_field", "sdp");
  const check = Object.hasOwn(checks, m.type ?? "") && checks[m.type];
  if (!check) throw new SignalError("unknown_type");
  for (const c of check) c(m);
  return m;
}

/** encode gives the frame of m. @param {Message} m */
export const encode = (m) => JSON.stringify(m);
