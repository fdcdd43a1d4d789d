package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

// options is what the command line asks for.
type options struct {
	scenarios []sim.Scenario
	policies  []sim.Policy
	html      *os.File // nil: none
	json      bool
	parallel  int
}

// all is what "--scenario all" means: the table of figures to reach, smallest
// first. live-100k is not in it: it takes 6 GB and half an hour or more.
var all = []string{"live-3", "live-5", "live-10", "live-20", "live-100", "live-1k", "lowdelay-100", "lowdelay-1k",
	"mixed-1k", "exodus-1k", "vod-500", "abr-1k", "hostile-1k", "pages-4", "pages-12", "ahead-12", "together-12", "mixed-8", "paths-100", "paths-long-100",
	"far-origin-20", "thin-uplinks-20", "crowd-200", "crowd-200-5", "crowd-film-200", "crowd-mixed-1k", "brownout-1k",
	"flash-5k", "crowd-5k", "mixed-10k"}

var policies = []sim.Policy{sim.Mesh, sim.WindowRandom, sim.OriginOnly}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (*options, error) {
	fs := flag.NewFlagSet("simulate", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	scenario := fs.String("scenario", "", "built-in `names` or files.json, separated by commas, or all; there are: "+strings.Join(sim.Names(), " "))
	policy := fs.String("policy", "viewmesh,window-random,origin-only", "policies to run, separated by commas")
	seed := fs.Uint64("seed", 0, "another seed than the scenario's")
	viewers := fs.Int("viewers", 0, "another number of viewers than the scenario's")
	minutes := fs.Float64("minutes", 0, "another length than the scenario's")
	html := fs.String("html", "", "draw the result into this `file`")
	asJSON := fs.Bool("json", false, "print an array of objects, one a policy, instead of the table")
	parallel := fs.Int("parallel", runtime.GOMAXPROCS(0), "cores that a run uses; they change nothing but the time that it takes")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "usage: simulate --scenario name,file.json,...|all [flags]")
			fs.SetOutput(stderr)
			fs.PrintDefaults()
		}
		return nil, err
	}
	o := &options{json: *asJSON, parallel: *parallel}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; scenarios are named with --scenario", fs.Arg(0))
	case *scenario == "":
		return nil, fmt.Errorf("--scenario is missing: give all, a file ending in .json, or one of %s", strings.Join(sim.Names(), ", "))
	case *parallel < 1:
		return nil, fmt.Errorf("--parallel must be at least 1")
	}
	var err error
	if o.policies, err = parsePolicies(*policy); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	change := func(sc *sim.Scenario) error {
		if given["seed"] {
			sc.Seed = *seed
		}
		if given["viewers"] {
			sc.Viewers = *viewers
		}
		if given["minutes"] {
			sc.Minutes = *minutes
			if sc.ExodusS >= *minutes*60 {
				sc.ExodusS = *minutes * 30 // it stays in the middle of the run
			}
		}
		return sc.Check()
	}
	if o.scenarios, err = load(*scenario, change); err != nil {
		return nil, err
	}
	if *html != "" {
		if o.html, err = os.Create(*html); err != nil { // before hours of work, not after
			return nil, fmt.Errorf("--html: %w", err)
		}
	}
	return o, nil
}

func parsePolicies(list string) ([]sim.Policy, error) {
	var ps []sim.Policy
	for _, name := range strings.Split(list, ",") {
		p := sim.Policy(strings.TrimSpace(name))
		if !slices.Contains(policies, p) {
			return nil, fmt.Errorf("--policy: %q is none; there are viewmesh, window-random and origin-only", p)
		}
		if !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// load finds the scenarios that a list of names stands for, changed as the flags say.
func load(name string, change func(*sim.Scenario) error) ([]sim.Scenario, error) {
	names := strings.Split(name, ",")
	if name == "all" {
		names = all
	}
	var scs []sim.Scenario
	for _, n := range names {
		sc, err := open(n)
		if err == nil {
			err = change(&sc)
		}
		if err != nil {
			return nil, err
		}
		scs = append(scs, sc)
	}
	return scs, nil
}

func open(name string) (sim.Scenario, error) {
	if !strings.HasSuffix(name, ".json") {
		return sim.Builtin(name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return sim.Scenario{}, fmt.Errorf("scenario file: %w", err)
	}
	sc, err := sim.Parse(b)
	if err != nil {
		return sc, fmt.Errorf("%s: %w", name, err)
	}
	return sc, nil
}
