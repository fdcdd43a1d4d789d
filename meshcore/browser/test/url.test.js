// URLs without what is in them for the server alone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { canonicalPath, cutURI, isPlaylist, key, nameOf, plain } from "../www/url.js";

test("viewer tokens in URLs, as Go takes them out", () => {
  const { cases } = JSON.parse(readFileSync(new URL("../../../tokens/testdata/cut.json", import.meta.url), "utf8"));
  for (const c of cases) {
    const { token, without } = cutURI(c.uri, c.names);
    assert.deepEqual({ token, without }, { token: c.token, without: c.without }, c.uri);
  }
  assert.equal(cutURI("https://h/a?x=1&t=T", ["t"]).query, "t=T");
  assert.equal(cutURI("https://h/a;t=T/b", ["t"]).query, "");
});

test("two spellings of a path are one, as for Go", () => {
  const { canonical } = JSON.parse(readFileSync(new URL("../../testdata/paths.json", import.meta.url), "utf8"));
  for (const c of canonical) assert.equal(canonicalPath(c.in), c.out, c.in);
});

test("a resource has one name, as for Go", () => {
  const { names } = JSON.parse(readFileSync(new URL("../../testdata/paths.json", import.meta.url), "utf8"));
  for (const c of names) {
    const who = { names: c.tokens ?? [], params: c.params ?? [], path: c.path ? new RegExp(c.path) : null };
    assert.equal(nameOf(key("https://h" + c.url, who)), c.name, c.url);
  }
});

test("what a player adds to URLs for the server", () => {
  for (const [asked, is] of [
    ["https://h/a.m4s", "https://h/a.m4s"],
    ["https://h/a.m4s?x=1%2F+2&y", "https://h/a.m4s?x=1%2F+2&y"],
    ["https://h/a.m4s?CMCD=bl%3D100%2Csu#t=2", "https://h/a.m4s"],
    ["https://h/a.m4s?x=1&CMCD=bl%3D100&y=2?", "https://h/a.m4s?x=1&y=2?"],
    ["https://h/a.m3u8?_HLS_msn=12&_HLS_part=1&x=1", "https://h/a.m3u8?x=1"],
    ["https://h/a.m4s?MYCMCD=1", "https://h/a.m4s?MYCMCD=1"],
  ]) assert.equal(plain(asked), is);
});

test("manifests by their name", () => {
  for (const url of ["https://h/a.m3u8", "http://h/a.MPD?x=1", "https://h/a.m3u8;t=T", "https://h/a.m3u;t=T?x"]) assert.ok(isPlaylist(url), url);
  for (const url of ["https://h/a.m4s", "https://h/a.m3u8/b", "https://h/a?x=b.m3u8", "blob:https://h/a.m3u8"]) assert.ok(!isPlaylist(url), url);
});
