package turnserver

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// Log lines carry the addresses of listeners, which are configuration, and those of
// clients only when they are asked for.
func TestLogsCarryNoClientAddresses(t *testing.T) {
	for _, want := range []bool{false, true} {
		t.Run(fmt.Sprintf("LogAddresses=%v", want), func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			s := start(t, func(c *Config) { c.Logger, c.Policy.LogAddresses = zap.New(core), want })
			udp, tcp := listen(t, s, UDP), listen(t, s, TCP)
			c := newRawClient(t, UDP, udp, "viewer")
			c.allocate()
			for _, b := range neighbors()[:200] {
				c.send(b)
			}
			gone := newRawClient(t, TCP, tcp, "viewer")
			gone.allocate()
			_ = gone.conn.Close()
			eventually(t, "both ends are logged", func() bool { return logs.FilterMessage("allocation ended").Len() == 1 })
			found := false
			for _, entry := range logs.All() {
				line := entry.Message + fmt.Sprint(entry.ContextMap())
				found = found || strings.Contains(line, c.conn.LocalAddr().String())
				if strings.Contains(line, c.password) || strings.Contains(line, string(secret)) {
					t.Errorf("a secret is logged: %s", line)
				}
			}
			if found != want {
				t.Errorf("a client's address is logged: %v, want %v", found, want)
			}
		})
	}
}

func TestErrorFieldHidesAddresses(t *testing.T) {
	s := start(t, nil)
	err := &net.OpError{Op: "write", Net: "udp", Addr: &net.UDPAddr{IP: net.IPv4(9, 9, 9, 9), Port: 9}, Err: net.ErrClosed}
	wrapped := fmt.Errorf("cannot relay: %w", err)
	if got := fmt.Sprint(s.errorField(wrapped).Interface); strings.Contains(got, "9.9.9.9") || !strings.Contains(got, "closed") {
		t.Errorf("error is logged as %q", got)
	}
	p := s.Policy()
	p.LogAddresses = true
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.errorField(wrapped).Interface); !strings.Contains(got, "9.9.9.9") {
		t.Errorf("error is logged as %q though addresses are asked for", got)
	}
}

func TestUsageIsReported(t *testing.T) {
	type line struct {
		user     string
		up, down int64
	}
	got := make(chan line, 10)
	s := start(t, func(c *Config) {
		c.OnUsage = func(user string, up, down int64) { got <- line{user, up, down} }
	})
	relay := allocate(t, client(t, UDP, listen(t, s, UDP), "viewer"))
	roundTrip(t, relay, echo(t), "12345678")
	eventually(t, "both ways are counted", func() bool {
		u, _ := s.User("viewer")
		return u.Up == 8 && u.Down == 8
	})
	s.users.report(time.Now(), s.cfg.OnUsage) // as the ticker does
	if l := <-got; l != (line{"viewer", 8, 8}) {
		t.Errorf("usage %+v", l)
	}
	s.users.report(time.Now(), s.cfg.OnUsage)
	select {
	case l := <-got:
		t.Errorf("the same usage is reported twice: %+v", l)
	default:
	}
	// A user who holds nothing and whose credentials are over is forgotten.
	_ = relay.Close()
	eventually(t, "the allocation is gone", func() bool { return s.Stats().Allocations["udp"] == 0 })
	s.users.report(time.Now().Add(time.Hour), s.cfg.OnUsage)
	if _, ok := s.User("viewer"); ok {
		t.Error("the user is still known")
	}
}
