// Passes and segment tokens, as package tokens makes them: compact JWS, Ed25519. Its doc.go has the table of claims.

/** TokenError says why a token is refused; code is malformed, algorithm, wrong_type, critical, unknown_key, signature or expired. */
export class TokenError extends Error {
  /** @param {string} code */
  constructor(code) {
    super("token: " + code);
    this.code = code;
  }
}

/**
 * @typedef {{peer: string, swarm: string, scope: string[], receiveOnly: boolean, key?: Uint8Array, issued: number, expires: number}} Pass times in Unix seconds
 * @typedef {{path: string, query: string, offset: number, size: number, chunkSize: number, root: Uint8Array, issued: number, expires: number}} Segment
 */

const MaxTokenSize = 2048;
const utf8 = new TextEncoder();
const text = new TextDecoder();

/** base64url decodes, and refuses every spelling but one. @param {string} s */
export function base64url(s) {
  if (!/^[\w-]*$/.test(s) || s.length % 4 === 1) throw new TokenError("malformed");
  const raw = atob(s.replaceAll("-", "+").replaceAll("_", "/"));
  if (btoa(raw).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") !== s) throw new TokenError("malformed");
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

/** @param {string} part */
function object(part) {
  const raw = base64url(part);
  let o;
  try {
    o = JSON.parse(text.decode(raw));
  } catch {}
  if (typeof o !== "object" || o === null || Array.isArray(o)) throw new TokenError("malformed");
  return o;
}

/** @param {boolean} ok */
function must(ok) {
  if (!ok) throw new TokenError("malformed");
}

/** @param {unknown} s */
const isName = (s) => typeof s === "string" && /^[!-~]{1,128}$/.test(s);
const int = Number.isSafeInteger;

/** Verifier checks tokens with an edge's public keys. */
export class Verifier {
  /** @param {{keys: any[]}} jwks of the session's answer */
  static async create(jwks) {
    const v = new Verifier();
    for (const k of jwks.keys) {
      if (k.kty !== "OKP" || k.crv !== "Ed25519") continue;
      const key = await crypto.subtle.importKey("jwk", { kty: k.kty, crv: k.crv, x: k.x }, { name: "Ed25519" }, false, ["verify"]);
      v.keys.set(k.kid, key);
    }
    return v;
  }

  constructor() {
    /** @type {Map<string, CryptoKey>} */
    this.keys = new Map();
  }

  /** @param {string} token @param {string} typ */
  async #claims(token, typ) {
    must(token.length <= MaxTokenSize);
    const parts = token.split(".");
    must(parts.length === 3 && parts[0] !== "" && parts[1] !== "");
    const h = object(parts[0]);
    if (h.crit !== undefined) throw new TokenError("critical");
    if (h.alg !== "EdDSA") throw new TokenError("algorithm");
    if (h.typ !== typ) throw new TokenError("wrong_type");
    const key = this.keys.get(h.kid ?? "");
    if (!key) throw new TokenError("unknown_key");
    const signature = base64url(parts[2]);
    base64url(parts[1]);
    const signed = utf8.encode(parts[0] + "." + parts[1]);
    if (signature.length !== 64 || !(await crypto.subtle.verify("Ed25519", key, signature, signed))) throw new TokenError("signature");
    return object(parts[1]);
  }

  /**
   * pass checks a pass; the caller compares peer and swarm, and the paths asked for (covers).
   * @param {string} token
   * @param {number} now Unix seconds
   * @returns {Promise<Pass>}
   */
  async pass(token, now) {
    const c = await this.#claims(token, "mesh-pass+jwt");
    must(isName(c.sub) && isName(c.swm) && Array.isArray(c.scp) && c.scp.length >= 1 && c.scp.length <= 16 && c.scp.every(isPlainPath));
    must(c.rcv === undefined || typeof c.rcv === "boolean");
    const key = c.key && base64url(String(c.key));
    must(!key || key.length === 32);
    must(int(c.iat ?? 0) && (c.iat ?? 0) >= 0 && int(c.exp) && c.exp > (c.iat ?? 0));
    if (now >= c.exp) throw new TokenError("expired");
    return { peer: c.sub, swarm: c.swm, scope: c.scp, receiveOnly: c.rcv === true, key, issued: c.iat ?? 0, expires: c.exp };
  }

  /**
   * segment checks a segment token; the caller compares path, offset and size with what it asked for.
   * @param {string} token
   * @param {number} now Unix seconds
   * @returns {Promise<Segment>}
   */
  async segment(token, now) {
    const c = await this.#claims(token, "mesh-segment+jwt");
    const offset = c.off ?? 0, query = c.qry ?? "", issued = c.iat ?? 0;
    must(isPlainPath(c.pth) && typeof query === "string" && /^[!"$-~]*$/.test(query) && int(offset) && offset >= 0 && int(c.siz) && c.siz >= 1 && int(offset + c.siz));
    must(int(c.chk) && c.chk >= 1 && c.chk <= 1 << 30 && int(issued) && issued >= 0 && int(c.exp) && c.exp > issued && typeof c.rot === "string");
    const root = base64url(c.rot);
    must(root.length === 32);
    if (now >= c.exp) throw new TokenError("expired");
    return { path: c.pth, query, offset, size: c.siz, chunkSize: c.chk, root, issued, expires: c.exp };
  }
}

/** scopeOf gives the scope of one's own pass. @param {string} pass @returns {string[]} */
export const scopeOf = (pass) => object(pass.split(".")[1]).scp;

/** covers says whether one of the scope's prefixes covers a path. @param {string[]} scope @param {string} path */
export const covers = (scope, path) => scope.some((prefix) => coversPath(prefix, path));

/**
 * coversPath says whether a path lies under a scope prefix, on segment boundaries; a path that a server may read as
 * another one is covered by none.
 * @param {string} prefix
 * @param {string} path
 */
export function coversPath(prefix, path) {
  return isPlainPath(prefix) && isPlainPath(path) && path.startsWith(prefix) &&
    (prefix.endsWith("/") || path.length === prefix.length || path[prefix.length] === "/");
}

/** @param {unknown} s */
function isPlainPath(s) {
  if (typeof s !== "string" || s.length > MaxTokenSize || !/^\/([!-~])*$/.test(s) || /[?#\\]/.test(s)) return false;
  if (/%(?![0-9a-f]{2})|%(2f|5c|00)/i.test(s)) return false;
  return !s.split("/").some((part) => /^\.\.?$/.test(part.split(";")[0].replace(/%2e/gi, ".")));
}
