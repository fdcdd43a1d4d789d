package browsertest

import (
	"fmt"
	"testing"
	"time"
)

// Scripts that run before a page's own and give it another device.
const (
	// network is a Network Information API whose properties the test can change.
	network = `Object.defineProperty(navigator, "connection", { value: Object.assign(new EventTarget(), { type: "wifi", saveData: false }) });
		globalThis.net = (now) => { Object.assign(navigator.connection, now); navigator.connection.dispatchEvent(new Event("change")); };`
	// battery likewise.
	battery = `{ const b = Object.assign(new EventTarget(), { level: 1, charging: true });
		navigator.getBattery = async () => b;
		globalThis.power = (now) => { Object.assign(b, now); b.dispatchEvent(new Event("levelchange")); }; }`
	// tab lets the test hide the page; minutes pass at once.
	tab = `{ const later = setTimeout; let hidden = false;
		globalThis.setTimeout = (f, ms, ...rest) => later(f, ms >= 60000 ? 0 : ms, ...rest);
		Object.defineProperty(document, "hidden", { get: () => hidden });
		globalThis.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); }; }`
	memory = `Object.defineProperty(navigator, "deviceMemory", { value: 0.5 });`
)

// TestDeviceRules: what a device says of itself decides whether a page gives; it
// takes all the same.
func TestDeviceRules(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	p := open(t, browser, "page", e.url("/native.html?src=data:,"), network, battery, tab, memory)
	p.until("the mesh", "globalThis.mesh?.running", 20*time.Second)
	p.until("the battery", "!!mesh.device.battery", 10*time.Second)
	for _, c := range []struct{ what, do, reason string }{
		{"wifi, mains", `0`, ""},
		{"cellular", `net({ type: "cellular" })`, "cellular"},
		{"cellular that the page allows", `mesh.upload = { cellular: true }`, ""},
		{"wifi that it forbids", `mesh.upload = { wifi: false }; net({ type: "wifi" })`, "switched off"},
		{"Save-Data", `mesh.upload = true; net({ saveData: true })`, "save-data"},
		{"low battery", `net({ saveData: false }); power({ level: 0.1, charging: false })`, "battery"},
		{"low, and charging", `power({ charging: true })`, ""},
		{"half full", `power({ level: 0.5, charging: false })`, ""},
		{"visible again", `hide(false)`, ""},
	} {
		eval[any](p, c.do+", 0")
		if got := eval[string](p, "mesh.state.reason"); got != c.reason || eval[bool](p, "mesh.state.upload") != (c.reason == "") {
			t.Errorf("%s: reason %q, want %q: %s", c.what, got, c.reason, eval[string](p, "JSON.stringify(mesh.state)"))
		}
		if !eval[bool](p, "mesh.state.download") {
			t.Errorf("%s: takes nothing", c.what)
		}
	}
	eval[any](p, `hide(true), 0`)
	p.until("hidden for minutes", `mesh.state.reason === "hidden"`, 10*time.Second)
	eval[any](p, `hide(false), 0`)
	if r := eval[string](p, "mesh.state.reason"); r != "" {
		t.Errorf("visible again: %q", r)
	}
	eval[any](p, `mesh.download = { cellular: false }, net({ type: "cellular" }), 0`)
	if eval[bool](p, "mesh.state.download") {
		t.Error("takes over cellular, which the page forbids")
	}
	if got := eval[string](p, "JSON.stringify(mesh.device.describe())"); got != `{"kind":"desktop","connection":"cellular","memory_mib":512,"battery":0.5}` {
		t.Errorf("a session request says %s", got)
	}
	if n := eval[int](p, "mesh.device.memory()"); n != 12<<20 {
		t.Errorf("half a gigabyte of memory leaves %d bytes for segments", n)
	}
}

// TestSwitches: a page's author switches giving and taking at run time, and the
// player plays on.
func TestSwitches(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	pages := watch(t, browser, e, 2, "/native.html?src=/live/v0/index.m3u8", 5)
	a, b := pages[0], pages[1]
	for _, p := range pages {
		p.until("a neighbor", "mesh.neighbors.length === 1", 20*time.Second)
	}
	const took = `mesh.stats.peerBytes`
	on := func(p *page, what string, s int) {
		t.Helper()
		p.until(what, fmt.Sprintf("look().played > %f", eval[float64](p, "look().played")+float64(s)), time.Duration(s+20)*time.Second)
	}
	// Neither gives: what is under way may still come.
	for _, p := range pages {
		eval[any](p, "mesh.upload = false, 0")
	}
	on(a, "playing on without giving", 3)
	before := eval[int64](a, took) + eval[int64](b, took)
	on(a, "playing on without giving", 5)
	if now := eval[int64](a, took) + eval[int64](b, took); now != before {
		t.Errorf("%d bytes were taken of pages that give nothing", now-before)
	}
	// They give again, and one of them takes nothing.
	eval[any](b, "mesh.download = false, 0")
	for _, p := range pages {
		eval[any](p, "mesh.upload = true, 0")
	}
	before = eval[int64](b, took)
	on(b, "playing on without taking", 5)
	if now := eval[int64](b, took); now != before {
		t.Errorf("a page that takes nothing took %d bytes", now-before)
	}
	eval[any](b, "mesh.download = true, 0")
	sum := eval[int64](a, took) + eval[int64](b, took)
	for end := time.Now().Add(30 * time.Second); eval[int64](a, took)+eval[int64](b, took) == sum; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("switched on again, nobody takes anything")
		}
	}
	smooth(t, pages)
}
