package catalog

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

const (
	// A parameter is the viewer's once sureValues of its values gave equal bytes for
	// each of sureResources resources, and none ever gave others.
	sureValues, sureResources = 3, 3
	maxParams                 = 16  // parameters of a presentation that are looked at
	maxCompared               = 256 // resources that are compared, of one parameter
)

// params learns which query parameters of a presentation are the viewer's: the
// bytes do not depend on them. The zero value knows of none.
type params struct {
	learned atomic.Pointer[[]string] // replaced, never changed

	mu   sync.Mutex
	seen map[string]*param
}

// param is what is known of one parameter.
type param struct {
	counts bool               // the bytes depend on it
	bytes  map[string]*sample // by the resource without it
	sure   int                // resources of which it is sure that they do not
}

// sample is what several values of a parameter gave for one resource.
type sample struct {
	root   [32]byte
	values []string
}

// observe reports whether a parameter has been learned by what was seen.
func (ps *params) observe(n manifest.Name, which Range, root [32]byte) (learned bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for pair := range strings.SplitSeq(n.Query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		p := ps.of(name)
		if p == nil || p.counts || p.sure >= sureResources {
			continue
		}
		rest := digestOf(n, name, which)
		s := p.bytes[rest]
		switch {
		case s == nil:
			if len(p.bytes) >= maxCompared {
				clear(p.bytes)
			}
			p.bytes[rest] = &sample{root, []string{value}}
		case slices.Contains(s.values, value):
			if s.root != root { // the resource has changed
				*s = sample{root, []string{value}}
			}
		case s.root != root:
			p.depends()
		case len(s.values) < sureValues:
			if s.values = append(s.values, value); len(s.values) == sureValues {
				if p.sure++; p.sure >= sureResources {
					all := append(slices.Clone(ps.names()), name)
					ps.learned.Store(&all)
					p.bytes, learned = nil, true
				}
			}
		}
	}
	return learned
}

// compare notes which parameters one playlist lists with several values: they tell
// its resources apart.
func (ps *params) compare(all []*Listed) {
	first := map[string]string{}
	for _, l := range all {
		if l.Query == "" {
			continue
		}
		for pair := range strings.SplitSeq(l.Query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if v, ok := first[name]; !ok {
				first[name] = value
			} else if v != value {
				ps.mu.Lock()
				if p := ps.of(name); p != nil {
					p.depends()
				}
				ps.mu.Unlock()
			}
		}
	}
}

func (ps *params) names() []string {
	if learned := ps.learned.Load(); learned != nil {
		return *learned
	}
	return nil
}

// of returns what is known of a parameter, or nil if there are too many. ps.mu is
// held.
func (ps *params) of(name string) *param {
	p := ps.seen[name]
	if p == nil && len(ps.seen) < maxParams {
		if ps.seen == nil {
			ps.seen = map[string]*param{}
		}
		p = &param{bytes: map[string]*sample{}}
		ps.seen[name] = p
	}
	return p
}

func (p *param) depends() { p.counts, p.bytes = true, nil }

// digestOf names a resource, or a range of it, without one of its parameters.
func digestOf(n manifest.Name, without string, which Range) string {
	n.Query = manifest.CanonicalQuery(n.Query, []string{without})
	return n.String() + " " + strconv.FormatInt(which.Offset, 10) + "+" + strconv.FormatInt(which.Length, 10)
}
