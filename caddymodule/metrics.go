package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/viewmesh/viewmesh/edge"
)

// meters is the Prometheus collector of an edge. It is made once and registered
// with each config's registry. No label names a peer, an address, a path or a
// swarm.
type meters struct{ edge *edge.Edge }

var (
	descSessions = prometheus.NewDesc("mesh_sessions", "Peers in swarms now.", nil, nil)
	descConns    = prometheus.NewDesc("mesh_signal_connections", "Signaling WebSockets open now.", nil, nil)
	descSwarms   = prometheus.NewDesc("mesh_swarms", "Swarms with at least one peer now.", nil, nil)
	descStopped  = prometheus.NewDesc("mesh_stopped_presentations", "Presentations that are not shared any more, because viewers got different bytes at one URL (GET /mesh/stopped of the admin API).", nil, nil)
	descTrackers = prometheus.NewDesc("mesh_tracker_connections", "WebSockets of WebTorrent clients open now.", nil, nil)
	descTracked  = prometheus.NewDesc("mesh_tracker_peers", "Peers of WebTorrent clients in swarms now: one for each info hash of each connection.", nil, nil)
	descHashes   = prometheus.NewDesc("mesh_tracker_swarms", "Info hashes with at least one peer now.", nil, nil)
	descSent     = prometheus.NewDesc("mesh_tracker_messages_total", "Messages to WebTorrent clients that were sent, or dropped because their receiver reads slowly.", []string{"outcome"}, nil)
	descEgress   = prometheus.NewDesc("mesh_origin_egress_bytes_total", "Bytes of segment bodies that this edge has sent.", nil, nil)
	descBytes    = prometheus.NewDesc("mesh_reported_bytes_total",
		"Bytes of segments that peers report to have received, by source; relayed is part of peer.", []string{"source"}, nil)
	descSaved = prometheus.NewDesc("mesh_saved_bytes",
		"Bytes of segments that peers report to have received from each other without a relay, which the edge did not have to send.", nil, nil)
	descBad     = prometheus.NewDesc("mesh_bad_chunks_total", "Chunks that peers report to have failed their digest.", nil, nil)
	descStalls  = prometheus.NewDesc("mesh_stalls_total", "Interruptions of playback that peers report.", nil, nil)
	descStall   = prometheus.NewDesc("mesh_stall_seconds_total", "Length of the interruptions that peers report.", nil, nil)
	descPlayed  = prometheus.NewDesc("mesh_played_seconds_total", "Media time that peers report to have played.", nil, nil)
	descDoubted = prometheus.NewDesc("mesh_doubted_sessions", "Sessions in swarms that are in memory of whose reports something is left out, because it cannot be true or be checked.", nil, nil)
	descBeyond  = prometheus.NewDesc("mesh_doubted_bytes", "Bytes from the origin that peers report beyond what this edge has sent, and which are left out. None are doubted once a trusted proxy has asked for segments.", nil, nil)
	descBanned  = prometheus.NewDesc("mesh_banned_peers", "Peers banned from swarms that are in memory.", nil, nil)
	descLimited = prometheus.NewDesc("mesh_limited_requests_total",
		"Requests for sessions refused with 429 because too many came from one address.", nil, nil)
	descTokens = prometheus.NewDesc("mesh_viewer_tokens_total",
		"Requests by what their viewer token came to: accepted, refused, or observed (to be refused, and let through).",
		[]string{"outcome", "reason"}, nil)
)

// Describe sends the descriptors.
func (m meters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSessions, descConns, descSwarms, descStopped,
		descTrackers, descTracked, descHashes, descSent, descEgress, descBytes, descSaved,
		descBad, descStalls, descStall, descPlayed, descDoubted, descBeyond, descBanned, descLimited, descTokens} {
		ch <- d
	}
}

// Collect sends the numbers.
func (m meters) Collect(ch chan<- prometheus.Metric) {
	n := m.edge.Numbers()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(descSessions, float64(n.Peers))
	gauge(descConns, float64(n.Connections))
	gauge(descSwarms, float64(n.Swarms))
	gauge(descStopped, float64(n.Stopped))
	gauge(descTrackers, float64(n.Tracker.Connections))
	gauge(descTracked, float64(n.Tracker.Peers))
	gauge(descHashes, float64(n.Tracker.Swarms))
	counter(descSent, float64(n.Tracker.Sent), "sent")
	counter(descSent, float64(n.Tracker.Dropped), "dropped")
	gauge(descBanned, float64(n.Banned))
	gauge(descDoubted, float64(n.Doubted))
	gauge(descBeyond, float64(n.DoubtedBytes))
	counter(descLimited, float64(n.Limited))
	counter(descEgress, float64(n.Egress))
	counter(descBytes, float64(n.Reported.PeerBytes), "peer")
	counter(descBytes, float64(n.Reported.OriginBytes), "origin")
	counter(descBytes, float64(n.Reported.RelayedBytes), "relayed")
	gauge(descSaved, float64(n.Reported.PeerBytes-n.Reported.RelayedBytes))
	counter(descBad, float64(n.Reported.BadChunks))
	counter(descStalls, float64(n.Reported.Stalls))
	counter(descStall, float64(n.Reported.StallMS)/1000)
	counter(descPlayed, float64(n.Reported.PlayedMS)/1000)
	for _, v := range n.ViewerTokens {
		counter(descTokens, float64(v.Count), v.Outcome, string(v.Reason))
	}
}

// register puts the collector of an edge into the registry of a config, where it
// may be already.
func register(ctx caddy.Context, e *edge.Edge) error {
	err := ctx.GetMetricsRegistry().Register(meters{e})
	var twice prometheus.AlreadyRegisteredError
	if err != nil && !errors.As(err, &twice) {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}
