// The connections to neighbors: RTCPeerConnections with one ordered, reliable data channel each.

import * as wire from "./wire.js";

/** @typedef {import("./signal.js").Message} Message */

const LABEL = "mesh";
const CONNECT = 15_000; // ms to open a connection
const SLACK = 64 << 10; // bytes that may wait in a channel when a chunk counts as sent
const HIGH = 1 << 20; // bytes in a channel's buffer beyond which messages wait here
const LOW = 512 << 10;
const FLUSH = 2000; // ms to send what is queued before closing
const RESTART = "/restart"; // follows the name of a connection in an offer to look for a path anew

/**
 * @typedef {object} Events
 * @property {(peer: string, relayed: boolean) => void} up
 * @property {(peer: string) => void} down
 * @property {(peer: string) => void} offered
 * @property {(peer: string, m: wire.Message) => void} receive
 * @property {(m: Message) => void} signal
 */

/** Connections holds the connections of one viewer, by peer id. */
export class Connections {
  /** @param {import("./session.js").Session} session @param {Events} events */
  constructor(session, events) {
    this.session = session;
    this.events = events;
    /** @type {Map<string, Connection>} */
    this.all = new Map();
    /** @type {Message} the offer that the engine is asked about */
    this.offered = null;
    this.last = 0;
  }

  /** connect offers a connection. @param {string} peer */
  connect(peer) {
    this.#drop(peer);
    const c = new Connection(this, peer, `${this.session.peer.slice(0, 8)}-${++this.last}`);
    this.all.set(peer, c);
    c.offer();
  }

  /** accept answers the offer of a peer. @param {string} peer */
  accept(peer) {
    const o = this.offered;
    this.#drop(peer);
    if (o?.from !== peer) return this.events.down(peer);
    const c = new Connection(this, peer, o.connection);
    this.all.set(peer, c);
    c.answer(o.sdp);
  }

  /** close refuses the offer of a peer, or sends what is queued and closes; down is not said. @param {string} peer */
  close(peer) {
    if (this.offered?.from === peer) this.events.signal({ type: "refuse", to: peer, connection: this.offered.connection });
    this.#drop(peer);
  }

  /** @param {string} peer */
  #drop(peer) {
    const c = this.all.get(peer);
    this.all.delete(peer);
    c?.close();
  }

  /** signal takes an offer, its refusal, an answer or a candidate. The engine says at once what is to become of an offer. @param {Message} m */
  signal(m) {
    if (m.type === "offer" && m.connection.endsWith(RESTART)) {
      const c = this.all.get(m.from);
      if (c && c.name + RESTART === m.connection) c.again(m.sdp);
      else this.events.signal({ type: "refuse", to: m.from, connection: m.connection });
      return;
    }
    if (m.type === "offer") {
      this.offered = m;
      this.events.offered(m.from);
      this.offered = null;
      return;
    }
    const c = this.all.get(m.from);
    if (!c || (c.name !== m.connection && c.name + RESTART !== m.connection)) return; // of an attempt that was given up
    if (m.type === "answer") c.answered(m.sdp);
    else if (m.type === "refuse") c.refused();
    else if (m.type === "candidate") c.candidate(m.candidate);
  }

  /** @param {string} peer @param {wire.Message} m */
  send(peer, m) {
    this.all.get(peer)?.send(wire.encode(m));
  }

  /** sendChunk calls sent when the path can take another. @param {string} peer @param {string} segment @param {number} index @param {Uint8Array} data @param {Uint8Array} signature @param {() => void} sent */
  sendChunk(peer, segment, index, data, signature, sent) {
    this.all.get(peer)?.sendChunk(segment, index, data, signature, sent);
  }

  /** restart looks for a path anew with all: the network has changed. */
  restart() {
    for (const c of this.all.values()) c.restart();
  }

  closeAll() {
    for (const c of this.all.values()) {
      c.send(wire.encode({ type: wire.Bye, reason: wire.ByeLeaving }));
      c.close();
    }
    this.all.clear();
  }
}

