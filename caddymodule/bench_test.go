package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// The benchmarks run a real Caddy and its client in this process, ask the same
// of a site without mesh and of one with it in turn, and report the process's CPU
// time for each and their ratio, mesh over plain.

// cpuTime is the CPU time that this process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func benchmarkBeside(b *testing.B, path string, prepare ...string) {
	dir := vod(b, 4, 1<<20)
	plain, mesh := freeport.Addr(b), freeport.Addr(b)
	site := func(addr, directive string) string {
		return fmt.Sprintf("http://%s {\n %s\n root %s\n file_server\n}\n", addr, directive, dir)
	}
	caddytest.Start(b, "{\n"+caddytest.Options(b)+"mesh {\n stun off\n }\n}\n"+site(plain, "")+site(mesh, "mesh"))
	client := newClient()
	defer client.CloseIdleConnections()
	ask := func(addr, path string) {
		resp, err := client.Get("http://" + addr + path)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp.StatusCode, err)
		}
		resp.Body.Close()
	}
	for _, p := range append(prepare, path) {
		ask(plain, p)
		ask(mesh, p)
	}
	const batch = 50
	var used [2]time.Duration
	n := 0
	for b.Loop() {
		for i, addr := range []string{plain, mesh} {
			before := cpuTime()
			for range batch {
				ask(addr, path)
			}
			used[i] += cpuTime() - before
		}
		n += batch
	}
	b.ReportMetric(float64(used[0].Microseconds())/float64(n), "plain-cpu-us/req")
	b.ReportMetric(float64(used[1].Microseconds())/float64(n), "mesh-cpu-us/req")
	b.ReportMetric(float64(used[1])/float64(used[0]), "mesh/plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSegment serves a 1 MiB segment whose digest is known.
func BenchmarkSegment(b *testing.B) {
	benchmarkBeside(b, "/vod/v0/seg-1.m4s", "/vod/index.m3u8", "/vod/v0/index.m3u8")
}

// BenchmarkManifest serves a media playlist that has been read before.
func BenchmarkManifest(b *testing.B) {
	benchmarkBeside(b, "/vod/v0/index.m3u8", "/vod/index.m3u8")
}

// BenchmarkOther serves a file that is neither.
func BenchmarkOther(b *testing.B) {
	benchmarkBeside(b, "/vod/v1/init.mp4")
}
