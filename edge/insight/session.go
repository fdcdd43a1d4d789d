package insight

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// Facts are what is known of a viewer. Empty means unknown.
type Facts struct {
	ID           string // of the session, for people
	Presentation string // host and path of the manifest
	Viewer       string // tells viewers apart, so that one is counted once
	Country      string
	ASN          string
	Device       string
	Connection   string
	Site         string
	Player       string
	Label        string
}

func (f *Facts) of(d Dimension) string {
	switch d {
	case Country:
		return f.Country
	case ASN:
		return f.ASN
	case Device:
		return f.Device
	case Connection:
		return f.Connection
	case Site:
		return f.Site
	case Player:
		return f.Player
	case Label:
		return f.Label
	}
	return ""
}

// Session is one viewer's session. Its methods are safe for concurrent use.
type Session struct {
	meters       *Meters
	facts        Facts
	presentation string // as it counts
	opened       time.Time
	kind         string // "" before the first announce
	rendition    string
	cells        []*meter
	last         signal.Report // as it counts
	neighbors    int64
	buffer       int64
	relayed      int
	closed       bool
}

// Open counts a session from now on, until Close.
func (m *Meters) Open(f Facts) *Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	s := &Session{meters: m, facts: f, presentation: m.bounded(Presentation, f.Presentation), opened: now}
	s.cells = append(s.cells, m.cell(s.presentation, Presentation, ""))
	for d := Country; d < dimensions; d++ {
		s.cells = append(s.cells, m.cell(s.presentation, d, m.bounded(d, f.of(d))))
	}
	for _, c := range s.cells {
		c.enter(now)
		c.total[Opened]++
	}
	m.sessions[s] = struct{}{}
	s.watch(now)
	return s
}

// watch counts the viewer among the audience of this time. m.mu is held.
func (s *Session) watch(time.Time) {
	c := s.cells[0]
	if c.audience == nil {
		c.audience = newAudience()
	}
	c.audience.Insert([]byte(s.facts.Viewer))
}

// Announce takes what the peer says that it plays.
func (s *Session) Announce(a *signal.Announcement) {
	if s == nil {
		return
	}
	s.meters.mu.Lock()
	defer s.meters.mu.Unlock()
	if s.closed {
		return
	}
	if s.kind == "" {
		s.kind = "vod"
		if a.Live {
			s.kind = "live"
		}
		c := s.meters.cell(s.presentation, Kind, s.kind)
		c.enter(s.meters.now())
		c.total[Opened]++
		s.cells = append(s.cells, c)
	}
	if s.rendition != "" && a.Rendition != "" && a.Rendition != s.rendition {
		s.count(Switches, 1)
	}
	if a.Rendition != "" {
		s.rendition = a.Rendition
	}
	s.relayed = a.Relayed
}

// Report takes the running totals of a peer, as far as they can be true (a session never
// takes back what it has reported), and from said what it has now.
func (s *Session) Report(totals, said *signal.Report) {
	if s == nil {
		return
	}
	s.meters.mu.Lock()
	defer s.meters.mu.Unlock()
	if s.closed {
		return
	}
	b := &s.last
	for _, g := range [...]struct {
		c         Counter
		now, then int64
	}{
		{PeerBytes, totals.PeerBytes, b.PeerBytes}, {OriginBytes, totals.OriginBytes, b.OriginBytes},
		{RelayedBytes, totals.RelayedBytes, b.RelayedBytes}, {WastedBytes, totals.DuplicateBytes, b.DuplicateBytes},
		{UploadedBytes, totals.UploadedBytes, b.UploadedBytes}, {PlayedMS, totals.PlayedMS, b.PlayedMS},
		{Stalls, totals.Stalls, b.Stalls}, {StallMS, totals.StallMS, b.StallMS}, {BadChunks, totals.BadChunks, b.BadChunks},
	} {
		if g.now > g.then {
			s.count(g.c, g.now-g.then)
		}
	}
	if b.StartupMS == 0 && totals.StartupMS > 0 {
		s.count(Startups, 1)
		s.count(StartupMS, totals.StartupMS)
		c := s.cells[0]
		if c.startup == nil {
			c.startup = newStartups()
		}
		_ = c.startup.Add(float64(totals.StartupMS)) // fails for what is no number
	}
	s.count(Reports, 1)
	s.count(BufferMS, min(said.BufferMS, int64(time.Hour/time.Millisecond)))
	s.neighbors, s.buffer = said.Neighbors, said.BufferMS
	s.last = *totals
}

// Resume has the session go on from totals that have been counted, where the peer comes back
// with another connection.
func (s *Session) Resume(totals *signal.Report) {
	if s == nil {
		return
	}
	s.meters.mu.Lock()
	defer s.meters.mu.Unlock()
	s.last = *totals
}

// count adds to the cells of the session. The meters' lock is held.
func (s *Session) count(c Counter, n int64) {
	for _, cell := range s.cells {
		cell.total[c] += n
	}
}

// Close ends the session.
func (s *Session) Close() {
	if s == nil {
		return
	}
	s.meters.mu.Lock()
	defer s.meters.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	delete(s.meters.sessions, s)
	now := s.meters.now()
	for _, c := range s.cells {
		c.leave(now)
	}
}
