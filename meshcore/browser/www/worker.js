// The page's end of the service worker: registers it, tells it which URLs are segments, and answers what it asks.

/** @typedef {import("./page.js").Mesh} Mesh */

const OURS = new URL("sw.js", import.meta.url).href;
const GREET = 5000; // ms that a worker may take to answer a page's first message
const BLOB = 10_000; // ms that a blob is kept for the worker

export class Worker {
  /**
   * @param {Mesh} mesh
   * @param {URL} script URL of the worker
   */
  constructor(mesh, script) {
    this.mesh = mesh;
    this.script = script;
    /** @type {MessagePort} */
    this.port = null;
    /** @type {Map<string, {segments: string[], inits: string[]}>} URLs, by playlist */
    this.lists = new Map();
    this.begun = false; // the player has something to play
    /** @type {Map<number, {cancel: AbortController, tee: import("./origin.js").Pipe}>} */
    this.calls = new Map();
  }

  /**
   * start resolves when the worker sees the page's requests. It rejects where there can be no worker, and where the site has
   * one that the page does not name: that one is not replaced.
   */
  async start() {
    const sw = navigator.serviceWorker;
    if (!sw) throw new Error("no service workers here");
    sw.addEventListener("controllerchange", () => this.#introduce());
    sw.addEventListener("message", (e) => e.data?.mesh === "hello" && this.#introduce());
    const ready = new Promise((resolve) => (this.ready = resolve));
    const r = await sw.getRegistration();
    const there = (r?.active ?? r?.waiting ?? r?.installing)?.scriptURL;
    if (there && there !== OURS && this.script.href === OURS) {
      throw new Error(`the site has a service worker of its own, ${there}: it needs importScripts("${OURS}"), and data-worker its URL`);
    }
    if (there !== this.script.href) await sw.register(this.script, { scope: "/" });
    await sw.ready;
    sw.startMessages();
    this.#introduce();
    const late = new Promise((_, no) => setTimeout(no, GREET, new Error(`${this.script} does not answer; a worker of the site's own needs importScripts("${OURS}")`)));
    await Promise.race([ready, late]);
  }

  /** #introduce tells the worker, new or started again, of this page. */
  #introduce() {
    const worker = navigator.serviceWorker.controller;
    if (!worker) return;
    for (const c of this.calls.values()) c.cancel.abort();
    this.calls.clear();
    this.port?.close();
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    port1.onmessage = (e) => this.#receive(e.data);
    for (const [playlist, urls] of this.lists) port1.postMessage({ t: "list", playlist, ...urls });
    if (this.begun) port1.postMessage({ t: "begun" });
    worker.postMessage({ mesh: "page" }, [port2]);
  }

  /** list says which URLs a playlist lists. @param {string} playlist @param {string[]} segments @param {string[]} inits */
  list(playlist, segments, inits) {
    this.lists.set(playlist, { segments, inits });
    this.port?.postMessage({ t: "list", playlist, segments, inits });
  }

  /** begin has the worker ask the page for whatever comes from now on. */
  begin() {
    this.begun = true;
    this.port?.postMessage({ t: "begun" });
  }

  /** clear lets all requests pass untouched. */
  clear() {
    this.lists.clear();
    this.port?.postMessage({ t: "clear" });
  }

  /** @param {any} m */
  #receive(m) {
    const port = this.port;
    const post = (/** @type {any} */ answer, /** @type {Transferable[]} */ transfer = []) => port.postMessage({ ...answer, n: m.n }, transfer);
    switch (m.t) {
      case "ready":
        this.ready();
        break;
      case "playlist":
        this.mesh.carry(m.credentials, m.authorization);
        this.mesh.playlist(m.asked, m.url, m.text, m.bootstrap).catch(() => {}).finally(() => post({ t: "ok" }));
        break;
      case "segment":
        this.mesh.carry(m.credentials, m.authorization);
        this.#segment(m, post);
        break;
      case "tee":
        this.calls.get(m.n)?.tee?.begin(m.status, new Headers(m.headers), m.after);
        break;
      case "bytes":
        this.calls.get(m.n)?.tee?.push(m.data, m.after);
        break;
      case "done":
        this.calls.get(m.n)?.tee?.end(m.ok);
        this.calls.delete(m.n);
        break;
      case "cancel":
        this.calls.get(m.n)?.cancel.abort();
        this.calls.delete(m.n);
    }
  }

  /** @param {any} m @param {(answer: any, transfer?: Transferable[]) => void} post */
  async #segment(m, post) {
    const cancel = new AbortController();
    let begun = false;
    try {
      const answer = this.mesh.request(m.url, m.range, cancel.signal, m.blob, m.passes);
      if (!answer || !("head" in answer)) {
        this.calls.set(m.n, { cancel, tee: answer ? /** @type {{tee: any}} */ (answer).tee : null });
        return post({ t: "net" });
      }
      this.calls.set(m.n, { cancel, tee: null });
      post({ t: "wait" });
      const { status, headers, from, length } = await answer.head;
      if (m.blob) {
        const url = URL.createObjectURL(await answer.blob());
        setTimeout(() => URL.revokeObjectURL(url), BLOB);
        return post({ t: "blob", url });
      }
      begun = true;
      post({ t: "head", status, headers, from, length });
      for await (const piece of answer.body()) {
        const copy = piece.slice().buffer;
        post({ t: "data", data: copy }, [copy]);
      }
      post({ t: "end" });
    } catch (error) {
      if (!cancel.signal.aborted) post({ t: begun ? "fail" : "net" });
    }
    if (begun || cancel.signal.aborted) this.calls.delete(m.n);
  }
}
