// The URLs of what players ask for, without what is in them for the server alone: viewer tokens, the directives of a
// reload (draft-pantos-hls-rfc8216bis, section 6.2.5), the player's own measures (CTA-5004, CMCD).

const RESERVED = /[:/?#[\]@!$&'()*+,;=]/, SUB_DELIM = /[!$&'()*+,;=]/;
const DIRECTIVE = /^(CMCD|_HLS_(msn|part|skip))(=|$)/;

/**
 * cutURI takes the tokens of some names out of a URI, as CutURI of Go's package tokens does.
 * @param {string} uri
 * @param {string[]} names
 * @returns {{token: string, query: string, without: string}} the first token, "" for none, and its parameter if it was in the query
 */
export function cutURI(uri, names) {
  let token = "", query = "";
  for (const name of names) {
    for (let at = find(uri, name); at >= 0; at = find(uri, name)) {
      const from = at + name.length + 2;
      let end = from;
      while (end < uri.length && !RESERVED.test(uri[end])) end++;
      if (!token) (token = uri.slice(from, end)), (query = /[?&]/.test(uri[at]) ? uri.slice(at + 1, end) : "");
      uri = end < uri.length && SUB_DELIM.test(uri[end]) ? uri.slice(0, at + 1) + uri.slice(end + 1) : uri.slice(0, at) + uri.slice(end);
    }
  }
  return { token, query, without: uri };
}

/** find gives where the delimiter before a token is, -1 for nowhere. @param {string} uri @param {string} name */
function find(uri, name) {
  const query = uri.indexOf("?") < 0 ? uri.length : uri.indexOf("?"), path = uri.slice(0, query);
  const scheme = path.indexOf("://"), start = scheme < 0 ? 0 : scheme + 3;
  for (const d of [";", "/"]) {
    const at = path.indexOf(d + name + "=", start);
    if (at >= 0) return at;
  }
  return uri.startsWith(`?${name}=`, query) ? query : uri.indexOf(`&${name}=`, query);
}

/**
 * Identity is what of URLs is the viewer's: names of viewer tokens and of query parameters, and what a path has of it.
 * @typedef {{names: string[], params: string[], path: RegExp|null}} Identity
 */

/** @param {string} s decodes escapes of unreserved characters, and writes the others in upper case */
const canonicalEscapes = (s) => s.replace(/%[0-9a-f]{2}/gi, (e) => {
  const c = String.fromCharCode(parseInt(e.slice(1), 16));
  return /[\w.~-]/.test(c) ? c : e.toUpperCase();
});

/**
 * key is what a resource is known by: its URL without what is there for the server alone, and without what is the viewer's.
 * @param {string} url
 * @param {Identity} who
 */
export function key(url, { names, params, path }) {
  const { without } = cutURI(plain(url), names);
  if (!without.includes("%") && !params.length && !path) return without;
  const u = new URL(without);
  const query = canonicalEscapes(u.search.slice(1)).split("&").filter((p) => p && !params.includes(p.split("=")[0])).join("&");
  let rest = canonicalPath(u.pathname);
  if (path) rest = rest.replace(path, "").replace(/^(?!\/)/, "/");
  return u.origin + rest + (query && "?" + query);
}

/** nameOf is what the edge and all peers call the resource of a key: its path and query. @param {string} key */
export const nameOf = (key) => {
  const { pathname, search } = new URL(key);
  return pathname + search;
};

/**
 * canonicalPath is the one spelling of a path by which the edge and all peers know a resource, as CanonicalPath of Go's
 * package manifest makes it (RFC 3986, section 6.2.2). Empty segments stay.
 * @param {string} path escaped
 */
export function canonicalPath(path) {
  path = canonicalEscapes(path);
  if (!path.includes("/.")) return path;
  /** @type {string[]} */
  const out = [];
  const segments = path.split("/");
  segments.forEach((s, i) => {
    if (s !== "." && s !== "..") return out.push(s);
    if (s === ".." && out.length > 1) out.pop();
    if (i === segments.length - 1) out.push("");
  });
  return out.join("/");
}

/** plain is a URL without fragment, directives and measures. @param {string} url */
export function plain(url) {
  const [resource, query] = url.split("#")[0].split(/\?(.*)/s);
  const rest = (query ?? "").split("&").filter((p) => p && !DIRECTIVE.test(p));
  return rest.length ? `${resource}?${rest.join("&")}` : resource;
}

/**
 * resolve is the URL that a manifest means, without fragment; null for what is not fetched over HTTP, and for a percent
 * sign that begins no escape, which servers refuse.
 * @param {string} uri
 * @param {string} base
 */
export function resolve(uri, base) {
  try {
    const u = new URL(uri, base);
    if (!/^https?:$/.test(u.protocol) || /%(?![0-9a-f]{2})/i.test(u.pathname)) return null;
    u.hash = "";
    return u.href;
  } catch {
    return null;
  }
}

/** isPlaylist says whether a URL is a manifest's by its name. @param {string} url */
export const isPlaylist = (url) => /^https?:[^?#]*\.(m3u8?|mpd)(;[^/?#]*)?($|\?)/i.test(url);
