// A loader for hls.js, for pages without the service worker:
//
//   import Hls from "hls.js";
//   import { meshLoader } from "/mesh/hls.js";
//   const hls = new Hls({ loader: meshLoader(Hls) });
//
// What the mesh does not bring is loaded by hls.js as ever.

import { mesh } from "./mesh.js";

/**
 * meshLoader makes a loader of the one that hls.js brings.
 * @param {any} Hls the class of hls.js, version 1.4 or later
 */
export function meshLoader(Hls) {
  return class extends Hls.DefaultConfig.loader {
    /** @param {any} context @param {any} config @param {any} callbacks */
    load(context, config, callbacks) {
      mesh.run();
      const plain = (/** @type {any} */ then = callbacks) => super.load(context, config, then);
      if (context.responseType !== "arraybuffer") return plain({ ...callbacks, onSuccess: readFirst(callbacks) });
      const range = context.rangeEnd ? `bytes=${context.rangeStart ?? 0}-${context.rangeEnd - 1}` : null;
      this.meshAbort = new AbortController();
      const answer = mesh.request(context.url, range, this.meshAbort.signal);
      if (!answer) return plain();
      if (!("head" in answer)) return plain(answer.tee ? { ...callbacks, onSuccess: show(answer.tee, callbacks) } : callbacks);
      this.context = context;
      this.config = config;
      this.callbacks = callbacks;
      this.stats.loading.start = performance.now();
      deliver(this, answer, callbacks).catch(() => this.meshAbort.signal.aborted || plain());
    }

    abort() {
      this.meshAbort?.abort();
      super.abort();
    }

    destroy() {
      this.meshAbort?.abort();
      super.destroy();
    }
  };
}

/** deliver gives hls.js a segment from the mesh. @param {any} loader @param {any} answer @param {any} callbacks */
async function deliver(loader, answer, callbacks) {
  const { stats, context } = loader;
  const { head, data } = await mesh.read(answer, (loaded, total) => {
    stats.loading.first ||= performance.now();
    stats.loaded = loaded;
    stats.total = total;
  });
  stats.loading.end = performance.now();
  callbacks.onSuccess({ url: context.url, data, code: head.status }, stats, context, null);
}

/** readFirst shows the mesh a playlist before the player reads it. @param {any} callbacks */
const readFirst = (callbacks) => (/** @type {any} */ response, /** @type {any} */ stats, /** @type {any} */ context, /** @type {any} */ details) => {
  const header = details?.getResponseHeader?.("Mesh-Bootstrap") ?? details?.headers?.get("Mesh-Bootstrap") ?? null;
  const text = typeof response.data === "string" ? response.data : "";
  mesh.playlist(context.url, response.url || context.url, text, header).catch(() => {}).finally(() => callbacks.onSuccess(response, stats, context, details));
};

/** show shows the mesh a segment that came from the origin. @param {any} tee @param {any} callbacks */
const show = (tee, callbacks) => (/** @type {any} */ response, /** @type {any} */ stats, /** @type {any} */ context, /** @type {any} */ details) => {
  const headers = new Headers();
  for (const name of ["Content-Type", "Content-Length", "Content-Range", "Mesh-Segment", "Mesh-Digests"]) {
    const value = details?.getResponseHeader?.(name) ?? details?.headers?.get(name);
    if (value) headers.set(name, value);
  }
  tee.whole(response.code ?? 200, headers, response.data, stats.loading.first - stats.loading.start);
  callbacks.onSuccess(response, stats, context, details);
};
