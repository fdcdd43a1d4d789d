// Playlists, their timeline, and the Mesh-Bootstrap header.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parse, Second, Timeline } from "../www/playlist.js";
import { bootstrap } from "../www/session.js";

const base = "https://example.com/live/index.m3u8";
const window = (first, lines) => parse(`#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${first}\n${lines}`, base);
const segments = (first, n) => Array.from({ length: n }, (_, i) => `#EXTINF:2.0,\nseg-${first + i}.m4s`).join("\n");

test("multivariant playlist", () => {
  const p = parse('#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a,b",URI="a0/index.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv0/index.m3u8?x=1#y\n', base);
  assert.deepEqual(p.children, [
    { url: "https://example.com/live/a0/index.m3u8", kind: "AUDIO" },
    { url: "https://example.com/live/v0/index.m3u8?x=1", kind: "main" },
  ]);
  assert.throws(() => parse("<html>", base));
});

test("media playlist", () => {
  const p = parse("#EXTM3U\r\n#EXT-X-TARGETDURATION:3\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"700@0\"\r\n" +
    "#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:00:00Z\r\n#EXTINF:2.5,\r\n#EXT-X-BYTERANGE:100@700\r\nall.mp4\r\n#EXTINF:2,\r\n" +
    "#EXT-X-BYTERANGE:50\r\nall.mp4\r\n#EXT-X-GAP\r\n#EXTINF:3,\r\nother.mp4\r\n#EXT-X-ENDLIST\r\n", base);
  assert.ok(p.ended);
  assert.equal(p.target, 3 * Second);
  assert.deepEqual(p.segments.map((s) => [s.url.split("/").at(-1), s.offset, s.length, s.sequence, s.duration / Second, s.gap]), [
    ["all.mp4", 700, 100, 7, 2.5, false], ["all.mp4", 800, 50, 8, 2, false], ["other.mp4", 0, 0, 9, 3, true],
  ]);
  assert.equal(p.segments[1].at - p.segments[0].at, 2.5 * Second);
  assert.deepEqual(p.segments[0].init, { url: "https://example.com/live/all.mp4", offset: 0, length: 700 });
});

test("timeline stays over reloads", () => {
  const t = new Timeline();
  assert.deepEqual(t.place(window(10, segments(10, 3)), 0), [20, 22, 24].map((s) => s * Second), "without a clock: sequence times target");
  assert.deepEqual(t.place(window(12, segments(12, 3)), 0), [24, 26, 28].map((s) => s * Second), "one in common");
  assert.deepEqual(t.place(window(20, segments(20, 2)), 0), [40, 42].map((s) => s * Second), "all in between were missed");
  assert.equal(t.end(), 44 * Second);
  assert.deepEqual(new Timeline().place(window(5, segments(5, 2)), 100 * Second), [96, 98].map((s) => s * Second), "at the edge of another");
  assert.deepEqual(new Timeline().place(window(5, segments(5, 2) + "\n#EXT-X-ENDLIST"), 100 * Second), [0, 2 * Second], "on demand");
});

test("Mesh-Bootstrap", () => {
  const url = "https://example.com/live/v0/index.m3u8";
  assert.deepEqual(bootstrap('v=1, session="/mesh/session", swarm="a\\"b"', url), { session: "https://example.com/mesh/session", swarm: 'a"b', manifest: "/live/v0/index.m3u8", who: { names: [], params: [], path: null } });
  assert.deepEqual(bootstrap('new;x="v=2", swarm="s";p=1,session="../../mesh/session",v=1,token="a b"', url), { session: "https://example.com/mesh/session", swarm: "s", manifest: "/live/v0/index.m3u8", who: { names: ["a", "b"], params: [], path: null } });
  assert.equal(bootstrap('v=1, session="/s", swarm="s", token="t"', url + "?x=1&t=T").manifest, "/live/v0/index.m3u8?x=1", "without its viewer token");
  for (const bad of ["", "v=2, session=\"/s\", swarm=\"x\"", "v=1, session=\"/s\"", "v=1, swarm=\"x\""]) assert.equal(bootstrap(bad, url), null, bad);
});
