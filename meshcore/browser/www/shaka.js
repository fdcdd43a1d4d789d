// A networking scheme plugin for Shaka Player, for pages without the service worker:
//
//   import { register } from "/mesh/shaka.js";
//   register(shaka);
//
// What the mesh does not bring is loaded by Shaka's own plugin.

import { mesh } from "./mesh.js";

const PROGRESS = 100; // ms between two progress events, as with Shaka's own plugin

/** register puts the mesh before Shaka's plugins for http and https. @param {any} shaka the namespace of Shaka Player, version 4 or later */
export function register(shaka) {
  const { NetworkingEngine, HttpFetchPlugin, HttpXHRPlugin } = shaka.net;
  const { AbortableOperation } = shaka.util;
  const own = HttpFetchPlugin.isSupported(new Map()) ? HttpFetchPlugin.parse : HttpXHRPlugin.parse;
  const { SEGMENT, MANIFEST } = NetworkingEngine.RequestType;
  const utf8 = new TextDecoder();
  mesh.run();
  const plugin = (/** @type {string} */ uri, /** @type {any} */ request, /** @type {number} */ type, /** @type {any[]} */ ...rest) => {
    const plain = () => own(uri, request, type, ...rest);
    const { headers, allowCrossSiteCredentials } = request;
    mesh.carry(allowCrossSiteCredentials ? "include" : "", headers.Authorization ?? headers.authorization);
    if (type === MANIFEST) {
      return plain().chain(async (/** @type {any} */ response) => {
        await mesh.playlist(uri, response.uri, utf8.decode(response.data), response.headers["mesh-bootstrap"] ?? null).catch(() => {});
        return response;
      });
    }
    if (type !== SEGMENT) return plain();
    const abort = new AbortController();
    const answer = mesh.request(uri, request.headers.Range ?? request.headers.range ?? null, abort.signal);
    if (!answer) return plain();
    if (!("head" in answer)) return answer.tee ? plain().chain((/** @type {any} */ response) => show(answer.tee, response)) : plain();
    const begun = performance.now();
    // Shaka samples the bandwidth with each progress, and takes no small sample.
    const [progress, , config] = rest;
    let n = 0, at = begun;
    const deliver = async () => {
      const { head, data } = await mesh.read(answer, (loaded, total) => {
        const now = performance.now();
        if (loaded < total && (now - at < PROGRESS || loaded - n < (config?.minBytesForProgressEvents ?? 0))) return;
        progress?.(now - at, loaded - n, total - loaded);
        n = loaded;
        at = now;
      });
      return {
        uri, originalUri: uri, data, status: head.status, fromCache: false, timeMs: performance.now() - begun,
        headers: Object.fromEntries(head.headers.map(([name, value]) => [name.toLowerCase(), value])),
      };
    };
    /** @type {any} */
    let fallback = null;
    return new AbortableOperation(deliver().catch((error) => {
      if (abort.signal.aborted) throw error;
      fallback = plain();
      return fallback.promise;
    }), async () => {
      abort.abort();
      await fallback?.abort();
    });
  };
  for (const scheme of ["http", "https"]) NetworkingEngine.registerScheme(scheme, plugin, NetworkingEngine.PluginPriority.APPLICATION, true);
}

/** show shows the mesh a segment that came from the origin. @param {any} tee @param {any} response */
function show(tee, response) {
  tee.whole(response.status ?? (response.headers["content-range"] ? 206 : 200), new Headers(response.headers), response.data);
  return response;
}
