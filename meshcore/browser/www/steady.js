// Requests to an origin whose answers may stand still: where no byte comes for a while, a fresh request asks for the rest.

const HEAD = 5000; // ms for the head of an answer; twice as long with each try, for a busy origin must not be asked more often
const BODY = 4000; // ms for the next byte
const TRIES = 3;

/**
 * @typedef {object} Wanted
 * @property {string} url
 * @property {RequestInit & {headers: Object<string, string>}} init
 * @property {number} from
 * @property {number} to exclusive, 0 for no end
 * @property {boolean} held the origin may wait with the answer
 * @property {(bytes: number) => void} came is called with each piece, and with 0 for a head
 *
 * @typedef {Response & {stop: AbortController}} Stoppable
 */

/** stoppable is a controller that an outer signal aborts, too. @param {AbortSignal} signal */
export function stoppable(signal) {
  const c = new AbortController(), end = () => c.abort();
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true, signal: c.signal });
  return c;
}

/** open sends a request until a head comes. @param {Wanted} w @param {AbortSignal} signal @returns {Promise<Stoppable>} */
async function open(w, signal) {
  const range = w.from || w.to ? { Range: `bytes=${w.from}-${w.to ? w.to - 1 : ""}` } : {};
  for (let n = 0; ; n++) {
    const stop = stoppable(signal);
    const timer = w.held ? 0 : setTimeout(() => stop.abort(), HEAD << n);
    try {
      return Object.assign(await fetch(w.url, { ...w.init, headers: { ...w.init.headers, ...range }, signal: stop.signal }), { stop });
    } catch (error) {
      if (signal.aborted || !stop.signal.aborted || n === TRIES - 1) throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** version is what tells that two answers are of the same bytes (RFC 9110, section 8.8), "" if nothing does. @param {Headers} h */
const version = (h) => (/^"/.test(h.get("ETag") ?? "") && h.get("ETag")) || h.get("Last-Modified") || "";

/** get asks for bytes. @param {Wanted} w @param {AbortSignal} signal */
export async function get(w, signal) {
  const r = await open(w, signal);
  if (r.ok) w.came(0);
  return { status: r.status, headers: r.headers, body: r.ok && r.body ? pieces(w, r, signal) : none() };
}

async function* none() {}

/** @param {Wanted} w @param {Stoppable} r @param {AbortSignal} signal */
async function* pieces(w, r, signal) {
  const known = version(r.headers);
  let at = r.status === 206 ? w.from : 0;
  for (let n = 1; ; n++) {
    const reader = r.body.getReader();
    try {
      for (;;) {
        const { stop } = r, timer = setTimeout(() => stop.abort(), BODY);
        const { done, value } = await reader.read().finally(() => clearTimeout(timer));
        if (done) return;
        at += value.length;
        w.came(value.length);
        yield value;
      }
    } catch (error) {
      if (signal.aborted || n === TRIES || !known) throw error;
    } finally {
      reader.cancel().catch(() => {});
    }
    r = await open({ ...w, from: at }, signal);
    const starts = Number(/^bytes (\d+)-/.exec(r.headers.get("Content-Range") ?? "")?.[1]);
    if (r.status !== 206 || starts !== at || version(r.headers) !== known) {
      r.stop.abort();
      throw new Error("the rest is of another version, or unavailable");
    }
  }
}
