// Command simulate runs scenarios of meshcore/sim, prints what came of them
// beside the ceiling of each, and holds policy viewmesh to the figures that the
// scenario asks for.
//
//	simulate --scenario live-1k
//	simulate --scenario all --minutes 5
//	simulate --scenario live-1k,hostile-1k
//	simulate --scenario my.json --policy viewmesh,origin-only --html out.html
//	simulate --scenario hostile-1k --viewers 200 --json
//
// Exit code 0: all that was asked was reached; 1: something fell short, or a
// file could not be written; 2: a flag or a scenario is wrong.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/term"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

func main() {
	// Runs make little garbage and much that lives as long as they do.
	debug.SetGCPercent(300)
	debug.SetMemoryLimit(14 << 30)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitReached = iota
	exitShort
	exitUsage
)

// run is the command; it gives the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitReached
	case err != nil:
		fmt.Fprintf(stderr, "simulate: %v\n", err)
		return exitUsage
	}
	out := bufio.NewWriter(stdout)
	bar := newProgress(stderr, isTerminal(stderr), o)
	r := runner{opts: o, bar: bar}
	var reports []report
	var print printer = &table{w: out}
	if o.json {
		print = &array{w: out}
	}
	for i := range o.scenarios {
		sc := &o.scenarios[i]
		print.begin(sc)
		rep := r.report(sc, func(res *sim.Result) {
			bar.clear()
			print.result(res)
			_ = out.Flush() // a run of hours that is ended keeps what it has; an error comes again
		})
		reports = append(reports, rep)
		err = errors.Join(err, print.end(&rep), out.Flush())
	}
	bar.clear()
	print.close()
	if err = errors.Join(err, out.Flush()); err == nil && o.html != nil {
		err = errors.Join(writeHTML(o.html, reports), o.html.Close())
	}
	if err != nil {
		fmt.Fprintf(stderr, "simulate: cannot write the result: %v\n", err)
		return exitShort
	}
	for i := range reports {
		if reports[i].short() {
			return exitShort
		}
	}
	return exitReached
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
