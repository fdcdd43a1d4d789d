// The service worker between a page's player and the network. It is a classic script, so that a site that hosts its pages
// elsewhere can have a worker file of its own with one line:
//
//   importScripts("https://video.example.com/mesh/sw.js");
//
// It knows nothing of the mesh. The page (worker.js) tells it which URLs are segments; it asks the page for each of them,
// but for those that a player begins with, and passes on what the page sends. The network answers whenever the page does
// not, or anything goes wrong: a player never waits for the mesh alone.
(() => {
  "use strict";
  const ANSWER = 150; // ms within which the page, perhaps a busy one, has to say that it will deliver
  const HEAD = 8000; // ms within which it has to begin
  const SILENCE = 4000; // ms between two pieces
  const MARK = "#mesh"; // at the end of the URL of what the page itself fetches; it is not sent

  /** @type {Map<string, Page>} by client id */
  const pages = new Map();

  class Page {
    constructor(port) {
      this.port = port;
      this.lists = new Map(); // playlist -> sets of the URLs of its segments and of its init sections
      this.begun = false; // its player has something to play
      this.first = new Set(); // playlists of which the player has asked for a segment
      this.calls = new Map();
      this.last = 0;
      port.onmessage = (e) => this.receive(e.data);
    }

    receive(m) {
      if (m.t === "list") this.lists.set(m.playlist, { segments: new Set(m.segments), inits: new Set(m.inits) });
      else if (m.t === "begun") this.begun = true;
      else if (m.t === "clear") this.lists.clear();
      else this.calls.get(m.n)?.receive(m);
    }

    /** knows says whether a playlist lists a URL, whatever its query. */
    knows(resource) {
      for (const { segments, inits } of this.lists.values()) if (segments.has(resource) || inits.has(resource)) return true;
      return false;
    }

    /** passes says whether the player needs a resource to begin: an init section, or the first segment of a playlist. */
    passes(resource) {
      if (this.begun) return false;
      for (const [playlist, { segments, inits }] of this.lists) {
        if (segments.has(resource)) return !this.first.has(playlist) && !!this.first.add(playlist);
        if (inits.has(resource)) return true;
      }
      return false;
    }

    call(message) {
      const call = new Call(this, ++this.last);
      this.calls.set(call.n, call);
      call.post(message);
      return call;
    }
  }

  /** Call is one request that the page is asked about. */
  class Call {
    constructor(page, n) {
      this.page = page;
      this.n = n;
      this.queue = [];
      this.wake = null;
    }
    post(m) {
      this.page.port.postMessage({ ...m, n: this.n });
    }
    receive(m) {
      this.queue.push(m);
      this.wake?.();
    }
    /** next gives the next message of the page, or null after so many ms. */
    async next(ms) {
      if (!this.queue.length) {
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, ms);
          this.wake = () => (clearTimeout(timer), resolve());
        });
        this.wake = null;
      }
      return this.queue.shift() ?? null;
    }
    end() {
      this.page.calls.delete(this.n);
    }
  }

  self.addEventListener("install", () => self.skipWaiting());
  self.addEventListener("activate", (e) => e.waitUntil(self.clients.claim()));
  self.addEventListener("message", (e) => {
    if (e.data?.mesh !== "page" || !e.source || !e.ports[0]) return;
    pages.set(e.source.id, new Page(e.ports[0]));
    e.ports[0].postMessage({ t: "ready" });
    e.waitUntil(prune());
  });
  // A worker that was stopped has forgotten its pages: they are asked to say again who they are.
  greet();

  async function greet() {
    for (const c of await self.clients.matchAll({ includeUncontrolled: true })) c.postMessage({ mesh: "hello" });
  }

  async function prune() {
    const alive = new Set((await self.clients.matchAll({ includeUncontrolled: true })).map((c) => c.id));
    for (const id of pages.keys()) if (!alive.has(id)) pages.delete(id);
  }

  self.addEventListener("fetch", (e) => {
    const { method, url, mode } = e.request;
    if (method !== "GET" || url.endsWith(MARK) || mode === "navigate") return;
    const page = pages.get(e.clientId);
    if (!page) return;
    const plain = url.split("#")[0];
    if (mode === "no-cors" && new URL(url).origin !== self.location.origin) return; // what is opaque stays so
    if (page.knows(plain.split("?")[0])) e.respondWith(segment(e, page, plain));
    else if (/\.(m3u8?|mpd)(;[^/]*)?$/i.test(new URL(url).pathname)) e.respondWith(manifest(e, page, plain));
  });

  /** carried is what says who the viewer is. */
  const carried = ({ credentials, headers }) => ({ credentials, authorization: headers.get("Authorization") });

  /** manifest passes a playlist on, and lets the page read it before the player does. */
  async function manifest(e, page, url) {
    const response = await fetch(e.request);
    try {
      const bootstrap = response.headers.get("Mesh-Bootstrap");
      if (bootstrap && response.ok && response.type !== "opaque") {
        const call = page.call({ t: "playlist", url: response.url || url, asked: url, bootstrap, ...carried(e.request), text: await response.clone().text() });
        await call.next(ANSWER);
        call.end();
      }
    } catch {}
    return response;
  }

  async function segment(e, page, url) {
    const range = e.request.headers.get("Range");
    // Chromium's own HLS player takes no response that was made here, but one that was fetched: the page makes a blob. Of a
    // file with many segments the player asks for all, whichever it needs: that would be a blob of the whole file.
    const blob = e.request.destination === "video" || e.request.destination === "audio";
    let call = null;
    try {
      const passes = page.passes(url.split("?")[0]);
      call = page.call({ t: "segment", url, range, blob, passes, ...carried(e.request) });
      if (passes) return await network(e, call); // the page, which is busy then, is told and not waited for
      let m = await call.next(ANSWER);
      if (m?.t === "wait") m = await call.next(HEAD);
      if (m?.t === "blob") {
        const response = await fetch(m.url, { headers: range ? { Range: range } : {} });
        call.post({ t: "done", ok: true });
        call.end();
        return response;
      }
      if (m?.t === "head") return new Response(relay(e, call, m, url), { status: m.status, headers: m.headers });
      if (m?.t === "net") return await network(e, call);
      call.post({ t: "cancel" });
    } catch {
      // The network answers.
    }
    call?.end();
    return fetch(e.request);
  }

  /** relay makes a stream of what the page sends; where the page falls silent the rest comes from the network. */
  function relay(e, call, head, url) {
    let sent = 0;
    let rest = null; // reader of the network's answer
    let finish;
    e.waitUntil(new Promise((resolve) => (finish = resolve)));
    const end = () => (call.end(), finish());
    return new ReadableStream({
      async pull(to) {
        try {
          if (!rest) {
            const m = await call.next(SILENCE);
            if (m?.t === "data") {
              sent += m.data.byteLength;
              return to.enqueue(new Uint8Array(m.data));
            }
            if (m?.t === "end" && sent === head.length) {
              end();
              return to.close();
            }
            call.post({ t: "cancel" });
            rest = await remainder(e, head, sent, url);
          }
          const { done, value } = await rest.read();
          if (!done) return to.enqueue(value);
          end();
          to.close();
        } catch (error) {
          end();
          to.error(error);
        }
      },
      cancel(reason) {
        call.post({ t: "cancel" });
        end();
        return rest?.cancel(reason);
      },
    });
  }

  /** remainder fetches what is missing of an answer that has begun. */
  async function remainder(e, head, sent, url) {
    const { mode, credentials } = e.request;
    const from = head.from + sent;
    const response = await fetch(url, {
      headers: { Range: `bytes=${from}-${head.from + head.length - 1}` },
      credentials,
      mode: mode === "no-cors" ? "same-origin" : mode,
    });
    const reader = response.body.getReader();
    if (response.status === 206) return reader;
    if (response.status !== 200) throw new Error("origin answers with status " + response.status);
    let skip = from; // no ranges here: pass over what the player has
    let left = head.length - sent;
    return {
      async read() {
        for (;;) {
          const { done, value } = left > 0 ? await reader.read() : { done: true, value: null };
          if (done) return { done };
          if (skip >= value.length) {
            skip -= value.length;
            continue;
          }
          const piece = value.subarray(skip, skip + left);
          skip = 0;
          left -= piece.length;
          return { done: false, value: piece };
        }
      },
      cancel: (reason) => reader.cancel(reason),
    };
  }

  /** network lets the request go as it was, and shows the page a copy of the bytes as they pass. */
  async function network(e, call) {
    let response;
    const asked = performance.now(), after = () => performance.now() - asked; // the page may be busy
    const done = (ok) => (call.post({ t: "done", ok }), call.end());
    try {
      response = await fetch(e.request);
    } catch (error) {
      done(false);
      throw error;
    }
    if (!response.body || (response.status !== 200 && response.status !== 206) || response.type === "opaque" || response.headers.get("Content-Encoding")) {
      done(false);
      return response;
    }
    call.post({ t: "tee", status: response.status, headers: [...response.headers], after: after() });
    const reader = response.clone().body.getReader();
    const show = async () => {
      try {
        for (;;) {
          const piece = await reader.read();
          if (piece.done) return done(true);
          call.post({ t: "bytes", data: piece.value, after: after() });
        }
      } catch {
        done(false);
      }
    };
    e.waitUntil(show());
    return response;
  }
})();
