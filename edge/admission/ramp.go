package admission

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
)

// ParseShare reads a share, such as "20%" or "0.2".
func ParseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("share %q: write 0%% to 100%%", s)
	}
	return f, nil
}

// maxRamps bounds the hosts whose share is set.
const maxRamps = 1024

// Ramps are shares of viewers that were set while the server runs, by host, "" for all hosts
// that have none of their own. They go before Policy.Control until they are taken back, or
// the process ends. They are safe for concurrent use.
type Ramps struct {
	mu     sync.RWMutex
	byHost map[string]float64
}

// Set has a share of the viewers of a host take part, 0 to 1; the others are the control group.
func (s *Ramps) Set(host string, share float64) error {
	if !(share >= 0 && share <= 1) {
		return fmt.Errorf("share %v: write 0 to 1", share)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.byHost[host]; !known && len(s.byHost) >= maxRamps {
		return fmt.Errorf("the shares of %d hosts are set; take some back", maxRamps)
	}
	if s.byHost == nil {
		s.byHost = map[string]float64{}
	}
	s.byHost[host] = share
	return nil
}

// Unset has the configuration count again for a host; false if no share was set.
func (s *Ramps) Unset(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.byHost[host]
	delete(s.byHost, host)
	return was
}

// List returns the shares that are set, by host.
func (s *Ramps) List() map[string]float64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[string]float64, len(s.byHost))
	maps.Copy(out, s.byHost)
	return out
}

// share returns the share of a host's viewers that take part.
func (s *Ramps) share(p *Policy, host string) float64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if v, ok := s.byHost[host]; ok {
		return v
	}
	if v, ok := s.byHost[""]; ok {
		return v
	}
	return 1 - p.Control
}

// draw returns a number from 0 to 1, evenly spread and always the same, for a viewer: for its
// account, if its viewer token names one, or else for its public address.
func draw(on *Connection, account Viewer) float64 {
	h := sha256.New()
	h.Write([]byte("ramp\x00" + on.host + "\x00"))
	if account != (Viewer{}) {
		h.Write(account[:])
	} else {
		h.Write([]byte(on.source.String()))
	}
	return float64(binary.BigEndian.Uint64(h.Sum(nil))>>11) / (1 << 53)
}
