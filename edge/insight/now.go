package insight

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Now is what goes on at the moment.
type Now struct {
	Time    time.Time `json:"time"`
	Viewers int64     `json:"viewers"`
	// Figures are those of the last minute.
	Figures       Figures           `json:"figures"`
	Presentations []NowPresentation `json:"presentations"`
	// History is why rows do not reach the disk, "" while they do.
	History string `json:"history,omitempty"`
}

// NowPresentation is the part of one presentation in Now.
type NowPresentation struct {
	Name    string `json:"name"`
	Viewers int64  `json:"viewers"`
	Figures
}

// SessionNow is a session that is open.
type SessionNow struct {
	ID           string  `json:"id"`
	Presentation string  `json:"presentation"`
	Rendition    string  `json:"rendition,omitempty"`
	Kind         string  `json:"kind,omitempty"`
	Country      string  `json:"country,omitempty"`
	ASN          string  `json:"asn,omitempty"`
	Device       string  `json:"device,omitempty"`
	Connection   string  `json:"connection,omitempty"`
	Site         string  `json:"site,omitempty"`
	Player       string  `json:"player,omitempty"`
	Label        string  `json:"label,omitempty"`
	OpenMS       int64   `json:"open_ms"`
	Neighbors    int64   `json:"neighbors"`
	Relayed      int     `json:"relayed"` // of the neighbors
	BufferMS     int64   `json:"buffer_ms"`
	StartupMS    int64   `json:"startup_ms"`
	Stalls       int64   `json:"stalls"`
	StallMS      int64   `json:"stall_ms"`
	PlayedMS     int64   `json:"played_ms"`
	PeerBytes    int64   `json:"peer_bytes"`
	OriginBytes  int64   `json:"origin_bytes"`
	Offload      float64 `json:"offload"`
	Buffering    float64 `json:"buffering"`
}

// last minute of rows of ten seconds.
const lately = 6

// nowOf returns what goes on at a host, or everywhere for "".
func nowOf(in *Insight, host string) Now {
	recent, failed := in.latest(lately)
	row := mergeRows(time.Time{}, recent)
	over := time.Duration(len(recent)) * Interval
	out := Now{Time: in.now().UTC(), Presentations: []NowPresentation{}}
	if failed != nil {
		out.History = failed.Error()
	}
	viewers := viewersOf(in.Meters, host)
	all := Cell{}
	for i := range row.Cells {
		c := &row.Cells[i]
		if c.Dimension != Presentation || host != "" && !strings.HasPrefix(c.Presentation, host+"/") {
			continue
		}
		all.beside(&c.Counters)
		all.mergeSketches(c)
		out.Presentations = append(out.Presentations, NowPresentation{c.Presentation, viewers[c.Presentation], figuresOf(c, over)})
		delete(viewers, c.Presentation)
		out.Viewers += out.Presentations[len(out.Presentations)-1].Viewers
	}
	for name, n := range viewers { // that came since the last row
		out.Viewers += n
		out.Presentations = append(out.Presentations, NowPresentation{Name: name, Viewers: n})
	}
	out.Figures = figuresOf(&all, over)
	slices.SortFunc(out.Presentations, func(a, b NowPresentation) int {
		return cmp.Or(cmp.Compare(b.Viewers, a.Viewers), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// viewersOf returns the sessions that are open, by presentation.
func viewersOf(m *Meters, host string) map[string]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]int64{}
	for k, c := range m.cells {
		if k.Dimension == Presentation && c.viewers > 0 && (host == "" || strings.HasPrefix(k.Presentation, host+"/")) {
			out[k.Presentation] = c.viewers
		}
	}
	return out
}

// sessionsOf returns sessions that are open at a host, or everywhere for "": at most limit of
// them, those that suffer most first.
func sessionsOf(m *Meters, host string, limit int) []SessionNow {
	m.mu.Lock()
	now := m.now()
	all := make([]SessionNow, 0, len(m.sessions))
	for s := range m.sessions {
		if host != "" && !strings.HasPrefix(s.facts.Presentation, host+"/") {
			continue
		}
		r, f := &s.last, &s.facts
		all = append(all, SessionNow{
			ID: f.ID, Presentation: clean(f.Presentation, maxPresentation), Rendition: s.rendition, Kind: s.kind, Country: f.Country, ASN: f.ASN, Device: f.Device,
			Connection: f.Connection, Site: f.Site, Player: f.Player, Label: f.Label, OpenMS: now.Sub(s.opened).Milliseconds(),
			Neighbors: s.neighbors, Relayed: s.relayed, BufferMS: s.buffer, StartupMS: r.StartupMS, Stalls: r.Stalls, StallMS: r.StallMS,
			PlayedMS: r.PlayedMS, PeerBytes: r.PeerBytes, OriginBytes: r.OriginBytes,
			Offload: share(r.PeerBytes, r.PeerBytes+r.OriginBytes), Buffering: share(r.StallMS, r.StallMS+r.PlayedMS),
		})
	}
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b SessionNow) int {
		return cmp.Or(cmp.Compare(b.Buffering, a.Buffering), cmp.Compare(b.StartupMS, a.StartupMS), cmp.Compare(a.ID, b.ID))
	})
	return all[:min(limit, len(all))]
}
