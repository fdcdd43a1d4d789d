package insight

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viewmesh/viewmesh/internal/program"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestFullDisk: where the disk is full meters go on, the last hour is answered from memory, it is
// said once, and rows reach the disk again when there is room.
func TestFullDisk(t *testing.T) {
	program.NetAdmin(t, "fills a disk of its own")
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		program.Lacks(t, "a tmpfs cannot be mounted here; the test fills it: "+err.Error())
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	ballast := filepath.Join(dir, "ballast")
	core, logs := observer.New(zap.InfoLevel)
	now := start
	in := stepped(Config{Log: zap.New(core), Now: func() time.Time { return now }, File: filepath.Join(dir, "history.db")})
	defer in.Close()
	s := in.Open(Facts{Presentation: "a/x", Viewer: "v"})
	var said int64
	step := func() {
		said += 100
		s.Report(&signal.Report{PeerBytes: said}, &signal.Report{})
		now = now.Add(Interval)
		in.mu.Lock()
		in.record(now)
		in.mu.Unlock()
	}
	sum := func() (n int64) {
		if err := in.rows(start, now, Interval, false, func(r Row) {
			for _, c := range r.Cells {
				if c.Dimension == Presentation {
					n += c.Counters[PeerBytes]
				}
			}
		}); err != nil {
			t.Error(err)
		}
		return n
	}
	step()
	if err := in.Failed(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	for range 30 {
		step()
	}
	if in.Failed() == nil || nowOf(in, "").History == "" {
		t.Error("the disk is full, and nothing says so")
	}
	if n := sum(); n != said {
		t.Errorf("%d bytes are known, %d were reported", n, said)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	step()
	if err := in.Failed(); err != nil {
		t.Error(err)
	}
	in.mu.Lock()
	in.recent = nil
	in.mu.Unlock()
	if n := sum(); n != said {
		t.Errorf("%d bytes are in the file, %d were reported", n, said)
	}
	if n := logs.Len(); n != 2 {
		t.Errorf("%d lines in the log: %v", n, logs.All())
	}
}
