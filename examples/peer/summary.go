package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
)

// row is how it went for one viewer, or for all.
type row struct {
	PeerBytes    int64 `json:"peer_bytes"`
	OriginBytes  int64 `json:"origin_bytes"`
	RelayedBytes int64 `json:"relayed_bytes"`
	StartupMS    int64 `json:"startup_ms"` // of all: the longest
	Stalls       int64 `json:"stalls"`
	StallMS      int64 `json:"stall_ms"`
	BadChunks    int64 `json:"bad_chunks"`
	Neighbors    int64 `json:"neighbors"` // of all: the mean, rounded
	// Paths are the connections to neighbors, of each viewer and not of all.
	Paths      []path `json:"paths,omitempty"`
	NotStarted int64  `json:"not_started"` // viewers that never began to play, which startup_ms says nothing of

	// BufferMS is how much each viewer has ahead of its playhead; of all: the least.
	BufferMS int64 `json:"buffer_ms"`

	uploaded int64
	started  bool
	joined   bool
}

// path is a connection to a neighbor: the types and addresses of both ends' candidates, the
// transport to the relay of this end, the time it took to open, and from then to the first
// chunk.
type path struct {
	Peer          string `json:"peer"`
	Local         string `json:"local"`
	LocalAddress  string `json:"local_address,omitempty"`
	Remote        string `json:"remote"`
	RemoteAddress string `json:"remote_address,omitempty"`
	Relay         string `json:"relay,omitempty"`
	OpenMS        int64  `json:"open_ms"`
	FirstByteMS   int64  `json:"first_byte_ms,omitempty"`
	Closed        bool   `json:"closed,omitempty"`
}

// total is a row with the offload, bytes from peers / all bytes, and the saving, which is
// that without what a relay carried: the edge sends that, too.
type total struct {
	row
	Offload float64 `json:"offload"`
	Saving  float64 `json:"saving"`
}

type summary struct {
	Viewers []row `json:"viewers"`
	Total   total `json:"total"`
}

func summarize(all []viewer.Stats) summary {
	var s summary
	t := &s.Total.row
	for i, v := range all {
		r := row{
			PeerBytes: v.PeerBytes, OriginBytes: v.OriginBytes, RelayedBytes: v.RelayedBytes, StartupMS: v.StartupMS,
			Stalls: v.Stalls, StallMS: v.StallMS, BadChunks: v.BadChunks, Neighbors: v.Report.Neighbors,
			uploaded: v.UploadedBytes, BufferMS: v.BufferMS, started: v.StartupMS > 0, joined: v.Joined,
		}
		for _, p := range v.Paths {
			r.Paths = append(r.Paths, path{Peer: p.Peer.String(), Local: p.Local, Remote: p.Remote, Relay: p.Relay,
				LocalAddress: p.LocalAddress, RemoteAddress: p.RemoteAddress,
				OpenMS: p.Took.Milliseconds(), FirstByteMS: p.FirstByte.Milliseconds(), Closed: p.Closed})
		}
		if !r.started {
			r.NotStarted = 1
		}
		s.Viewers = append(s.Viewers, r)
		t.PeerBytes += r.PeerBytes
		t.OriginBytes += r.OriginBytes
		t.RelayedBytes += r.RelayedBytes
		t.StartupMS = max(t.StartupMS, r.StartupMS)
		t.Stalls += r.Stalls
		t.StallMS += r.StallMS
		t.BadChunks += r.BadChunks
		t.Neighbors += r.Neighbors
		t.NotStarted += r.NotStarted
		t.uploaded += r.uploaded
		t.joined = t.joined || r.joined
		if i == 0 || r.BufferMS < t.BufferMS {
			t.BufferMS = r.BufferMS
		}
	}
	t.started = len(all) > 0 && t.NotStarted == 0
	if n := int64(len(all)); n > 0 {
		t.Neighbors = (t.Neighbors + n/2) / n
	}
	if sum := t.PeerBytes + t.OriginBytes; sum > 0 {
		s.Total.Offload = float64(t.PeerBytes) / float64(sum)
		s.Total.Saving = float64(t.PeerBytes-t.RelayedBytes) / float64(sum)
	}
	return s
}

// fine says whether every viewer started and none stalled.
func (s *summary) fine() bool { return s.Total.started && s.Total.Stalls == 0 }

func (s *summary) writeJSON(w io.Writer) error {
	if s.Viewers == nil {
		s.Viewers = []row{}
	}
	return json.NewEncoder(w).Encode(s)
}

// line is the live line: the smallest buffer, what came from whom, and the rates
// since last.
func (s *summary) line(last summary, over time.Duration) string {
	t, l := s.Total.row, last.Total.row
	rate := func(now, before int64) string {
		return fmt.Sprintf("%.1f Mbit/s", 8*float64(now-before)/max(over.Seconds(), 0.001)/1e6)
	}
	state := ""
	if !t.joined {
		state = "  (no edge)"
	}
	if t.Stalls > 0 {
		state += fmt.Sprintf("  %d stalls", t.Stalls)
	}
	who := ""
	if len(s.Viewers) > 1 {
		who = fmt.Sprintf("%d viewers  ", len(s.Viewers))
	}
	return fmt.Sprintf("%sbuffer %4.1f s  peers %s  origin %s  saved %.0f %%  neighbors %d  down %s  up %s%s",
		who, float64(t.BufferMS)/1000, size(t.PeerBytes), size(t.OriginBytes), 100*s.Total.Saving, t.Neighbors,
		rate(t.PeerBytes+t.OriginBytes, l.PeerBytes+l.OriginBytes), rate(t.uploaded, l.uploaded), state)
}

func (s *summary) writeTable(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "viewer\tfrom peers\tfrom origin\trelayed\tgiven\toffload\tsaved\tstart\tstalls\tstalled\tbad\tneighbors\t")
	print := func(name string, r row) {
		offload, saved := "-", "-"
		if sum := r.PeerBytes + r.OriginBytes; sum > 0 {
			offload = fmt.Sprintf("%.1f %%", 100*float64(r.PeerBytes)/float64(sum))
			saved = fmt.Sprintf("%.1f %%", 100*float64(r.PeerBytes-r.RelayedBytes)/float64(sum))
		}
		start := "never"
		if r.started {
			start = fmt.Sprintf("%d ms", r.StartupMS)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d ms\t%d\t%d\t\n", name, size(r.PeerBytes), size(r.OriginBytes),
			size(r.RelayedBytes), size(r.uploaded), offload, saved, start, r.Stalls, r.StallMS, r.BadChunks, r.Neighbors)
	}
	for i, r := range s.Viewers {
		print(fmt.Sprint(i+1), r)
	}
	if len(s.Viewers) > 1 {
		print("all", s.Total.row)
	}
	_ = tw.Flush()
}

// size prints bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0
}
