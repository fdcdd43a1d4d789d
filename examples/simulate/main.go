// Command simulate runs scenarios of meshcore/sim and prints what came of them.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

func main() {
	sc, err := sim.Builtin(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ps := []sim.Policy{sim.Mesh, sim.WindowRandom, sim.OriginOnly}
	if len(os.Args) > 2 {
		ps = ps[:1]
	}
	for _, p := range ps {
		t := time.Now()
		r := sim.Run(sc, p, nil)
		fmt.Printf("%-14s offload %.4f ceil %.4f ratio %.4f fetch/seg %.2f stalls %d (%.1fs) start %d/%d lat %d dup %.3f%% peak %.1f bad %d fair %.2f msgs %.1fM wall %.1f\n", p, r.Offload, r.Ceiling, r.Offload/r.Ceiling, r.OriginFetchesPerSegment, r.Stalls, r.StallSeconds, r.StartupMSP50, r.StartupMSP95, r.LiveLatencyMS, 100*float64(r.DuplicateBytes)/float64(r.PeerBytes+r.OriginBytes+1), r.OriginPeakMbps, r.BadChunks, r.Fairness, float64(r.Messages)/1e6, time.Since(t).Seconds())
	}
}
