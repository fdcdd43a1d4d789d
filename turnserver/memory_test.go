package turnserver

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/pion/stun"
)

// An allocation with a permission and a channel takes no more of the process's memory,
// heap and stacks, than it has to: over TCP with its connection.
func TestMemoryPerAllocation(t *testing.T) {
	if raceEnabled {
		return // the detector's own memory would be measured
	}
	// In a process of its own: what other tests leave behind would be measured too, and
	// the size that Go begins a stack with goes by the stacks that were there before.
	if os.Getenv("VIEWMESH_MEMORY") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryPerAllocation$", "-test.v")
		cmd.Env = append(os.Environ(), "VIEWMESH_MEMORY=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v", err)
		}
		t.Logf("%s", out)
		return
	}
	const count = 1000
	for tr, most := range map[Transport]int{UDP: 16 << 10, TCP: 20 << 10} {
		s := start(t, func(c *Config) {
			c.Policy.UserAllocations = -1
			c.Policy.MaxConnsPerSource = count
		})
		server := listen(t, s, tr)
		// The clients share the process, so that their ends are measured too: some 5 KiB.
		before := memory()
		clients := make([]*rawClient, count)
		for i := range clients {
			c := newRawClient(t, tr, server, fmt.Sprintf("viewer-%d", i))
			c.allocate()
			if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), peer("127.0.0.1:9")); code != 0 {
				t.Fatalf("channel: code %d", code)
			}
			clients[i] = c
		}
		each := (memory() - before) / count
		t.Logf("%d bytes for an allocation over %v, and its client", each, tr)
		if each > most {
			t.Errorf("an allocation over %v and its client take %d bytes, want at most %d", tr, each, most)
		}
		runtime.KeepAlive(clients)
	}
}

func memory() int {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
