// The inputs and effects of an engine: meshcore/peer/input.go says what each means and what the driver owes. Kinds are
// the names that the scenario files use.

export const Tick = "tick", ManifestIn = "manifest", Play = "play", Need = "need";
export const NeighborUp = "neighbor_up", NeighborDown = "neighbor_down", Offered = "offered", Receive = "receive", Sent = "sent";
export const PassChecked = "pass_checked", ProofChecked = "proof_checked", ChunkChecked = "chunk_checked";
export const OriginProof = "origin_proof", OriginChunk = "origin_chunk", OriginDone = "origin_done", OriginTimed = "origin_timed";
export const SignalIn = "signal", Joined = "joined", SetUpload = "set_upload", Renewed = "renewed";
export const NetworkChanged = "network_changed";

export const Connect = "connect", Accept = "accept", Disconnect = "disconnect", Send = "send";
export const SendChunk = "send_chunk", SendProof = "send_proof";
export const CheckPass = "check_pass", CheckProof = "check_proof", CheckChunk = "check_chunk";
export const FetchOrigin = "fetch_origin", Complete = "complete", Evict = "evict", Signal = "signal";

/**
 * Segment is one media segment. start and duration are ns on the presentation's timeline; sequence is below 0 if there is
 * none; size is 0 if not known.
 * @typedef {{id: string, sequence: number, start: number, duration: number, size: number, private: boolean}} Segment
 *
 * Manifest is a media playlist as the engine sees it. number is 16 hexadecimal digits; what starts before from is not
 * wanted.
 * @typedef {{rendition: string, number: string, live: boolean, from: number, segments: Segment[]}} Manifest
 *
 * @typedef {object} Input
 * @property {string} kind
 * @property {string} [peer]
 * @property {string} [segment]
 * @property {number} [chunk]
 * @property {boolean} [ok]
 * @property {boolean} [playing]
 * @property {boolean} [relayed]
 * @property {number} [bytes]
 * @property {number} [position] ns
 * @property {number} [within] ns
 * @property {number} [took] ns
 * @property {import("../integrity.js").Layout} [layout]
 * @property {import("../wire.js").Message} [message]
 * @property {Manifest} [manifest]
 * @property {import("../signal.js").Message} [signal]
 * @property {string} [pass]
 * @property {boolean} [receiveOnly]
 *
 * @typedef {object} Effect
 * @property {string} kind
 * @property {string} [peer]
 * @property {string} [segment]
 * @property {number} [chunk]
 * @property {bigint} [chunks]
 * @property {Uint8Array} [data]
 * @property {import("../wire.js").Message} [message]
 * @property {import("../signal.js").Message} [signal]
 */
