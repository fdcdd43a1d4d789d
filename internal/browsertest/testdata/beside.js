// One page of hls.js, carried by what ?by names: "nothing", "p2p-media-loader", or ours by its "loader" or its "worker".
// Each is put in as its own README says; times count from the navigation.

import Hls from "hls.js";
import { video, src } from "./look.js";

const query = new URLSearchParams(location.search);
const by = query.get("by");
globalThis.seen = { start: 0, worker: 0, neighbor: 0, firstPeerByte: 0, peer: 0, origin: 0, handed: 0, behind: 0 };
video.addEventListener("playing", () => (seen.start ||= performance.now()));
video.addEventListener("timeupdate", () => (seen.behind = hls.latency));

const counted = (peer, origin) => {
  if (peer) seen.firstPeerByte ||= performance.now();
  Object.assign(seen, { peer, origin });
};

async function player() {
  if (by === "nothing") {
    seen.alone = true;
    return new Hls();
  }
  if (by === "p2p-media-loader") {
    const { HlsJsP2PEngine } = await import("p2p-media-loader-hlsjs");
    const bytes = { p2p: 0, http: 0 };
    return new (HlsJsP2PEngine.injectMixin(Hls))({
      p2p: {
        core: { announceTrackers: [query.get("tracker")], rtcConfig: { iceServers: [] } },
        onHlsJsCreated(hls) {
          hls.p2pEngine.addEventListener("onPeerConnect", () => (seen.neighbor ||= performance.now()));
          hls.p2pEngine.addEventListener("onChunkDownloaded", (n, from) => {
            bytes[from] += n;
            counted(bytes.p2p, bytes.http);
          });
        },
      },
    });
  }
  const watch = (mesh) => setInterval(() => {
    const { peerBytes, originBytes, neighbors } = mesh.stats;
    if (neighbors) seen.neighbor ||= performance.now();
    counted(peerBytes, originBytes);
  }, 20);
  if (by === "loader") {
    const { meshLoader } = await import("/mesh/hls.js");
    watch(globalThis.mesh);
    return new Hls({ loader: meshLoader(Hls) });
  }
  // What consent does is what the script tag does.
  const { mesh, consent } = await import("/mesh/mesh.js");
  consent(() => "full").then(() => (seen.worker = performance.now()));
  watch(mesh);
  return new Hls();
}

const hls = await player();
hls.on(Hls.Events.FRAG_LOADED, (_, e) => (seen.handed += e.payload.byteLength));
hls.on(Hls.Events.ERROR, (_, e) => e.fatal && console.error("hls.js", e.type, e.details));
hls.loadSource(src);
hls.attachMedia(video);
