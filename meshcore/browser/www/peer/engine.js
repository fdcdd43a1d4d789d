// The viewer's engine: package meshcore/peer, file by file and name by name. doc.go there has the algorithm in prose.
// Times are integers, nanoseconds; masks are BigInt; ids are 16 hexadecimal digits.

import * as wire from "../wire.js";
import { bit } from "./bits.js";
import { never, settle, startUplink, withDefaults } from "./config.js";
import { flushHaves, sendAllHaves } from "./have.js";
import * as k from "./input.js";
import { learnOrigin, Measure } from "./measure.js";
import { onChunkChecked, onMessage, onProof } from "./message.js";
import { announce, connected, lookForPeers, onDown, onOffered, onSignal, onUp } from "./neighbor.js";
import { onOrigin } from "./origin.js";
import { dropExpired, onPass, renew } from "./pass.js";
import { need, onManifest, refreshWanted } from "./player.js";
import { plan } from "./schedule.js";
import { keepWithinBudget } from "./segment.js";
import { onSent, openWindow, overRatio, serve, unqueue } from "./serve.js";
import { Share } from "./share.js";

/** @typedef {import("./neighbor.js").Neighbor} Neighbor */
/** @typedef {import("./segment.js").SegmentState} SegmentState */
/** @typedef {import("./input.js").Effect} Effect */

export class Engine {
  /** @param {import("./config.js").Config} config */
  constructor(config) {
    this.cfg = withDefaults(config);
    /** @type {Effect[]} */
    this.out = [];

    // The player.
    this.rendition = "";
    this.number = "0".repeat(16);
    this.live = false;
    /** @type {import("./input.js").Manifest} */
    this.manifest = null;
    /** @type {SegmentState[]} */
    this.wanted = []; // in playing order, from the playhead on
    this.playing = false;
    this.begun = false; // it has played
    this.playAt = 0; // when the playhead was at playPos
    this.playPos = 0;
    /** @type {SegmentState|null} */
    this.newest = null; // the last of the manifest
    /** @type {SegmentState[]} */
    this.needed = []; // what the player waits for, of each track
    this.waits = false; // it plays nothing, for want of a segment
    this.startedAt = -1;
    this.widenAt = never; // when the next segment of a VOD comes within bufferGoal

    // Segments.
    /** @type {Map<string, SegmentState>} */
    this.table = new Map(); // for look-ups only
    /** @type {SegmentState[]} */
    this.list = []; // the same, in the order they became known
    this.stored = 0; // bytes of segments stored

    // Neighbors.
    /** @type {(Neighbor|null)[]} */
    this.slots = new Array(this.cfg.neighbors).fill(null);
    /** @type {Map<string, Neighbor>} */
    this.byID = new Map(); // for look-ups only
    /** @type {string[]} */
    this.barred = []; // broke the protocol, lied, or were banned
    /** @type {import("./backoff.js").Backoff[]} */
    this.backoffs = []; // neighbors that were slow or could not be reached
    this.swarmSize = -1;
    this.upAt = 0; // when the first neighbor came
    /** @type {import("../signal.js").Duty} */
    this.duty = null;
    this.relayAllowance = 0; // bytes that may be asked over relays
    this.relayAt = 0; // as of when
    this.passAt = never; // when the pass of a neighbor runs out, the first of them

    // The origin.
    this.originRate = this.cfg.originRate; // bytes/s
    this.originDelay = 100e6; // to the first byte, about
    this.originDev = 50e6; // of the time it takes from what was expected
    this.measure = new Measure(); // what the rate is known from
    this.share = new Share(); // of it in what comes
    this.fetches = 0; // under way
    /** @type {SegmentState[]} */
    this.under = []; // that they are of
    this.usual = 0; // bytes of a segment, about
    this.originWait = 0; // that the edge says a chunk waits there
    this.farAt = 0; // when the edge last said that a chunk waits there for asideWait or longer
    this.asideUntil = 0; // until when this peer does not cooperate
    this.scarceUntil = 0; // until when it is taken for one that cannot serve all who ask

    // The uplink.
    this.upload = !this.cfg.receiveOnly;
    this.uploadRate = startUplink; // bytes/s, measured
    /** @type {import("./serve.js").Item[]} */
    this.queue = [];
    this.queueBytes = 0;
    this.measured = false; // uploadRate is no guess any more
    this.inFlight = 0; // bytes handed to the driver and not sent
    this.sentAt = 0; // when the last chunk had left
    this.paceAt = 0; // when the upload limit lets the next chunk go

    // Haves to send.
    /** @type {SegmentState[]} */
    this.haveQueue = [];
    this.haveAt = never; // when to send them
    this.haveSent = 0; // when the last were sent

    // When to act next.
    this.planAt = never;
    this.expireAt = never; // when a neighbor may be late
    this.announceAt = never;
    this.announced = 0;
    this.reportAt = never;

    this.totals = { peer_bytes: 0, origin_bytes: 0, relayed_bytes: 0, uploaded_bytes: 0, duplicate_bytes: 0, bad_chunks: 0 };

    /** @type {SegmentState[]} */
    this.order = []; // scratch of plan
    /** @type {Neighbor[]} */
    this.ready = [];
  }

