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
	{"fairness", 9, func(r *sim.Result) string { return fairness(r) }},
	{"wall", 8, func(r *sim.Result) string { return fmt.Sprintf("%.1f s", r.WallSeconds) }},
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

// title says what a scenario is, with what the flags changed.
func (r *report) title() string {
	sc := &r.scenario
	return fmt.Sprintf("%s: %d viewers, %g min, seed %d", sc.Name, sc.Viewers, sc.Minutes, sc.Seed)
}

// printReport prints the rows of a scenario, and how it stands to what is asked.
func printReport(w io.Writer, r *report, first bool) {
	if !first {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, r.title())
	var line strings.Builder
	for _, c := range columns {
		fmt.Fprintf(&line, "%*s", c.width, c.head)
	}
	fmt.Fprintln(w, "  "+line.String())
	for _, res := range r.results {
		line.Reset()
		for _, c := range columns {
			fmt.Fprintf(&line, "%*s", c.width, c.cell(res))
		}
		fmt.Fprintln(w, "  "+line.String())
	}
	for _, v := range r.verdicts {
		got := ""
		if v.Got != "" {
			got = ": " + v.Got
		}
		fmt.Fprintf(w, "  %-12s %s%s\n", strings.ToUpper(string(v.State)), v.Asked, got)
	}
}

// printSummary counts what was reached.
func printSummary(w io.Writer, reports []report) {
	n := map[sim.State]int{}
	asked := 0
	for _, r := range reports {
		for _, v := range r.verdicts {
			n[v.State]++
			asked++
		}
	}
	if asked > 0 {
		fmt.Fprintf(w, "\n%d of %d asked: pass; %d fall short; %d not compared\n", n[sim.Pass], asked, n[sim.FallsShort], n[sim.Unknown])
	}
}

// object is what --json prints of a run.
type object struct {
	*sim.Result
	Asked []sim.Verdict `json:"asked,omitempty"` // of viewmesh
}

func printJSON(w io.Writer, reports []report) error {
	var objects []object
	for _, r := range reports {
		for _, res := range r.results {
			o := object{Result: res}
			if res.Policy == sim.Mesh {
				o.Asked = r.verdicts
			}
			objects = append(objects, o)
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(objects)
}
