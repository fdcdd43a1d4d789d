package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

// command runs the command and gives its exit code and what it printed.
func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// file writes a scenario into a file: live-3 for two minutes, with a change.
func file(t *testing.T, change func(m map[string]any)) string {
	t.Helper()
	m := map[string]any{"name": "mine", "live": true, "minutes": 2, "segment_s": 4, "rate_mbps": 3, "behind_s": 12, "viewers": 4,
		"arrive_s": 1, "down_mbps": 50, "up_mbps": 20, "latency_min_ms": 20, "latency_max_ms": 60}
	change(m)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "mine.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTable(t *testing.T) {
	code, out, errs := command("--scenario", "live-5,live-3", "--minutes", "4")
	if code != exitReached || errs != "" {
		t.Fatalf("exit %d, %q\n%s", code, errs, out)
	}
	for _, want := range []string{"live-5: 5 viewers, 4 min, seed 1", "\nlive-3: 3 viewers, 4 min, seed 1", "\n  viewmesh ", "\n  window-random ", "\n  origin-only ",
		"offload", "ceiling", "of it", "fetches/seg", "stalls", "start p50", "p95", "latency", "duplicate", "fairness", "wall",
		"PASS         at least 0.97 of the ceiling: 0.9", "PASS         no stall: 0", "PASS         offload above window-random", "6 of 6 asked: pass"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestFallsShort: what is asked and not reached is said, and is the exit code.
func TestFallsShort(t *testing.T) {
	f := file(t, func(m map[string]any) {
		m["up_mbps"] = 0.3
		m["asked"] = map[string]any{"of_ceiling": 2, "beats_baseline": true}
	})
	code, out, _ := command("--scenario", f, "--policy", "viewmesh")
	if code != exitShort || !strings.Contains(out, "FALLS SHORT  at least 2.00 of the ceiling") || !strings.Contains(out, "NOT COMPARED offload above window-random") {
		t.Errorf("exit %d, want %d\n%s", code, exitShort, out)
	}
	// A policy that nothing is asked of does not fall short.
	if code, out, _ = command("--scenario", f, "--policy", "origin-only"); code != exitReached {
		t.Errorf("origin-only alone: exit %d\n%s", code, out)
	}
}

// TestHeldAgainstAnother: a scenario that is held against another brings that one
// along, with the same changes.
func TestHeldAgainstAnother(t *testing.T) {
	code, out, errs := command("--scenario", "hostile-1k", "--viewers", "50", "--minutes", "2", "--policy", "viewmesh")
	if code != exitReached || !strings.Contains(out, "offload within 3 points of live-1k: ") || strings.Contains(out, "NOT COMPARED offload within") {
		t.Errorf("exit %d, %q\n%s", code, errs, out)
	}
}

func TestJSON(t *testing.T) {
	code, out, errs := command("--scenario", "live-3", "--minutes", "5", "--seed", "7", "--viewers", "4", "--policy", "viewmesh,origin-only", "--json")
	if code != exitReached || errs != "" {
		t.Fatalf("exit %d, %q", code, errs)
	}
	var objects []map[string]any
	if err := json.Unmarshal([]byte(out), &objects); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(objects) != 2 || objects[0]["policy"] != "viewmesh" || objects[1]["policy"] != "origin-only" {
		t.Fatalf("objects: %v", objects)
	}
	for _, o := range objects {
		for _, key := range []string{"offload", "ceiling", "origin_fetches_per_segment", "stalls", "stall_seconds",
			"startup_ms_p50", "startup_ms_p95", "live_latency_ms", "duplicate_bytes", "wall_seconds"} {
			if _, ok := o[key].(float64); !ok {
				t.Errorf("%s: %s is %v, want a number", o["policy"], key, o[key])
			}
		}
		if o["scenario"] != "live-3" || o["viewers"] != 4.0 || o["seed"] != 7.0 || o["minutes"] != 5.0 {
			t.Errorf("the flags changed nothing: %v", o)
		}
		if series, ok := o["series"].([]any); !ok || len(series) != 30 {
			t.Errorf("series: %v, want 30 windows of 10 s", o["series"])
		}
	}
	if objects[0]["asked"] == nil || objects[1]["asked"] != nil {
		t.Errorf("asked: %v and %v, want some and none", objects[0]["asked"], objects[1]["asked"])
	}
}

// TestSameSeedSamePrint: but for the wall clock, runs print the same.
func TestSameSeedSamePrint(t *testing.T) {
	traces := func(args ...string) (traces []string) {
		_, out, _ := command(append(args, "--scenario", "live-10", "--minutes", "1", "--json")...)
		var results []sim.Result
		if err := json.Unmarshal([]byte(out), &results); err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			traces = append(traces, r.Trace)
		}
		return traces
	}
	a, b, c := traces("--parallel", "1"), traces("--parallel", "3"), traces("--seed", "2")
	if len(a) != 3 || !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("traces %v, %v, and of another seed %v", a, b, c)
	}
}

