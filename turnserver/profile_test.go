package turnserver

import (
	"os"
	"runtime/pprof"
)

// startProfile writes a CPU profile where VIEWMESH_BENCH_PROFILE says, until the
// function that it returns is called.
func startProfile() (stop func()) {
	name := os.Getenv("VIEWMESH_BENCH_PROFILE")
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name)
	if err != nil {
		return func() {}
	}
	_ = pprof.StartCPUProfile(f)
	return func() { pprof.StopCPUProfile(); _ = f.Close() }
}
