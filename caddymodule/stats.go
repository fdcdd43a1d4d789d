package caddymodule

import (
	"cmp"
	"net/http"
	"slices"
)

// stats is the body of GET /mesh/stats: the swarms of one host.
type stats struct {
	Sessions int          `json:"sessions"` // peers now
	Swarms   []swarmStats `json:"swarms"`
	traffic
	// OriginEgressBytes is what this edge itself has sent of segments.
	OriginEgressBytes int64 `json:"origin_egress_bytes"`
	carried
}

type swarmStats struct {
	Swarm        string `json:"swarm"`
	Presentation string `json:"presentation"`
	Peers        int    `json:"peers"`
	traffic
	carried
}

// carried is what this edge's relay has counted itself, in bytes of payload: up
// from the viewers that use it, down to them. Where both ends of a connection use
// it, both count. RelayPeers are the sessions that it carried anything for so far.
type carried struct {
	RelayPeers     int64 `json:"relay_peers"`
	RelayUpBytes   int64 `json:"relay_up_bytes"`
	RelayDownBytes int64 `json:"relay_down_bytes"`
}

// traffic is what peers have reported, in bytes of segments. Relayed bytes are
// part of the bytes from peers.
type traffic struct {
	PeerBytes    int64 `json:"peer_bytes"`
	OriginBytes  int64 `json:"origin_bytes"`
	RelayedBytes int64 `json:"relayed_bytes"`
	// Offload is PeerBytes / (PeerBytes + OriginBytes), 0 before any byte.
	Offload float64 `json:"offload"`
}

func (t *traffic) setOffload() {
	if sum := t.PeerBytes + t.OriginBytes; sum > 0 {
		t.Offload = float64(t.PeerBytes) / float64(sum)
	}
}

// statsOf sums up the swarms of a host.
func (rt *runtime) statsOf(host string) stats {
	out := stats{Swarms: []swarmStats{}}
	for _, s := range rt.allSwarms() {
		if s.presentation.host != host {
			continue
		}
		st := s.stats()
		t := traffic{PeerBytes: st.Totals.PeerBytes, OriginBytes: st.Totals.OriginBytes, RelayedBytes: st.Totals.RelayedBytes}
		t.setOffload()
		c := carried{s.relayPeers.Load(), s.relayUp.Load(), s.relayDown.Load()}
		out.Swarms = append(out.Swarms, swarmStats{s.id, s.presentation.dir, st.Peers, t, c})
		out.RelayPeers += c.RelayPeers
		out.RelayUpBytes += c.RelayUpBytes
		out.RelayDownBytes += c.RelayDownBytes
		out.Sessions += st.Peers
		out.PeerBytes += t.PeerBytes
		out.OriginBytes += t.OriginBytes
		out.RelayedBytes += t.RelayedBytes
	}
	out.setOffload()
	slices.SortFunc(out.Swarms, func(a, b swarmStats) int {
		return cmp.Or(cmp.Compare(a.Presentation, b.Presentation), cmp.Compare(a.Swarm, b.Swarm))
	})
	for _, p := range rt.catalog.all(host) {
		out.OriginEgressBytes += p.egress.Load()
	}
	return out
}

// serveStats answers GET /mesh/stats.
func (h *Handler) serveStats(w http.ResponseWriter, _ *http.Request, host string) error {
	return writeJSON(w, "no-store", h.rt.statsOf(host))
}
