// The service worker on its own: a fake of its global scope, and a page that does not answer.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const script = readFileSync(new URL("../www/sw.js", import.meta.url), "utf8");
const playlists = { "https://x/v.m3u8": ["v1", "v2", "v3"], "https://x/a.m3u8": ["a1", "a2"] };

/** worker starts one that knows a page; asked are the page's messages, fetched what went to the network. */
function worker() {
  const on = {}, asked = [], fetched = [];
  const port = { postMessage: (m) => asked.push(m), onmessage: null };
  const self = {
    addEventListener: (type, f) => (on[type] = f), location: new URL("https://x/"), clients: { matchAll: async () => [] },
  };
  const fetch = async (request) => (fetched.push(request.url.split("/").at(-1)), new Response("bytes"));
  vm.runInNewContext(script, { self, fetch, performance, setTimeout, clearTimeout, URL, Map, Set, Promise, Response });
  on.message({ data: { mesh: "page" }, source: { id: "page" }, ports: [port], waitUntil() {} });
  for (const [playlist, names] of Object.entries(playlists)) {
    const inits = [`https://x/${playlist.at(-6)}.mp4`];
    port.onmessage({ data: { t: "list", playlist, segments: names.map((n) => `https://x/${n}`), inits } });
  }
  const ask = (name) => {
    let response;
    const request = { method: "GET", url: `https://x/${name}`, mode: "cors", headers: new Headers(), destination: "" };
    on.fetch({ clientId: "page", request, respondWith: (r) => (response = r), waitUntil() {} });
    return response;
  };
  return { ask, fetched, asked, tell: (t) => port.onmessage({ data: { t } }) };
}

test("what a player needs to begin does not wait for the page", async () => {
  const w = worker();
  const all = ["v.mp4", "v1", "a.mp4", "a1", "v2"].map(w.ask);
  assert.deepEqual(w.fetched, ["v.mp4", "v1", "a.mp4", "a1"], "the init sections, and a first segment of each playlist");
  assert.deepEqual(w.asked.filter((m) => m.t === "segment").map((m) => m.passes), [true, true, true, true, false], "the page hears of each");
  await Promise.all(all);
  assert.equal(w.fetched.at(-1), "v2", "the network answers for a page that does not");
  assert.ok(w.asked.some((m) => m.t === "bytes" && m.n === 2), "and is shown what passes");
});

test("once the player has begun, the page is asked", async () => {
  const w = worker();
  w.tell("begun");
  const one = w.ask("v1");
  assert.deepEqual(w.fetched, []);
  await one;
  assert.deepEqual(w.fetched, ["v1"]);
});
