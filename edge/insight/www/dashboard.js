// The dashboard: it asks the data API, and draws. What viewers have made up, such as labels, becomes text and nothing else.

const $ = (id) => document.getElementById(id);
const RANGES = { "1 hour": "1h", "6 hours": "6h", "24 hours": "24h", "7 days": "7d", "30 days": "30d" };
const SPLITS = { Presentations: "presentation", Countries: "country", Networks: "asn", Devices: "device", Connections: "connection", "Live or VOD": "kind", Sites: "site", Players: "player", Labels: "label" };
const state = { since: "1h", split: "presentation", presentation: "", value: "" };
const hash = new URLSearchParams(location.hash.slice(1));
let token = hash.get("key") ?? sessionStorage.getItem("token") ?? "";
let now = null;

/** el makes an element with text, never markup. */
const el = (name, props = {}, ...children) => {
  const e = Object.assign(document.createElement(name), props);
  e.append(...children);
  return e;
};
const svg = (name, attributes) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
};

// Numbers for people.
const scaled = (n, units, by) => {
  let i = 0;
  for (n = Math.max(0, n); n >= by * 0.9995 && i < units.length - 1; i++) n /= by;
  return `${n >= 100 || i === 0 ? Math.round(n) : n.toPrecision(3)} ${units[i]}`;
};
const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"], 1000);
const rate = (n) => scaled(n, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"], 1000);
const count = (n) => Math.round(n).toLocaleString("en");
const percent = (x) => (x > 0 && x < 0.0005) ? "< 0.1 %" : `${(100 * x).toFixed(x > 0 && x < 0.0995 ? 1 : 0)} %`;
const seconds = (ms) => (ms ? `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s` : "–");
const band = (x) => (x < 0.01 ? "good" : x <= 0.03 ? "fair" : "badly");
const money = (n) => n.toLocaleString("en", { maximumFractionDigits: n < 100 ? 2 : 0 });

class Unauthorized extends Error {}

async function get(path) {
  const r = await fetch(`data/${path}`, { headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
  if (r.status === 401) throw new Unauthorized();
  if (!r.ok) throw new Error((await r.json().catch(() => ({}))).detail ?? `status ${r.status}`);
  return r;
}
const json = async (path) => (await get(path)).json();

function query(extra) {
  const q = new URLSearchParams({ since: state.since, ...extra });
  if (state.presentation) q.set("presentation", state.presentation);
  if (state.value && (!extra.split || extra.split === state.split)) q.set(state.split, state.value);
  return q;
}

// Charts.

function axis(top, unit) {
  const step = 10 ** Math.floor(Math.log10(top || 1));
  const nice = [1, 2, 5, 10].map((m) => m * step).find((v) => v >= top) ?? top;
  return { nice: nice || 1, text: unit };
}

/** chart draws layers on each other, or one line. layers: [{class, values}]. */
function chart(at, points, layers, unit, most = 0) {
  at.replaceChildren();
  if (points.length < 2) return at.append(el("div", { className: "none", textContent: "No figures of this time yet" }));
  const w = at.clientWidth || 600, h = at.clientHeight || 150, left = 4, right = w - 4, bottom = h - 18, topAt = 8;
  const root = svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `${at.id} over time` });
  const stacked = layers.length > 1;
  const sums = points.map((_, i) => layers.reduce((n, l) => n + l.values[i], 0));
  const { nice } = axis(Math.max(most, ...sums));
  const first = points[0], last = points.at(-1);
  const x = (i) => left + ((points[i] - first) / (last - first)) * (right - left);
  const y = (v) => bottom - (v / nice) * (bottom - topAt);
  for (const v of [0, nice / 2, nice]) root.append(svg("line", { x1: left, x2: right, y1: y(v), y2: y(v), class: "grid" }));
  const base = points.map(() => 0);
  for (const l of layers) {
    const upper = l.values.map((v, i) => `${x(i).toFixed(1)},${y(base[i] + v).toFixed(1)}`);
    const lower = base.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).reverse();
    root.append(svg("polygon", { points: [...upper, ...lower].join(" "), class: stacked ? l.class : "area" }));
    if (!stacked) root.append(svg("polyline", { points: upper.join(" "), class: "line" }));
    l.values.forEach((v, i) => (base[i] += v));
  }
  const label = (text, tx, ty, anchor) => {
    const t = svg("text", { x: tx, y: ty, "text-anchor": anchor });
    t.textContent = text;
    root.append(t);
  };
  label(unit(nice), left, topAt - 1, "start");
  const clock = (t) => new Date(t).toLocaleString("en", last - first > 2 * 864e5 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hour12: false });
  label(clock(first), left, h - 3, "start");
  label(clock(last), right, h - 3, "end");
  const mark = svg("line", { y1: topAt, y2: bottom, class: "at", visibility: "hidden" });
  root.append(mark);
  const tip = el("div", { className: "tip", hidden: true });
  root.addEventListener("pointermove", (e) => {
    const box = root.getBoundingClientRect(), px = ((e.clientX - box.left) / box.width) * w;
    let i = 0;
    for (let j = 1; j < points.length; j++) if (Math.abs(x(j) - px) < Math.abs(x(i) - px)) i = j;
    mark.setAttribute("x1", x(i));
    mark.setAttribute("x2", x(i));
    mark.setAttribute("visibility", "visible");
    tip.textContent = [clock(points[i]), ...layers.map((l) => (stacked ? `${l.class} ` : "") + unit(l.values[i]))].join("\n");
    tip.hidden = false;
    tip.style.left = `${Math.min(x(i) + 8, w - 120)}px`;
  });
  root.addEventListener("pointerleave", () => ((tip.hidden = true), mark.setAttribute("visibility", "hidden")));
  at.append(root, tip);
}

