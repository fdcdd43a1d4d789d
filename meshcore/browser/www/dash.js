// A loader for dash.js, for pages without the service worker:
//
//   import { register } from "/mesh/dash.js";
//   const player = dashjs.MediaPlayer().create();
//   register(player);
//   player.initialize(video, url, true);
//
// What the mesh does not bring is loaded by dash.js as ever; so is a low-latency segment that is not complete yet.

import { mesh } from "./mesh.js";

/**
 * register puts the mesh before what a player loads with. It has to come before initialize.
 * @param {any} player a MediaPlayer of dash.js, version 5 or later
 */
export function register(player) {
  mesh.run();
  player.extend("XHRLoader", loader, true);
  player.addResponseInterceptor(async (/** @type {any} */ response) => {
    const { url, customData, credentials, headers } = response.request;
    mesh.carry(credentials, headers?.Authorization);
    const { tee, request } = customData;
    if (tee && response.data) tee.whole(response.status, new Headers(response.headers), response.data);
    else tee?.end(false);
    customData.tee = null;
    if (request.type === "MPD" && typeof response.data === "string") {
      await mesh.playlist(url, response.url || url, response.data, response.headers["mesh-bootstrap"] ?? null).catch(() => {});
    }
    return response;
  });
}

/** loader makes the methods that take the place of dash.js's own. @this {any} */
function loader() {
  const { load } = this.parent;
  return {
    /** @param {any} request @param {any} response */
    load(request, response) {
      const plain = () => load(request, response);
      const data = request.customData;
      if (request.responseType !== "arraybuffer") return plain();
      const cancel = new AbortController();
      const answer = mesh.request(request.url, request.headers?.Range ?? null, cancel.signal);
      if (answer && !("head" in answer)) data.tee = answer.tee;
      if (!answer || !("head" in answer)) return plain();
      data.abort = () => {
        cancel.abort();
        data.onabort?.();
      };
      deliver(request, response, answer).catch(() => cancel.signal.aborted || plain());
      return true;
    },
  };
}

/** deliver gives dash.js a segment from the mesh. @param {any} request @param {any} response @param {any} answer */
async function deliver(request, response, answer) {
  const { head, data } = await mesh.read(answer, (loaded, total) => request.customData.onprogress?.({ lengthComputable: true, loaded, total }));
  response.url = request.url;
  response.status = head.status;
  response.statusText = "OK";
  response.headers = Object.fromEntries(head.headers.map((/** @type {[string, string]} */ [name, value]) => [name.toLowerCase(), value]));
  response.data = data;
  request.customData.onloadend?.();
}
