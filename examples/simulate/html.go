package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// chart is one drawing: lines over the minutes of a run.
type chart struct {
	Title  string
	Width  float64
	Height float64
	XTicks []tick
	YTicks []tick
	Lines  []line
}

type tick struct {
	At   float64
	Text string
}

type line struct {
	Class  string // of the policy, or "ceiling"
	Points string // of an SVG polyline
	Label  string
	LabelY float64
}

// The plot's place in a drawing, in pixels.
const (
	plotLeft, plotRight  = 56.0, 560.0
	plotTop, plotBottom  = 14.0, 214.0
	chartWidth, chartTop = 690.0, 244.0
)

// section is a scenario on the page.
type section struct {
	Title, About string
	Heads        []string
	Rows         []row
	Verdicts     []sim.Verdict
	Charts       []chart
	Short        bool
}

type row struct {
	Class string
	Cells []string
}

// writeHTML draws reports as one page that needs nothing else.
func writeHTML(w io.Writer, reports []report) error {
	var sections []section
	for i := range reports {
		r := &reports[i]
		s := section{Title: title(&r.scenario), About: r.scenario.About, Verdicts: r.verdicts, Short: r.short()}
		for _, c := range columns {
			s.Heads = append(s.Heads, c.head)
		}
		for _, res := range r.results {
			x := row{Class: string(res.Policy)}
			for _, c := range columns {
				x.Cells = append(x.Cells, c.cell(res))
			}
			s.Rows = append(s.Rows, x)
		}
		s.Charts = []chart{
			draw("Offload, share of all segment bytes", r, 1, true, sim.Point.Offload),
			draw("Origin egress, Mbit/s", r, 0, false, sim.Point.OriginMbps),
		}
		sections = append(sections, s)
	}
	return page.Execute(w, sections)
}

// draw makes a chart of one figure of all policies; top 0 is the largest value.
func draw(title string, r *report, top float64, ceiling bool, value func(sim.Point) float64) chart {
	c := chart{Title: title, Width: chartWidth, Height: chartTop}
	end := r.scenario.Minutes * 60
	for _, res := range r.results {
		for _, p := range res.Series {
			if v := value(p); top == 0 || !ceiling && v > top {
				top = v
			}
		}
	}
	step := niceStep(top / 4)
	top = max(step, math.Ceil(top/step-1e-9)*step)
	x := func(seconds float64) float64 { return plotLeft + (plotRight-plotLeft)*min(1, seconds/end) }
	y := func(v float64) float64 { return plotBottom - (plotBottom-plotTop)*v/top }
	for v := 0.0; v <= top*1.001; v += step {
		c.YTicks = append(c.YTicks, tick{y(v), fmt.Sprintf("%.4g", v)})
	}
	minutes := niceStep(r.scenario.Minutes / 5)
	for m := 0.0; m <= r.scenario.Minutes*1.001; m += minutes {
		c.XTicks = append(c.XTicks, tick{x(m * 60), fmt.Sprintf("%g min", math.Round(m*100)/100)})
	}
	for _, res := range r.results {
		var points strings.Builder
		last := 0.0
		for _, p := range res.Series {
			last = value(p)
			fmt.Fprintf(&points, "%.1f,%.1f ", x(p.Seconds+5), y(last))
		}
		c.Lines = append(c.Lines, line{string(res.Policy), strings.TrimSpace(points.String()), string(res.Policy), y(last)})
		if ceiling && res.Policy == r.results[0].Policy {
			at := y(res.Ceiling)
			c.Lines = append(c.Lines, line{"ceiling", fmt.Sprintf("%.1f,%.1f %.1f,%.1f", plotLeft, at, plotRight, at), "ceiling", at})
		}
	}
	spread(c.Lines)
	return c
}

// niceStep is the smallest of 1, 2, 5, 10, 20 ... (or a tenth, a hundredth ...) that
// is not below v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{1, 2, 2.5, 5} {
		if k*p >= v*0.999 {
			return k * p
		}
	}
	return 10 * p
}

// spread moves labels that would lie on each other apart.
func spread(lines []line) {
	const apart = 15
	order := make([]*line, len(lines))
	for i := range lines {
		order[i] = &lines[i]
	}
	for i := 1; i < len(order); i++ {
		for j := i; j > 0 && order[j].LabelY < order[j-1].LabelY; j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	for i := 1; i < len(order); i++ {
		order[i].LabelY = max(order[i].LabelY, order[i-1].LabelY+apart)
	}
	if n := len(order); n > 0 {
		over := max(0, order[n-1].LabelY-plotBottom)
		for i := range order {
			order[i].LabelY -= over
		}
	}
}
