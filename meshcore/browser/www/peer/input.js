// The inputs and effects of an engine: meshcore/peer/input.go says what each means and what the driver owes.

// Kinds of inputs.
export const Tick = 1, ManifestIn = 2, Play = 3, Need = 4, NeighborUp = 5, NeighborDown = 6, Offered = 7;
export const Receive = 8, Sent = 9, PassChecked = 10, ProofChecked = 11, ChunkChecked = 12, OriginProof = 13, OriginChunk = 14;
export const OriginDone = 15, OriginTimed = 16, SignalIn = 17, Joined = 18, SetUpload = 19, Renewed = 20, NetworkChanged = 21;

// Kinds of effects.
export const Connect = 31, Accept = 32, Disconnect = 33, Send = 34, SendChunk = 35, SendProof = 36, CheckPass = 37;
export const CheckProof = 38, CheckChunk = 39, FetchOrigin = 40, CancelOrigin = 41, Complete = 42, Evict = 43, Signal = 44;

/**
 * Segment is one media segment. start and duration are ns on the presentation's timeline; sequence is below 0 if there is
 * none; size is 0 if not known.
 * @typedef {{id: string, sequence: number, start: number, duration: number, size: number, private: boolean}} Segment
 *
 * Manifest is a media playlist as the engine sees it. number is 16 hexadecimal digits; what starts before from is not
 * wanted; wait is how long the edge says that a chunk waits at its origin, which cannot serve all who ask. Without segments
 * the engine takes nothing of peers.
 * @typedef {{rendition: string, number: string, live: boolean, from: number, wait?: number, segments: Segment[]}} Manifest
 *
 * @typedef {object} Input
 * @property {number} kind
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
 * @property {number} [root]
 * @property {number} [issued] Unix seconds
 * @property {boolean} [former]
 * @property {import("../signal.js").Evidence} [evidence]
 * @property {import("../wire.js").Message} [message]
 * @property {Manifest} [manifest]
 * @property {import("../signal.js").Message} [signal]
 * @property {string} [pass]
 * @property {boolean} [receiveOnly]
 *
 * @typedef {object} Effect
 * @property {number} kind
 * @property {string} [peer]
 * @property {string} [segment]
 * @property {number} [chunk]
 * @property {bigint} [chunks]
 * @property {Uint8Array} [data]
 * @property {Uint8Array} [signature]
 * @property {import("../wire.js").Message} [message]
 * @property {import("../signal.js").Message} [signal]
 */
