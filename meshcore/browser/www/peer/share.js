// How much of what comes is from the origin: meshcore/peer/share.go.

/** @typedef {import("./engine.js").Engine} Engine */

const busyOften = 10; // times between two reports that neighbors are busy whose uplinks are short
const shortShare = 0.25; // of what comes, from the origin, from which on they are
const earlyShare = 0.5; // of that is taken early

/** Share is how much of what comes is from the origin. */
export class Share {
  lately = 0; // 0 to 1, fading
  origin = 0; // bytes when lately was noted
  peers = 0;
  busy = 0; // times since then that a neighbor was busy

  /** note takes the bytes that came since the last report. @param {Engine["totals"]} r */
  note(r) {
    const own = r.origin_bytes - this.origin, all = own + r.peer_bytes - this.peers;
    this.origin = r.origin_bytes;
    this.peers = r.peer_bytes;
    if (this.busy < busyOften) this.lately /= 2;
    else if (all > 0) this.lately += (own / all - this.lately) / 2;
    this.busy = 0;
  }

  /**
   * early is how many of a rotation take a live segment as soon as it is there. Where much comes from the origin anyway,
   * because uplinks do not carry what all watch, that is more than its fetchers: what they take they have to give.
   * @param {number} of
   */
  early(of) { return this.lately < shortShare ? 0 : earlyShare * this.lately * of; }
}
