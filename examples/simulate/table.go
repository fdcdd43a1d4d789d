package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

// columns of the table, each with how it prints a result.
var columns = []struct {
	head  string
	width int
	cell  func(r *sim.Result) string
}{
	{"policy", -14, func(r *sim.Result) string { return string(r.Policy) }},
	{"offload", 8, func(r *sim.Result) string { return fmt.Sprintf("%.4f", r.Offload) }},
	{"saved", 7, func(r *sim.Result) string { return fmt.Sprintf("%.3f", r.Saving) }},
	{"ceiling", 8, func(r *sim.Result) string { return fmt.Sprintf("%.4f", r.Ceiling) }},
	{"of it", 6, func(r *sim.Result) string { return ofCeiling(r) }},
	{"fetches/seg", 12, func(r *sim.Result) string { return fmt.Sprintf("%.2f", r.OriginFetchesPerSegment) }},
	{"peak Mbit/s", 12, func(r *sim.Result) string { return fmt.Sprintf("%.0f", r.OriginPeakMbps) }},
	{"stalls", 7, func(r *sim.Result) string { return fmt.Sprint(r.Stalls) }},
	{"seconds", 8, func(r *sim.Result) string { return fmt.Sprintf("%.1f", r.StallSeconds) }},
	{"start p50", 10, func(r *sim.Result) string { return fmt.Sprintf("%d ms", r.StartupMSP50) }},
	{"p95", 8, func(r *sim.Result) string { return fmt.Sprintf("%d ms", r.StartupMSP95) }},
	{"latency", 8, func(r *sim.Result) string { return latency(r) }},
	{"duplicate", 10, func(r *sim.Result) string { return duplicate(r) }},
	{"fairness", 10, func(r *sim.Result) string { return fairness(r) }},
	{"wall", 10, func(r *sim.Result) string { return fmt.Sprintf("%.1f s", r.WallSeconds) }},
}

func ofCeiling(r *sim.Result) string {
	if r.Ceiling == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", r.Offload/r.Ceiling)
}

func latency(r *sim.Result) string {
	if r.LiveLatencyMS == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", float64(r.LiveLatencyMS)/1000)
}

func duplicate(r *sim.Result) string {
	return fmt.Sprintf("%.2f %%", 100*float64(r.DuplicateBytes)/float64(max(1, r.PeerBytes+r.OriginBytes)))
}

func fairness(r *sim.Result) string {
	if r.Fairness == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r.Fairness)
}

// printer shows scenario after scenario: begin, its results as they come, end; then
// close. What cannot be written shows when the writer is flushed.
type printer interface {
	begin(sc *sim.Scenario)
	result(res *sim.Result)
	end(r *report) error
	close()
}

// table prints for people.
type table struct {
	w     io.Writer
	begun bool
	count map[sim.State]int // verdicts
}

// title says what a scenario is, with what the flags changed.
func title(sc *sim.Scenario) string {
	return fmt.Sprintf("%s: %d viewers, %g min, seed %d", sc.Name, sc.Viewers, sc.Minutes, sc.Seed)
}

func (t *table) line(cell func(i int) string) {
	var line strings.Builder
	for i, c := range columns {
		fmt.Fprintf(&line, "%*s", c.width, cell(i))
	}
	fmt.Fprintln(t.w, "  "+line.String())
}

func (t *table) begin(sc *sim.Scenario) {
	if t.begun {
		fmt.Fprintln(t.w)
	}
	t.begun = true
	fmt.Fprintln(t.w, title(sc))
	t.line(func(i int) string { return columns[i].head })
}

func (t *table) result(res *sim.Result) {
	t.line(func(i int) string { return columns[i].cell(res) })
}

// end prints how the scenario stands to what is asked.
func (t *table) end(r *report) error {
	for _, v := range r.verdicts {
		got := ""
		if v.Got != "" {
			got = ": " + v.Got
		}
		fmt.Fprintf(t.w, "  %-12s %s%s\n", strings.ToUpper(string(v.State)), v.Asked, got)
		if t.count == nil {
			t.count = map[sim.State]int{}
		}
		t.count[v.State]++
	}
	return nil
}

// close counts what was reached.
func (t *table) close() {
	n := t.count
	if asked := n[sim.Pass] + n[sim.FallsShort] + n[sim.Unknown]; asked > 0 {
		fmt.Fprintf(t.w, "\n%d of %d asked: pass; %d fall short; %d not compared\n", n[sim.Pass], asked, n[sim.FallsShort], n[sim.Unknown])
	}
}

// array prints for machines: an array of objects, those of a scenario when it is done.
type array struct {
	w     io.Writer
	begun bool
}

// object is what --json prints of a run.
type object struct {
	*sim.Result
	Asked []sim.Verdict `json:"asked,omitempty"` // of viewmesh
}

func (a *array) begin(*sim.Scenario) {}
func (a *array) result(*sim.Result)  {}

func (a *array) end(r *report) error {
	for _, res := range r.results {
		o := object{Result: res}
		if res.Policy == sim.Mesh {
			o.Asked = r.verdicts
		}
		b, err := json.MarshalIndent(o, "  ", "  ")
		if err != nil {
			return err
		}
		sep := "[\n  "
		if a.begun {
			sep = ",\n  "
		}
		a.begun = true
		fmt.Fprintf(a.w, "%s%s", sep, b)
	}
	return nil
}

func (a *array) close() { fmt.Fprintln(a.w, "\n]") }
