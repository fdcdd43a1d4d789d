// What a viewer checks before it believes a neighbor: passes, segment tokens, chunks. A neighbor is given what its own
// pass covers.

import { base64, ED, given } from "./evidence.js";
import { equal, HashSize, id as segmentId, Layout, sha256 } from "./integrity.js";
import { covers } from "./tokens.js";

/** @typedef {import("./store.js").Proof} Proof */

/** @param {Proof} p @param {number} i */
const hashOf = (p, i) => p.hashes.subarray(i * HashSize, (i + 1) * HashSize);

export class Trust {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    /** @type {Map<string, import("./tokens.js").Pass & {token: string, verifies?: CryptoKey}>} of neighbors */
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
      const verifies = pass.key && (await crypto.subtle.importKey("raw", /** @type {BufferSource} */ (pass.key), ED, false, ["verify"]));
      this.passes.set(peer, { ...pass, token, verifies });
      return { left: pass.expires - now, receiveOnly: pass.receiveOnly || !verifies };
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

  /** sign signs a chunk that is given, by the hash that it was checked against. @param {string} segment @param {Proof} p @param {number} i */
  async sign(segment, p, i) {
    return new Uint8Array(await crypto.subtle.sign(ED, this.session.key, given(this.session.swarm, segment, p.root, i, hashOf(p, i))));
  }

  /**
   * chunk checks what a neighbor gave with its signature against the statement in use, and the one before, if there is one.
   * Neither ok, former nor evidence means that the signature is not good.
   * @param {string} peer
   * @param {import("./store.js").Entry} entry
   * @param {string} segment
   * @param {number} index
   * @param {Uint8Array} data
   * @param {Uint8Array} signature
   * @returns {Promise<{ok?: boolean, former?: boolean, evidence?: import("./signal.js").Evidence}>}
   */
  async chunk(peer, { proof, older }, segment, index, data, signature) {
    const pass = this.passes.get(peer), hash = await sha256(data);
    if (!pass) return { former: true }; // who gave it has gone
    for (const p of pass.verifies ? [proof, older] : []) {
      if (!p || !(await crypto.subtle.verify(ED, pass.verifies, /** @type {BufferSource} */ (signature), given(this.session.swarm, segment, p.root, index, hash)))) continue;
      if (equal(hash, hashOf(p, index))) return { [p === proof ? "ok" : "former"]: true };
      return { evidence: { pass: pass.token, token: p.token, hashes: base64(p.hashes), index, hash: base64(hash), signature: base64(signature) } };
    }
    return {};
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
      return named && (await layout.verify(s.hashes, t.root)) ? { ...t, ...s, layout } : null;
    } catch {
      return null;
    }
  }
}
