// What the engine is told of what the player plays: parts, reloads that leave segments out, variables.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parse, Second } from "../www/playlist.js";
import { Presentation } from "../www/presentation.js";

const base = "https://example.com/live/v0.m3u8";
const names = (records) => records.map((r) => r.url.split("/").at(-1) + (r.length ? `@${r.offset}+${r.length}` : ""));

function presentation(tokens = []) {
  const listed = new Map();
  const p = new Presentation({
    listed: (playlist, segments, inits) => listed.set(playlist, [...segments, ...inits]), changed() {}, ended() {}, kept: () => false, now: () => 0,
  }, { names: tokens, params: [], path: null });
  const engine = () => {
    const byId = new Map([...p.byId].map(([id, r]) => [id, r]));
    return p.manifest(true).segments.map((s) => `${names([byId.get(s.id)])[0]} ${s.start / Second}+${s.duration / Second} #${s.sequence}`);
  };
  return { p, listed, engine };
}

const low = (first, lines) => `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3.0,CAN-SKIP-UNTIL=12.0
#EXT-X-PART-INF:PART-TARGET=1.0
#EXT-X-MEDIA-SEQUENCE:${first}
#EXT-X-MAP:URI="init.mp4"
${lines}`;

const window = low(10, `#EXTINF:2,
s10.m4s
#EXT-X-PART:DURATION=1.0,URI="s11.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.0,URI="s11.1.m4s"
#EXTINF:2,
s11.m4s
#EXT-X-PART:DURATION=1.0,URI="s12.mp4",BYTERANGE="500@0"
#EXT-X-PART:DURATION=0.5,URI="s12.mp4",BYTERANGE="300"
#EXT-X-PART:DURATION=0.5,URI="s12.x.m4s",GAP=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s12.2.m4s"`);

test("parts of a playlist", () => {
  const p = parse(window, base);
  assert.deepEqual(names(p.segments), ["s10.m4s", "s11.m4s"]);
  assert.equal(p.segments[0].parts, undefined);
  assert.deepEqual(names(p.segments[1].parts), ["s11.0.m4s", "s11.1.m4s"]);
  assert.deepEqual(names(p.next), ["s12.mp4@0+500", "s12.mp4@500+300", "s12.x.m4s"]);
  assert.deepEqual(names([p.hint]), ["s12.2.m4s"]);
  assert.equal(p.hint.duration, 1 * Second);
  assert.equal(parse(window.replace('URI="s12.2.m4s"', 'URI="s12.mp4",BYTERANGE-START=800'), base).hint, null, "a range without an end");
  assert.deepEqual(p.next.map((s) => [s.sequence, s.gap]), [[12, false], [12, false], [12, true]]);
});

test("a segment's range goes on from that of the segment before, whatever its parts say", () => {
  const p = parse(low(0, `#EXT-X-PART:DURATION=1,URI="a.mp4",BYTERANGE="60@0"
#EXT-X-PART:DURATION=1,URI="a.mp4",BYTERANGE="40"
#EXTINF:2,
#EXT-X-BYTERANGE:100@0
a.mp4
#EXT-X-PART:DURATION=1,URI="a.mp4",BYTERANGE="70"
#EXTINF:2,
#EXT-X-BYTERANGE:90
a.mp4`), base);
  assert.deepEqual(names(p.segments), ["a.mp4@0+100", "a.mp4@100+90"]);
  assert.deepEqual(names(p.segments.flatMap((s) => s.parts)), ["a.mp4@0+60", "a.mp4@60+40", "a.mp4@100+70"]);
});

