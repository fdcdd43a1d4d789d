package turnserver

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/pion/stun"
)

// An allocation over UDP with a permission and a channel takes at most 16 KiB of the
// process's memory: heap and stacks, with what pion keeps for it.
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
	const count, most = 1000, 16 << 10
	s := start(t, func(c *Config) { c.Policy.UserAllocations = -1 })
	server := listen(t, s, UDP)
	// The clients share nothing with what is measured but the process, so they are made
	// before: a socket each.
	clients := make([]*rawClient, count)
	for i := range clients {
		clients[i] = newRawClient(t, UDP, server, fmt.Sprintf("viewer-%d", i))
		clients[i].challenge()
	}
	before := memory()
	for _, c := range clients {
		if code := c.request(stun.MethodAllocate, wantUDP); code != 0 {
			t.Fatalf("allocate: code %d", code)
		}
		if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), peer("127.0.0.1:9")); code != 0 {
			t.Fatalf("channel: code %d", code)
		}
	}
	each := (memory() - before) / count
	t.Logf("%d bytes for an allocation", each)
	if each > most {
		t.Errorf("an allocation takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(clients)
}

func memory() int {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