// Parts of the page.

function buttons(at, choices, key, choose) {
  at.replaceChildren(...Object.entries(choices).map(([text, value]) => {
    const b = el("button", { type: "button", textContent: text });
    b.ariaPressed = String(state[key] === value);
    b.addEventListener("click", () => choose(value));
    return b;
  }));
}

function tile(name, value, note, className = "") {
  return el("div", { className: "tile" }, el("span", { textContent: name }), el("b", { textContent: value, className }), el("i", { textContent: note }));
}

function showNow(sum) {
  const f = now?.figures ?? sum, viewers = now?.viewers ?? 0;
  const quality = sum.played_ms ? band(sum.buffering) : "";
  const price = Number(localStorage.getItem("price") ?? 0);
  $("tiles").replaceChildren(
    tile("Viewers now", count(viewers), `at most ${count(sum.max_viewers)} in this time`),
    tile("Offload now", percent(f.offload), `${percent(sum.offload)} in this time`),
    tile("Saved", bytes(sum.saved_bytes), price ? `${money((sum.saved_bytes / 1e9) * price)} at ${price} per GB` : `${percent(sum.saving)} of all bytes`),
    tile("From the origin", bytes(sum.origin_bytes), `the edge sent ${bytes(sum.egress_bytes)}`),
    tile("Buffering", sum.played_ms ? percent(sum.buffering) : "–", `${count(sum.stalls)} stalls`, quality),
    tile("Start-up", seconds(sum.startup_p50_ms || sum.startup_ms), sum.startup_p95_ms ? `95 % within ${seconds(sum.startup_p95_ms)}` : `${count(sum.startups)} starts`),
  );
  const words = { good: "Playback is good", fair: "Playback is acceptable", badly: "Viewers suffer" };
  const v = $("verdict");
  if (!sum.peer_bytes && !sum.origin_bytes && !viewers) {
    v.textContent = sum.egress_bytes ? "The edge serves video, and no viewer has reported yet." : "Nobody has watched in this time. Figures come as soon as a viewer does.";
    return;
  }
  v.replaceChildren(`Peers deliver `, el("strong", { textContent: percent(sum.offload) }), ` of the video that viewers with the mesh take, which kept `,
    el("strong", { textContent: bytes(sum.saved_bytes) }), ` off your servers. `);
  if (quality) v.append(el("span", { className: quality, textContent: `${words[quality]}: ${percent(sum.buffering)} of the time is buffering.` }));
  if (sum.relayed_bytes > 0.1 * sum.peer_bytes) v.append(` ${percent(sum.relayed_bytes / sum.peer_bytes)} of the bytes from peers go over the relay, and save nothing.`);
  const rest = Number(localStorage.getItem("price95") ?? 0);
  $("billing").textContent = `95th percentile: ${rate(sum.egress_p95_bps)}, ${rate(sum.without_mesh_p95_bps)} without the mesh` +
    (rest ? `: ${money(((sum.without_mesh_p95_bps - sum.egress_p95_bps) / 1e6) * rest)} saved a month` : "");
}

