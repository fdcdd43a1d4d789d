// What a viewer checks before it believes a neighbor: passes, segment tokens, chunks. A neighbor is given what its own
// pass covers.

import { id as segmentId, Layout } from "./integrity.js";
import { covers } from "./tokens.js";

/** @typedef {import("./store.js").Proof} Proof */

export class Trust {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    /** @type {Map<string, import("./tokens.js").Pass>} of neighbors */
    this.passes = new Map();
  }

  /**
   * pass checks and keeps the pass that a peer shows; left is for how many seconds it is good. null if it is not.
   * @param {string} peer
   * @param {string} token
   */
  async pass(peer, token) {
    try {
      const now = this.session.now();
      const pass = await this.session.verifier.pass(token, now);
      if (pass.peer !== peer || pass.swarm !== this.session.swarm) return null;
      this.passes.set(peer, pass);
      return { left: pass.expires - now, receiveOnly: pass.receiveOnly };
    } catch {
      return null;
    }
  }

  /** forget drops the pass of a peer. @param {string} peer */
  forget(peer) {
    this.passes.delete(peer);
  }

  /** mayHave says whether a neighbor's pass covers a segment. @param {string} peer @param {Proof} proof */
  mayHave(peer, proof) {
    const pass = this.passes.get(peer);
    return !!pass && covers(pass.scope, proof.path);
  }

  /**
   * proof checks a statement about a segment; null if it is not good, or of another one.
   * @param {string} segment
   * @param {{token: string, hashes: Uint8Array}} s
   * @returns {Promise<Proof|null>}
   */
  async proof(segment, s) {
    try {
      const t = await this.session.verifier.segment(s.token, this.session.now());
      const layout = new Layout(t.size, t.chunkSize);
      const name = t.query ? t.path + "?" + t.query : t.path;
      const named = (await segmentId(name)) === segment || (await segmentId(name, t.offset, t.size)) === segment;
      return named && (await layout.verify(s.hashes, t.root)) ? { token: s.token, hashes: s.hashes, path: t.path, layout } : null;
    } catch {
      return null;
    }
  }
}
