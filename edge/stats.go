package edge

import (
	"cmp"
	"math"
	"slices"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/response"
	"github.com/viewmesh/viewmesh/edge/signaling"
	"github.com/viewmesh/viewmesh/edge/torrent"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// Stats is the body of GET /mesh/stats: the swarms of one host.
type Stats struct {
	Sessions int          `json:"sessions"` // peers now
	Swarms   []SwarmStats `json:"swarms"`
	Traffic
	// OriginEgressBytes is what this edge itself has sent of segments.
	OriginEgressBytes int64 `json:"origin_egress_bytes"`
	Carried
	// Quality is what viewers have reported of their playback, apart for those who take part
	// and for the control group (Policy.Control), whose traffic counts nowhere above.
	Quality struct {
		Mesh    Quality `json:"mesh"`
		Control Quality `json:"control"`
	} `json:"quality"`
}

// Quality is what the viewers of a group have reported of their playback.
type Quality struct {
	Sessions    int   `json:"sessions"` // now
	PlayedMS    int64 `json:"played_ms"`
	Stalls      int64 `json:"stalls"`
	StallMS     int64 `json:"stall_ms"`
	OriginBytes int64 `json:"origin_bytes"`
}

func (q *Quality) add(sessions int, r *signal.Report) {
	q.Sessions += sessions
	q.PlayedMS += r.PlayedMS
	q.Stalls += r.Stalls
	q.StallMS += r.StallMS
	q.OriginBytes += r.OriginBytes
}

// SwarmStats is the part of one swarm in Stats.
type SwarmStats struct {
	Swarm        string `json:"swarm"`
	Presentation string `json:"presentation"`
	Peers        int    `json:"peers"`
	Traffic
	Carried
}

// Traffic is what peers have reported, in bytes of segments. Relayed bytes are
// part of the bytes from peers.
type Traffic struct {
	PeerBytes    int64 `json:"peer_bytes"`
	OriginBytes  int64 `json:"origin_bytes"`
	RelayedBytes int64 `json:"relayed_bytes"`
	// DoubtedBytes are those of the origin that peers have reported beyond what this edge has
	// sent of the host's segments: they are left out of OriginBytes. None are doubted once a
	// trusted proxy has asked, which may send copies of its own.
	DoubtedBytes int64 `json:"doubted_bytes"`
	// Offload is PeerBytes / (PeerBytes + OriginBytes), 0 before any byte.
	Offload float64 `json:"offload"`
	// Saving is the share of all bytes that the edge did not have to send, because a peer
	// gave them and no relay carried them: 1 - (OriginBytes + RelayedBytes) /
	// (PeerBytes + OriginBytes), 0 before any byte.
	Saving float64 `json:"saving"`
}

// Carried is what this edge's relay has counted itself, in bytes of payload: up
// from the viewers that use it, down to them. Where both ends of a connection use
// it, both count. RelayPeers are the sessions that it carried anything for so far.
type Carried struct {
	RelayPeers     int64 `json:"relay_peers"`
	RelayUpBytes   int64 `json:"relay_up_bytes"`
	RelayDownBytes int64 `json:"relay_down_bytes"`
}

func (t *Traffic) setShares() {
	if sum := t.PeerBytes + t.OriginBytes; sum > 0 {
		t.Offload = float64(t.PeerBytes) / float64(sum)
		t.Saving = float64(t.PeerBytes-t.RelayedBytes) / float64(sum)
	}
}

// holdTo holds what peers have reported of the origin to what this edge has sent.
func (t *Traffic) holdTo(sent int64) {
	doubted := max(0, t.OriginBytes-sent)
	t.OriginBytes -= doubted
	t.DoubtedBytes += doubted
	t.setShares()
}

// statsOf sums up the swarms of a host. all reports whether this edge has sent all that
// came from the origin.
func statsOf(hub *signaling.Hub, listed *catalog.Catalog, host string, all bool) Stats {
	out := Stats{Swarms: []SwarmStats{}}
	for _, p := range listed.Of(host) {
		out.OriginEgressBytes += p.Egress()
	}
	sent := int64(math.MaxInt64)
	if all {
		sent = out.OriginEgressBytes
	}
	for _, s := range hub.Swarms() {
		if s.Presentation.Host != host {
			continue
		}
		t := Traffic{PeerBytes: s.Totals.PeerBytes, OriginBytes: s.Totals.OriginBytes, RelayedBytes: s.Totals.RelayedBytes}
		t.holdTo(sent)
		c := Carried{s.RelayPeers, s.RelayUp, s.RelayDown}
		out.Swarms = append(out.Swarms, SwarmStats{s.ID, s.Presentation.Path, s.Peers, t, c})
		out.RelayPeers += c.RelayPeers
		out.RelayUpBytes += c.RelayUpBytes
		out.RelayDownBytes += c.RelayDownBytes
		out.Sessions += s.Peers
		out.Quality.Mesh.add(s.Peers-s.Alone, &s.Totals)
		out.Quality.Control.add(s.Alone, &s.Control)
		out.PeerBytes += t.PeerBytes
		out.OriginBytes += t.OriginBytes
		out.RelayedBytes += t.RelayedBytes
		out.DoubtedBytes += t.DoubtedBytes
	}
	out.holdTo(sent)
	slices.SortFunc(out.Swarms, func(a, b SwarmStats) int {
		return cmp.Or(cmp.Compare(a.Presentation, b.Presentation), cmp.Compare(a.Swarm, b.Swarm))
	})
	return out
}

// Numbers are the numbers of an edge over all its sites, for metrics.
type Numbers struct {
	Peers        int                 // in swarms now
	Connections  int64               // signaling WebSockets open now
	Swarms       int                 // with at least one peer now
	Stopped      int                 // presentations that are not shared any more (Edge.Stopped)
	Banned       int                 // peers banned from swarms that are in memory
	Doubted      int                 // sessions of whose reports something is left out of Reported, because it cannot be true or be checked
	Limited      int64               // requests for sessions refused because too many came from one address
	DoubtedBytes int64               // of the origin that peers have reported beyond Egress; left out of Reported
	Egress       int64               // bytes of segment bodies sent
	Spooled      int64               // bytes that bodies without Content-Length hold in memory now
	Reported     signal.Report       // what peers have reported
	Tracker      torrent.Numbers     // of the tracker for clients that exist already
	ViewerTokens []admission.Verdict // requests by what their viewer token came to
}

// numbersOf returns the numbers of now; all is that of statsOf.
func numbersOf(hub *signaling.Hub, tracker *torrent.Hub, segments *response.Segments, control *admission.Control, all bool) Numbers {
	n := Numbers{
		Connections: hub.Connections(), Limited: control.Limited(), Egress: segments.Egress(), Spooled: segments.Spooled(),
		Tracker: tracker.Numbers(), Reported: hub.Totals(), ViewerTokens: control.Verdicts(),
	}
	if all {
		n.DoubtedBytes = max(0, n.Reported.OriginBytes-n.Egress)
		n.Reported.OriginBytes -= n.DoubtedBytes
	}
	for _, s := range hub.Swarms() {
		n.Peers += s.Peers
		n.Banned += s.Banned
		n.Doubted += s.Doubted
		if s.Peers > 0 {
			n.Swarms++
		}
	}
	return n
}