function showSeries(points) {
  const at = points.map((p) => Date.parse(p.time));
  const of = (f) => points.map(f);
  const share = (n, p) => (p.peer_bytes + p.origin_bytes ? (n / (p.peer_bytes + p.origin_bytes)) * p.bandwidth_average_bps : 0);
  chart($("bandwidth"), at, [
    { class: "origin", values: of((p) => share(p.origin_bytes, p)) },
    { class: "relayed", values: of((p) => share(p.relayed_bytes, p)) },
    { class: "peers", values: of((p) => share(p.saved_bytes, p)) },
  ], rate);
  chart($("viewers"), at, [{ class: "line", values: of((p) => p.viewers) }], count);
  chart($("offload"), at, [{ class: "line", values: of((p) => p.offload) }], percent, 1);
  chart($("buffering"), at, [{ class: "line", values: of((p) => p.buffering) }], percent, 0.03);
}

const head = (...names) => el("tr", {}, ...names.map((n) => el("th", { textContent: n, scope: "col" })));
const cell = (text, className = "") => el("td", { textContent: text, className });

function gauge(x) {
  return el("td", {}, el("meter", { min: 0, max: 1, value: x, ariaLabel: "offload" }), percent(x));
}

function showGroups(groups) {
  const name = Object.keys(SPLITS).find((k) => SPLITS[k] === state.split);
  const [thead, tbody] = $("groups").children;
  thead.replaceChildren(head(name, "Viewers", "Sessions", "From peers", "From origin", "Offload", "Buffering", "Start-up", "Bitrate", "Switches"));
  tbody.replaceChildren(...groups.slice(0, 100).map((g) => {
    const b = el("button", { type: "button", textContent: g.value, title: g.value });
    b.addEventListener("click", () => {
      if (state.split === "presentation") state.presentation = g.value;
      else state.value = state.value === g.value ? "" : g.value;
      load();
    });
    return el("tr", {}, el("td", {}, b), cell(count(g.viewers)), cell(count(g.sessions)), cell(bytes(g.peer_bytes)), cell(bytes(g.origin_bytes)), gauge(g.offload),
      cell(g.played_ms ? percent(g.buffering) : "–", g.played_ms ? band(g.buffering) : ""), cell(seconds(g.startup_ms)), cell(g.bitrate_bps ? rate(g.bitrate_bps) : "–"), cell(count(g.switches)));
  }));
  if (!groups.length) tbody.append(el("tr", {}, el("td", { colSpan: 10, className: "none", textContent: "Nothing yet" })));
}

function showSessions(sessions) {
  const [thead, tbody] = $("sessions").children;
  thead.replaceChildren(head("Session", "Presentation", "Device", "Network", "Neighbors", "Offload", "Buffering", "Start-up", "Buffer"));
  tbody.replaceChildren(...sessions.map((s) => el("tr", {},
    cell(s.id), cell(s.presentation), cell([s.device, s.player, s.label].filter(Boolean).join(" · ") || "–"), cell([s.asn, s.country, s.connection].filter(Boolean).join(" · ") || "–"),
    cell(s.relayed ? `${s.neighbors} (${s.relayed} relayed)` : String(s.neighbors)), gauge(s.offload),
    cell(s.played_ms ? percent(s.buffering) : "–", s.played_ms ? band(s.buffering) : ""), cell(seconds(s.startup_ms)), cell(seconds(s.buffer_ms)))));
  if (!sessions.length) tbody.append(el("tr", {}, el("td", { colSpan: 9, className: "none", textContent: "Nobody is watching" })));
}

