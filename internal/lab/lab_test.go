package lab

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Clean()
	os.Exit(code)
}

// TestProcessOutlivesThreads: a program runs until it is stopped, whichever threads of the
// test end in the meantime, as those that have been in a namespace do.
func TestProcessOutlivesThreads(t *testing.T) {
	l := New(t)
	var running []*process
	for range 20 {
		running = append(running, start(l, l.core, &lines{}, &lines{}, "sleep", "1000"))
		for range 20 {
			if err := within(l.core, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, p := range running {
		select {
		case <-p.done:
			t.Errorf("program %d was stopped: %v", i, p.cmd.ProcessState)
		default:
		}
		p.stop()
	}
}