  /**
   * step takes one input at time now, which counts from any fixed moment and never goes back.
   * @param {number} now
   * @param {import("./input.js").Input} input
   * @returns {Effect[]}
   */
  step(now, input) {
    this.out = [];
    if (this.startedAt < 0) {
      this.startedAt = now;
      this.reportAt = now + this.cfg.reportInterval;
    }
    switch (input.kind) {
      case k.ManifestIn:
        onManifest(this, now, input.manifest);
        break;
      case k.Play:
        this.playing = !!input.playing;
        this.playAt = now;
        this.playPos = input.position;
        this.begun ||= this.playing;
        refreshWanted(this, now);
        this.dirty(now);
        break;
      case k.Need: {
        const s = this.lookup(input.segment);
        if (s && !s.whole) {
          need(this, now, s, now + input.within);
          this.dirty(now);
        }
        break;
      }
      case k.NeighborUp:
        onUp(this, now, input);
        break;
      case k.NeighborDown:
        onDown(this, now, input.peer);
        break;
      case k.Offered:
        onOffered(this, now, input.peer);
        break;
      case k.Receive: {
        const n = this.byID.get(input.peer);
        if (n?.open) onMessage(this, now, n, input.message);
        break;
      }
      case k.Sent:
        onSent(this, now, input);
        break;
      case k.PassChecked:
        onPass(this, now, input);
        break;
      case k.ProofChecked:
        onProof(this, now, input);
        break;
      case k.ChunkChecked:
        onChunkChecked(this, now, input);
        break;
      case k.OriginProof:
      case k.OriginChunk:
      case k.OriginDone:
        onOrigin(this, now, input);
        break;
      case k.OriginTimed:
        learnOrigin(this, now, input);
        break;
      case k.SignalIn:
        onSignal(this, now, input.signal);
        break;
      case k.Joined:
        if (this.manifest) this.announceAt = now;
        break;
      case k.SetUpload:
        this.#setUpload(now, !!input.ok);
        break;
      case k.Renewed:
        renew(this, input.pass);
        break;
      case k.NetworkChanged:
        this.backoffs = [];
        lookForPeers(this, now);
    }
    if (now >= this.passAt) dropExpired(this, now);
    if (now >= this.planAt) plan(this, now);
    if (now >= this.haveAt) flushHaves(this, now);
    serve(this, now);
    if (now >= this.announceAt) announce(this, now);
    if (now >= this.reportAt) {
      this.reportAt = now + this.cfg.reportInterval;
      this.share.note(this.totals);
      keepWithinBudget(this, now);
      this.emit({ kind: k.Signal, signal: { type: "report", report: this.report() } });
    }
    return this.out;
  }

  /** nextDeadline is when step wants to be called with Tick if no input comes before. */
  nextDeadline() {
    let at = Math.min(this.planAt, this.haveAt, this.announceAt, this.reportAt, this.passAt);
    if (this.queue.length && this.paceAt > 0 && this.inFlight < openWindow(this) && !overRatio(this)) at = Math.min(at, this.paceAt);
    return at;
  }

  /** report gives the running totals that the engine knows. @returns {import("../signal.js").Report} */
  report() { return { ...this.totals, neighbors: connected(this) }; }

  /** neighbors is the number of neighbors that passes were exchanged with. */
  neighbors() { return connected(this); }

  /** lookup finds a segment of the table. @param {string} id */
  lookup(id) { return this.table.get(id); }

  /** @param {Effect} f */
  emit(f) { this.out.push(f); }

  /** @param {Neighbor} n @param {wire.Message} message */
  send(n, message) { this.out.push({ kind: k.Send, peer: n.id, message }); }

  /** dirty has the next plan made soon; inputs until then go into the same one. @param {number} now */
  dirty(now) { this.planAt = Math.min(this.planAt, now + settle); }

  /** playhead is where the player is now, in media time. @param {number} now */
  playhead(now) { return this.playing ? this.playPos + now - this.playAt : this.playPos; }

  /** deadline is when the player needs a segment. @param {number} now @param {SegmentState} s */
  deadline(now, s) {
    return Math.min(s.needBy, now + s.start - this.playhead(now));
  }

  /** setUpload switches giving on or off. @param {number} now @param {boolean} on */
  #setUpload(now, on) {
    on = on && !this.cfg.receiveOnly;
    if (on === this.upload) return;
    this.upload = on;
    if (!on) {
      unqueue(this, (it) => {
        this.send(it.n, { type: wire.Reject, segment: it.seg.id, mask: bit[it.index], reason: wire.RejectDenied });
        return true;
      });
    }
    for (const n of this.slots) {
      if (!n?.up) continue;
      this.send(n, { type: wire.Status, flags: this.flags(), rendition: this.number });
      if (on) sendAllHaves(this, n);
    }
    this.announceAt = now;
  }

  flags() { return this.upload ? 0 : wire.FlagNoUpload; }
}
