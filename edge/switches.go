package edge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/insight"
)

// The values of Switch.Of.
const (
	SwitchAll          = "all"
	SwitchHost         = "host"         // a site by its host
	SwitchPresentation = "presentation" // by its name: host and path of the manifest
	SwitchSite         = "site"         // a set of networks that Policy.Sites names
	SwitchCountry      = "country"      // ISO 3166 alpha-2
	SwitchDevice       = "device"       // desktop, mobile, tv or server
)

var switchable = []string{SwitchAll, SwitchHost, SwitchPresentation, SwitchSite, SwitchCountry, SwitchDevice}

// Switch is a part of the mesh that the operator has switched off: its viewers play from the
// origin until it is switched on again, or the process ends.
type Switch struct {
	Of    string `json:"of"`
	Value string `json:"value,omitempty"` // "" for all
}

// ErrSwitch is wrapped by errors about a Switch that cannot be.
var ErrSwitch = errors.New("no such switch")

// maxSwitches bounds the switches that are off at once.
const maxSwitches = 1000

// switches are those that are off.
type switches struct {
	mu  sync.RWMutex
	off map[Switch]bool
}

func (s *switches) list() []Switch {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []Switch{}
	for w := range s.off {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b Switch) int { return strings.Compare(a.Of+a.Value, b.Of+b.Value) })
	return out
}

func (s *switches) none() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.off) == 0
}

// any reports whether one of some switches is off.
func (s *switches) any(of ...Switch) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(of, func(w Switch) bool { return s.off[w] })
}

// turnOff notes that a part is off. The error wraps ErrSwitch.
func (s *switches) turnOff(w Switch) error {
	switch {
	case !slices.Contains(switchable, w.Of):
		return fmt.Errorf("%w: of is %.32q, write one of %s", ErrSwitch, w.Of, strings.Join(switchable, ", "))
	case (w.Of == SwitchAll) != (w.Value == ""):
		return fmt.Errorf("%w: write a value, but for all", ErrSwitch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off == nil {
		s.off = map[Switch]bool{}
	}
	if len(s.off) >= maxSwitches && !s.off[w] {
		return fmt.Errorf("%w: %d parts are off already; switch some on, or all off", ErrSwitch, maxSwitches)
	}
	s.off[w] = true
	return nil
}

// turnOn takes turnOff back; false if that part was not off.
func (s *switches) turnOn(w Switch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.off[w]
	delete(s.off, w)
	return was
}

// offFor reports whether the mesh is off for a viewer of a presentation.
func (s *switches) offFor(p *catalog.Presentation, f *insight.Facts) bool {
	return s.any(Switch{Of: SwitchAll}, Switch{SwitchHost, p.Host}, Switch{SwitchPresentation, p.Name()},
		Switch{SwitchSite, f.Site}, Switch{SwitchCountry, f.Country}, Switch{SwitchDevice, f.Device})
}