test("the engine has a segment or its parts, as the player plays", async () => {
  const { p, listed, engine } = presentation();
  await p.read(base, base, window);
  assert.deepEqual([...listed.keys()], [base]);
  assert.ok(["s11.m4s", "s11.1.m4s", "s12.mp4"].every((name) => listed.get(base).some((u) => u.endsWith(name))));
  const at = (name) => p.index.get(new URL(name, base).href)[0];
  p.asked(at("s10.m4s"));
  assert.deepEqual(engine(), ["s10.m4s 20+2 #10", "s11.m4s 22+2 #11"]);
  assert.ok(p.asked(at("s11.0.m4s")).changed, "that is something else to the engine");
  assert.deepEqual(engine(), ["s10.m4s 20+2 #10", "s11.0.m4s 22+1 #11", "s11.1.m4s 23+1 #11", "s12.mp4@0+500 24+1 #12", "s12.mp4@500+300 25+0.5 #12"]);
  assert.ok(at("s12.2.m4s").hint, "the engine does not have what a hint names");
  await p.read(base, base, window.replace("#EXT-X-PRELOAD-HINT:TYPE=PART", "#EXT-X-PART:DURATION=1"));
  assert.ok(!at("s12.2.m4s").hint, "until it is listed");
  assert.ok(!p.asked(at("s10.m4s")).changed, "which lists no parts, and says nothing");
  assert.ok(p.asked(at("s11.m4s")).changed);
  assert.deepEqual(engine(), ["s10.m4s 20+2 #10", "s11.m4s 22+2 #11"]);
});

test("a player looks at the first segment, and goes to the live edge", async () => {
  const { p, engine } = presentation();
  await p.read(base, base, low(10, [10, 11, 12, 13, 14].map((n) => `#EXTINF:2,\ns${n}.m4s`).join("\n")));
  const at = (name) => p.index.get(new URL(name, base).href)[0];
  assert.deepEqual(p.asked(at("s10.m4s")), { changed: true, skipped: false, delivered: null });
  p.done(at("s10.m4s"));
  assert.deepEqual(p.asked(at("s12.m4s")), { changed: true, skipped: true, delivered: 22e9 });
  assert.deepEqual(engine(), ["s12.m4s 24+2 #12", "s13.m4s 26+2 #13", "s14.m4s 28+2 #14"], "what it passed over is not wanted");
  assert.deepEqual(p.asked(at("s13.m4s")), { changed: false, skipped: false, delivered: null }, "s12 has not been given yet");
});

test("a live playlist is looked at anew, and an answer that comes late takes nothing back", async () => {
  const { p, engine } = presentation();
  const from = (first) => low(first, [0, 1, 2].map((n) => `#EXTINF:2,\ns${first + n}.m4s`).join("\n"));
  const url = `${base}?t=1`;
  await p.read(`${url}&CMCD=bl%3D1`, url, from(10));
  const [r] = p.find(new URL("s10.m4s", base).href);
  p.asked(r);
  const [m] = p.coming();
  const answer = (text) => /** @type {any} */ ({ ok: true, url, text: async () => text });
  await p.look(m, async (asked) => {
    assert.equal(asked, url, "with the query that the player gave it, but for its measures");
    return answer(from(11));
  });
  assert.deepEqual(engine(), ["s11.m4s 22+2 #11", "s12.m4s 24+2 #12", "s13.m4s 26+2 #13"]);
  await p.look(m, async () => answer(from(11)));
  assert.ok(p.find(r.url), "the player may not have loaded it yet");
  await p.read(url, url, from(10));
  assert.equal(engine().length, 3);
  assert.equal(m.segments.at(-1).sequence, 13);
  await p.look(m, async () => new Response("", { status: 403 }));
  assert.equal(m.lookout.next(), Infinity);
  await p.read(url, url, from(11));
  assert.ok(m.lookout.next() < Infinity);
  await p.read(url, url, from(2));
  assert.equal(m.segments.at(-1).sequence, 4, "it began anew");
});

