package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// meters gives the runtime's numbers to Prometheus. It is made once and
// registered with each config's registry. No label names a peer, an address, a
// path or a swarm.
type meters struct{ rt *runtime }

var (
	descSessions = prometheus.NewDesc("mesh_sessions", "Peers in swarms now.", nil, nil)
	descConns    = prometheus.NewDesc("mesh_signal_connections", "Signaling WebSockets open now.", nil, nil)
	descSwarms   = prometheus.NewDesc("mesh_swarms", "Swarms with at least one peer now.", nil, nil)
	descEgress   = prometheus.NewDesc("mesh_origin_egress_bytes_total", "Bytes of segment bodies that this edge has sent.", nil, nil)
	descBytes    = prometheus.NewDesc("mesh_reported_bytes_total",
		"Bytes of segments that peers report to have received, by source; relayed is part of peer.", []string{"source"}, nil)
	descBad    = prometheus.NewDesc("mesh_bad_chunks_total", "Chunks that peers report to have failed their digest.", nil, nil)
	descStalls = prometheus.NewDesc("mesh_stalls_total", "Interruptions of playback that peers report.", nil, nil)
	descStall  = prometheus.NewDesc("mesh_stall_seconds_total", "Length of the interruptions that peers report.", nil, nil)
	descPlayed = prometheus.NewDesc("mesh_played_seconds_total", "Media time that peers report to have played.", nil, nil)
	descBanned = prometheus.NewDesc("mesh_banned_peers", "Peers banned from swarms that are in memory.", nil, nil)
)

// Describe sends the descriptors.
func (m meters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSessions, descConns, descSwarms, descEgress, descBytes,
		descBad, descStalls, descStall, descPlayed, descBanned, descTokens} {
		ch <- d
	}
}

// Collect sends the numbers.
func (m meters) Collect(ch chan<- prometheus.Metric) {
	peers, swarms, banned, sum := m.rt.totals()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(descSessions, float64(peers))
	gauge(descConns, float64(m.rt.connCount.Load()))
	gauge(descSwarms, float64(swarms))
	gauge(descBanned, float64(banned))
	counter(descEgress, float64(m.rt.egress.Load()))
	counter(descBytes, float64(sum.PeerBytes), "peer")
	counter(descBytes, float64(sum.OriginBytes), "origin")
	counter(descBytes, float64(sum.RelayedBytes), "relayed")
	counter(descBad, float64(sum.BadChunks))
	counter(descStalls, float64(sum.Stalls))
	counter(descStall, float64(sum.StallMS)/1000)
	counter(descPlayed, float64(sum.PlayedMS)/1000)
	m.rt.verdicts.collect(ch)
}

// totals sums up all swarms, those that were let go included.
func (rt *runtime) totals() (peers, swarms, banned int, sum signal.Report) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	sum = rt.retired
	for _, s := range rt.swarms {
		st := s.stats()
		peers += st.Peers
		banned += st.Banned
		if st.Peers > 0 {
			swarms++
		}
		sum.Add(&st.Totals)
	}
	return peers, swarms, banned, sum
}

// registerMetrics puts the collectors into the registry of this config.
func (a *App) registerMetrics(ctx caddy.Context) error {
	return register(ctx, meters{a.rt})
}

// register puts a collector into the registry of a config, where it may be already.
func register(ctx caddy.Context, c prometheus.Collector) error {
	err := ctx.GetMetricsRegistry().Register(c)
	var twice prometheus.AlreadyRegisteredError
	if err != nil && !errors.As(err, &twice) {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}