func TestHTML(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.html")
	code, _, errs := command("--scenario", "live-10", "--minutes", "5", "--html", name)
	if code != exitReached {
		t.Fatalf("exit %d, %q", code, errs)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Entity = xml.HTMLEntity
	count := map[string]int{}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		count[e.Name.Local]++
		for _, a := range e.Attr {
			if e.Name.Local == "polyline" && a.Name.Local == "points" {
				count["points"] += len(strings.Fields(a.Value))
			}
			if a.Name.Local == "src" || a.Name.Local == "href" {
				t.Errorf("the page needs %s", a.Value)
			}
		}
	}
	// Two charts of three policies and a ceiling; a row a policy and one of heads.
	if count["svg"] != 2 || count["polyline"] != 7 || count["tr"] != 4 || count["li"] != 3 || count["points"] < 6*30 {
		t.Errorf("the page has %v", count)
	}
	for _, bad := range []string{"NaN", "Inf", "ZgotmplZ", "url("} {
		if strings.Contains(string(b), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestBadUsage(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"name": "x", "viewer": 3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		say  string
		args []string
	}{
		{"--scenario is missing", nil},
		{"flag provided but not defined", []string{"--scenarios", "all"}},
		{"unexpected argument", []string{"live-3"}},
		{"live-100k", []string{"--scenario", "live-4"}},
		{"no such file", []string{"--scenario", "nowhere.json"}},
		{"unknown field", []string{"--scenario", broken}},
		{"--policy", []string{"--scenario", "live-3", "--policy", "viewmesh,best"}},
		{"viewers must be", []string{"--scenario", "live-3", "--viewers", "0"}},
		{"minutes must be", []string{"--scenario", "live-3", "--minutes", "-1"}},
		{"invalid value", []string{"--scenario", "live-3", "--seed", "x"}},
		{"--parallel", []string{"--scenario", "live-3", "--parallel", "0"}},
		{"--html", []string{"--scenario", "live-3", "--html", filepath.Join(t.TempDir(), "no", "out.html")}},
	} {
		code, out, errs := command(c.args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, c.say) || !strings.HasPrefix(errs, "simulate: ") {
			t.Errorf("%v: exit %d, printed %q, said %q; want %d, nothing, %q", c.args, code, out, errs, exitUsage, c.say)
		}
	}
	if code, _, errs := command("--help"); code != exitReached || !strings.Contains(errs, "usage: simulate") {
		t.Errorf("--help: exit %d, %q", code, errs)
	}
}

// broken is a place that nothing can be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputFails(t *testing.T) {
	var errs bytes.Buffer
	if code := run([]string{"--scenario", "live-3", "--minutes", "1", "--json"}, broken{}, &errs); code != exitShort || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
}

// rows keeps what was printed, write by write.
type rows []string

func (r *rows) Write(b []byte) (int, error) { *r = append(*r, string(b)); return len(b), nil }

// TestRowsComeOneByOne: a long run that is ended has printed what it had.
func TestRowsComeOneByOne(t *testing.T) {
	var out rows
	run([]string{"--scenario", "live-3", "--minutes", "1"}, &out, io.Discard)
	if len(out) < 3 || !strings.Contains(out[0], "viewmesh ") || strings.Contains(out[0], "window-random") ||
		!strings.Contains(out[1], "window-random ") || strings.Contains(out[1], "origin-only") {
		t.Errorf("written were %q, want a row at a time", out)
	}
}

func TestAllIsTheWholeTable(t *testing.T) {
	want := slices.DeleteFunc(sim.Names(), func(n string) bool { return n == "live-100k" })
	got := slices.Sorted(slices.Values(all))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("all is %v, want %v", got, want)
	}
	o, err := parse([]string{"--scenario", "all", "--minutes", "5"}, io.Discard)
	if err != nil || len(o.scenarios) != len(all) {
		t.Fatalf("%d scenarios, %v", len(o.scenarios), err)
	}
	for _, sc := range o.scenarios {
		if sc.Minutes != 5 || sc.ExodusS >= 300 {
			t.Errorf("%s: %g minutes, exodus at %g s", sc.Name, sc.Minutes, sc.ExodusS)
		}
	}
	// What a scenario is held against runs once.
	if bar := newProgress(io.Discard, true, o); bar == nil {
		t.Error("no bar at a terminal")
	}
	if bar := newProgress(io.Discard, false, o); bar != nil {
		t.Error("a bar where there is no terminal")
	}
}

func TestProgressBar(t *testing.T) {
	o, err := parse([]string{"--scenario", "live-3", "--minutes", "1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	bar := newProgress(&out, true, o)
	r := runner{opts: o, bar: bar}
	r.report(&o.scenarios[0], func(*sim.Result) {})
	bar.clear()
	if !strings.Contains(out.String(), "live-3") || !strings.Contains(out.String(), "%") {
		t.Errorf("the bar drew %q", out.String())
	}
}

func TestNiceStep(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.25: 0.25, 0.3: 0.5, 1: 1, 1.2: 2, 2.2: 2.5, 7: 10, 121: 200, 0.0007: 0.001} {
		if got := niceStep(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("niceStep(%v) is %v, want %v", v, got, want)
		}
	}
}