test("reloads with directives are of one playlist, and may leave segments out", async () => {
  const { p, listed, engine } = presentation();
  const first = low(10, [10, 11, 12, 13].map((n) => `#EXTINF:2,\ns${n}.m4s`).join("\n"));
  await p.read(base, base, first);
  p.asked(p.index.get(new URL("s10.m4s", base).href)[0]);
  const url = `${base}?_HLS_msn=15&_HLS_part=1&_HLS_skip=YES`;
  await p.read(url, url, low(11, "#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXTINF:2,\ns13.m4s\n#EXTINF:2,\ns14.m4s"));
  assert.deepEqual([...listed.keys()], [base]);
  assert.deepEqual(engine(), ["s11.m4s 22+2 #11", "s12.m4s 24+2 #12", "s13.m4s 26+2 #13", "s14.m4s 28+2 #14"]);
});

test("variables", async () => {
  const { p } = presentation();
  const main = "https://example.com/live/index.m3u8?token=a%2Fb";
  const { children } = await p.read(main, main, `#EXTM3U
#EXT-X-DEFINE:NAME="host",VALUE="https://cdn.example.com"
#EXT-X-DEFINE:QUERYPARAM="token"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="{$host}/a.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1
v.m3u8?t={$token}`);
  assert.deepEqual(children, ["https://cdn.example.com/a.m3u8", "https://example.com/live/v.m3u8?t=a/b"]);
  await p.read(children[1], children[1], `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-DEFINE:IMPORT="host"
#EXT-X-MAP:URI="{$host}/i.mp4"\n#EXTINF:2,\n{$host}/1.m4s\n#EXT-X-ENDLIST`);
  assert.deepEqual([...p.index.keys()], ["https://cdn.example.com/i.mp4", "https://cdn.example.com/1.m4s"]);
  assert.deepEqual(parse("#EXTM3U\n#EXTINF:2,\n{$gone}/1.m4s\n#EXTINF:2,\n2.m4s", base).segments.map((s) => s.gap), [true, false], "one is left out");
  const unread = "https://example.com/live/u.m3u8";
  await p.read(unread, unread, "#EXTM3U\n#EXTINF:2,\n{$gone}/1.m4s\n#EXTINF:2,\nu2.m4s\n#EXT-X-ENDLIST");
  assert.equal(p.index.get("https://example.com/live/u2.m4s")[0].start, 2e9, "and the one behind it stays where it is");
});

test("a player's measures make no playlist anew", async () => {
  const { p, listed } = presentation();
  for (const cmcd of ["bl%3D1", "bl%3D2"]) await p.read(`${base}?CMCD=${cmcd}`, `${base}?CMCD=${cmcd}`, window);
  assert.deepEqual([...p.playlists.keys()], [base]);
  assert.deepEqual([...listed.keys()], [base]);
});

test("segments are the same whatever viewer tokens are in their URLs", async () => {
  const read = async (token, inPath) => {
    const { p } = presentation(["t"]);
    const at = (path) => (inPath ? `https://example.com/live;t=${token}/${path}` : `https://example.com/live/${path}?t=${token}`);
    for (const now of [token, `${token}2`]) {
      token = now; // renewed
      await p.read(at("v0.m3u8"), at("v0.m3u8"), window);
    }
    assert.deepEqual([...p.playlists.keys()], ["https://example.com/live/v0.m3u8"]);
    assert.equal(p.token, token);
    const [r] = p.find(at("s10.m4s"));
    assert.equal(p.fetchURL(r), at("s10.m4s"), "a fetch carries the token that the player has now");
    assert.equal(p.find("https://example.com/live/s9.m4s"), undefined);
    p.asked(r);
    return p.manifest(true);
  };
  const one = await read("one", true);
  assert.ok(one.segments.length > 0);
  assert.deepEqual(await read("two", true), one);
  assert.deepEqual(await read("three", false), one);
});

test("a viewer token goes to no other host", async () => {
  const { p } = presentation(["t"]);
  await p.read(`${base}?t=T`, `${base}?t=T`, low(10, "#EXTINF:2,\nhttps://cdn.example/s10.m4s"));
  assert.equal(p.fetchURL(p.find("https://cdn.example/s10.m4s")[0]), "https://cdn.example/s10.m4s");
});