function showFilters() {
  const f = $("filters"), set = [state.presentation, state.value].filter(Boolean);
  f.hidden = !set.length;
  const clear = el("button", { type: "button", textContent: "Show all" });
  clear.addEventListener("click", () => ((state.presentation = state.value = ""), load()));
  f.replaceChildren("Only ", ...set.flatMap((s, i) => [i ? " and " : "", el("strong", { textContent: s })]), " ", clear);
}

function warn(text) {
  $("warning").hidden = !text;
  $("warning").textContent = text ?? "";
}

const empty = { peer_bytes: 0, origin_bytes: 0, relayed_bytes: 0, saved_bytes: 0, egress_bytes: 0, offload: 0, saving: 0, max_viewers: 0, buffering: 0, stalls: 0, played_ms: 0, startups: 0, startup_ms: 0, egress_p95_bps: 0, without_mesh_p95_bps: 0 };
let sum = empty;

async function load() {
  buttons($("ranges"), RANGES, "since", (v) => ((state.since = v), load()));
  buttons($("splits"), SPLITS, "split", (v) => ((state.split = v), (state.value = ""), load()));
  showFilters();
  try {
    const [series, split, sessions] = await Promise.all([json(`series?${query({})}`), json(`summary?${query({ split: state.split })}`), json("sessions?limit=12")]);
    sum = series.groups[0] ?? empty;
    $("login").hidden = true;
    $("main").hidden = false;
    warn(series.history && `The history is not kept: ${series.history}`);
    showNow(sum);
    showSeries(sum.points ?? []);
    showGroups(split.groups);
    showSessions(sessions.sessions);
    return true;
  } catch (e) {
    if (e instanceof Unauthorized) {
      $("main").hidden = true;
      $("login").hidden = false;
      $("why").textContent = token ? "That token, or link, is not good any more." : "Write the token of the option dashboard, or open a link that was made for you.";
    } else warn(`The figures cannot be read: ${e.message}`);
    return false;
  }
}

/** follow reads the live stream, again after it breaks; EventSource could not send the token. */
async function follow() {
  for (;;) {
    try {
      const reader = (await get("live")).body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let r = await reader.read(); !r.done; r = await reader.read()) {
        text += r.value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          now = JSON.parse(text.slice(5, end));
          text = text.slice(end + 2);
          $("live").className = "on";
          $("state").textContent = `live, ${new Date(now.time).toLocaleTimeString("en", { hour12: false })}`;
          showNow(sum);
        }
      }
    } catch (e) {
      if (e instanceof Unauthorized) return;
    }
    $("live").className = "";
    $("state").textContent = "not live: trying again";
    await new Promise((done) => setTimeout(done, 3000));
  }
}

async function begin() {
  if (await load()) follow();
}

$("host").textContent = location.host;
for (const id of ["price", "price95"]) {
  $(id).value = localStorage.getItem(id) ?? "";
  $(id).addEventListener("input", () => (localStorage.setItem(id, $(id).value), showNow(sum)));
}
$("login").addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
  begin();
});
$("csv").addEventListener("click", async () => {
  const blob = await (await get(`summary?${query({ split: state.split, format: "csv" })}`)).blob();
  const a = el("a", { href: URL.createObjectURL(blob), download: `mesh-${state.split}.csv` });
  a.click();
  URL.revokeObjectURL(a.href);
});
addEventListener("keydown", (e) => {
  const range = Object.values(RANGES)[Number(e.key) - 1];
  if (range && !(e.target instanceof HTMLInputElement) && !e.ctrlKey && !e.metaKey && !e.altKey) (state.since = range), load();
});
addEventListener("resize", () => showSeries(sum.points ?? []));
setInterval(() => !document.hidden && !$("main").hidden && load(), 10_000);
begin();