class Connection {
  /** @param {Connections} owner @param {string} peer @param {string} name */
  constructor(owner, peer, name) {
    this.owner = owner;
    this.peer = peer;
    this.name = name;
    /** @type {RTCDataChannel} */
    this.dc = null;
    this.over = false;
    this.ours = false; // we offered it
    /** @type {boolean} a relay is on the path; not known before it is open */
    this.relayed = undefined;
    /** @type {RTCIceCandidateInit[]} */
    this.early = [];
    /** @type {Uint8Array[]} */
    this.queue = []; // frames that wait for the channel
    this.written = 0;
    /** @type {{end: number, sent: () => void}[]} */
    this.unsent = [];
    this.chunks = new wire.Assembler();
    const { iceServers, relayOnly } = owner.session;
    const iceTransportPolicy = relayOnly ? "relay" : "all";
    try {
      this.pc = new RTCPeerConnection({ iceServers, iceTransportPolicy });
    } catch {
      this.pc = new RTCPeerConnection({ iceTransportPolicy }); // a server that this browser does not take
    }
    this.pc.onicecandidate = (e) => e.candidate && this.#signal({ type: "candidate", candidate: plain(e.candidate) });
    this.pc.onconnectionstatechange = () => {
      if (/failed|closed/.test(this.pc.connectionState)) this.#fail();
      else if (this.pc.connectionState === "connected" && this.relayed !== undefined) this.#look();
    };
    // One side is enough to look for another path.
    this.pc.oniceconnectionstatechange = () => this.pc.iceConnectionState === "disconnected" && this.ours && this.restart();
    this.pc.ondatachannel = (e) => (e.channel.label === LABEL && !this.dc ? this.#watch(e.channel) : this.#fail());
    this.timer = setTimeout(() => this.#fail(), CONNECT);
  }

  /** @param {Partial<Message>} m */
  #signal(m) {
    if (!this.over) this.owner.events.signal(/** @type {Message} */ ({ ...m, to: this.peer, connection: m.connection ?? this.name }));
  }

  offer() {
    this.ours = true;
    this.#watch(this.pc.createDataChannel(LABEL));
    this.#try(async () => {
      await this.pc.setLocalDescription();
      this.#signal({ type: "offer", sdp: this.pc.localDescription.sdp });
    });
  }

  /** @param {string} sdp */
  answer(sdp) {
    this.#try(async () => {
      await this.#describe({ type: "offer", sdp });
      await this.pc.setLocalDescription();
      this.#signal({ type: "answer", sdp: this.pc.localDescription.sdp });
    });
  }

  /** @param {string} sdp */
  answered(sdp) {
    if (this.pc.signalingState === "have-local-offer") this.#try(() => this.#describe({ type: "answer", sdp }));
  }

  refused() {
    if (this.pc.signalingState === "have-local-offer") this.#fail();
  }

  /** restart looks for a path anew (RFC 8445, section 9); the channel, and what lies in it, stays. */
  restart() {
    if (this.over || this.dc?.readyState !== "open" || this.pc.signalingState !== "stable") return;
    this.#try(async () => {
      this.pc.restartIce();
      await this.pc.setLocalDescription();
      this.early = []; // candidates that come are of the new description
      this.#signal({ type: "offer", sdp: this.pc.localDescription.sdp, connection: this.name + RESTART });
    });
  }

  /** again answers an offer to look for a path anew. When both make one at once, that of the smaller id stands. @param {string} sdp */
  again(sdp) {
    if (this.pc.signalingState !== "stable" && this.owner.session.peer < this.peer) return;
    this.answer(sdp);
  }

  /** @param {RTCSessionDescriptionInit} d */
  async #describe(d) {
    await this.pc.setRemoteDescription(d);
    const early = this.early;
    this.early = null;
    early?.forEach((c) => this.candidate(c));
  }

  /** @param {RTCIceCandidateInit} c */
  candidate(c) {
    if (!c.candidate) return; // the end of candidates
    if (this.early) {
      if (this.early.length < 64) this.early.push(c);
    } else if (!this.over) {
      this.pc.addIceCandidate(c).catch(() => {}); // one that cannot be used is not missed
    }
  }

  /** @param {() => Promise<void>} step */
  #try(step) {
    step().catch(() => this.#fail());
  }

  /** @param {RTCDataChannel} dc */
  #watch(dc) {
    this.dc = dc;
    dc.binaryType = "arraybuffer";
    dc.bufferedAmountLowThreshold = LOW;
    dc.onbufferedamountlow = () => this.#pump();
    dc.onclose = dc.onerror = () => this.#fail();
    /** @type {wire.Message[]} came before up was said */
    let early = [];
    let opened = false;
    const open = async () => {
      if (opened) return;
      opened = true;
      clearTimeout(this.timer);
      await this.#look();
      if (this.over) return;
      const first = early;
      early = null;
      for (const m of first) this.owner.events.receive(this.peer, m);
      this.#pump();
    };
    dc.onopen = open;
    if (dc.readyState === "open") open();
    dc.onmessage = (e) => {
      if (this.over) return;
      try {
        let m = wire.decode(new Uint8Array(e.data));
        if (m.type === wire.Chunk) m = this.chunks.add(m);
        if (!m) return;
        if (early) early.push(m);
        else this.owner.events.receive(this.peer, m);
      } catch {
        this.#fail();
      }
    };
  }

  /** #look says that the channel is open, and again when a relay has come onto the path or left it. */
  async #look() {
    const relayed = await this.#relayed();
    if (this.over || relayed === this.relayed) return;
    this.relayed = relayed;
    this.owner.events.up(this.peer, relayed);
  }

  /** #relayed says whether a relay is on the path in use. */
  async #relayed() {
    try {
      const stats = await this.pc.getStats();
      const all = [...stats.values()];
      const transport = all.find((s) => s.type === "transport" && s.selectedCandidatePairId);
      const pair = transport ? stats.get(transport.selectedCandidatePairId) : all.find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
      return [pair?.localCandidateId, pair?.remoteCandidateId].some((id) => stats.get(id)?.candidateType === "relay");
    } catch {
      return false;
    }
  }

  /** @param {Uint8Array} frame */
  send(frame) {
    if (this.over) return;
    this.queue.push(frame);
    this.#pump();
  }

  /** @param {string} segment @param {number} index @param {Uint8Array} data @param {Uint8Array} signature @param {() => void} sent */
  sendChunk(segment, index, data, signature, sent) {
    if (this.over) return;
    for (const f of wire.fragments(segment, index, data, signature)) this.queue.push(f);
    this.unsent.push({ end: this.written + this.queue.reduce((n, f) => n + f.length, 0), sent });
    this.#pump();
  }

  /** #pump writes what is queued, and says which chunks have left. */
  #pump() {
    if (this.over || this.dc?.readyState !== "open") return;
    try {
      while (this.queue.length && this.dc.bufferedAmount < HIGH) {
        const frame = this.queue.shift();
        this.dc.send(/** @type {BufferSource & Uint8Array<ArrayBuffer>} */ (frame));
        this.written += frame.length;
      }
    } catch {
      return this.#fail();
    }
    while (this.unsent.length && this.unsent[0].end <= this.written) {
      // What was queued after this chunk may lie in the buffer still.
      const low = this.written - this.unsent[0].end + SLACK;
      this.dc.bufferedAmountLowThreshold = Math.min(low, LOW);
      if (this.dc.bufferedAmount > low) return;
      this.unsent.shift().sent();
    }
    this.dc.bufferedAmountLowThreshold = LOW;
  }

  /** #fail ends the connection from the other side. */
  #fail() {
    if (this.over) return;
    this.#end();
    if (this.owner.all.get(this.peer) === this) {
      this.owner.all.delete(this.peer);
      this.owner.events.down(this.peer);
    }
  }

  #end() {
    this.over = true;
    clearTimeout(this.timer);
    this.pc.close();
  }

  close() {
    if (this.over) return;
    this.#pump();
    this.over = true;
    clearTimeout(this.timer);
    const dc = this.dc;
    if (dc?.readyState !== "open" || !dc.bufferedAmount) return this.pc.close();
    dc.bufferedAmountLowThreshold = 0;
    const timer = setTimeout(() => this.pc.close(), FLUSH);
    dc.onbufferedamountlow = () => (clearTimeout(timer), this.pc.close());
  }
}

/** @param {RTCIceCandidate} c @returns {RTCIceCandidateInit} */
const plain = ({ candidate, sdpMid, sdpMLineIndex, usernameFragment }) => ({ candidate, sdpMid, sdpMLineIndex, usernameFragment });
