// Session keys, and the signatures that hold a peer to what it gave: meshcore/integrity/given.go, and
// examples/peer/viewer/evidence.go.

export const ED = "Ed25519";
const utf8 = new TextEncoder();

/** base64 encodes. @param {Uint8Array} b */
export const base64 = (b) => btoa(String.fromCharCode(...b));

/** makeKey makes a session key; shown is its public half, in base64. */
export async function makeKey() {
  const { privateKey, publicKey } = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey(ED, false, ["sign", "verify"]));
  return { key: privateKey, shown: base64(new Uint8Array(await crypto.subtle.exportKey("raw", publicKey))) };
}

/**
 * given is what a peer signs with each chunk that it gives.
 * @param {string} swarm
 * @param {string} segment
 * @param {Uint8Array} root
 * @param {number} index
 * @param {Uint8Array} hash
 */
export function given(swarm, segment, root, index, hash) {
  const id = segment.match(/../g).map((x) => parseInt(x, 16));
  return new Uint8Array([...utf8.encode("mesh chunk given\n"), ...id, ...root, index, ...hash, ...utf8.encode(swarm)]);
}
