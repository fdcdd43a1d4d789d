package turn

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// meters collects the numbers of a STUN and TURN server for Prometheus. Its labels
// have the few values that turnserver knows.
type meters struct{ server *server }

var (
	descAvailable   = prometheus.NewDesc("mesh_turn_available", "1 while sessions are offered the relay, 0 while they get STUN only.", nil, nil)
	descAvailable6  = prometheus.NewDesc("mesh_turn_available_ipv6", "1 while the second, IPv6, relay address has room, 0 while it has none or there is none.", nil, nil)
	descAllocations = prometheus.NewDesc("mesh_turn_allocations", "Allocations of the relay now.", []string{"transport"}, nil)
	descAllocated   = prometheus.NewDesc("mesh_turn_allocations_total", "Allocations that the relay has made.", []string{"transport"}, nil)
	descTURNConns   = prometheus.NewDesc("mesh_turn_connections", "TCP and TLS connections to the relay now.", []string{"transport"}, nil)
	descRelayed     = prometheus.NewDesc("mesh_turn_relayed_bytes_total",
		"Payload bytes relayed: up from a viewer to its peers, down to it.", []string{"direction"}, nil)
	descPackets = prometheus.NewDesc("mesh_turn_relayed_packets_total",
		"Payload packets relayed: up from a viewer to its peers, down to it.", []string{"direction"}, nil)
	descListener = prometheus.NewDesc("mesh_turn_listener_bytes_total",
		"Payload bytes relayed for clients of a listener: up from a viewer to its peers, down to it.", []string{"listener", "direction"}, nil)
	descTransport = prometheus.NewDesc("mesh_turn_transport_bytes_total",
		"Payload bytes relayed for clients of a transport: up from a viewer to its peers, down to it.", []string{"transport", "direction"}, nil)
	descOnce = prometheus.NewDesc("mesh_turn_payload_bytes_total",
		"All payload bytes relayed, as total_bytes counts them: those from one viewer of the relay to another once.", nil, nil)
	descBindings  = prometheus.NewDesc("mesh_stun_bindings_total", "STUN Binding requests answered.", nil, nil)
	descAuth      = prometheus.NewDesc("mesh_turn_auth_failures_total", "Requests with credentials that were refused.", nil, nil)
	descChallenge = prometheus.NewDesc("mesh_turn_challenges_total", "Requests without credentials, answered 401.", nil, nil)
	descRefused   = prometheus.NewDesc("mesh_turn_refused_total", "Requests of authenticated users that were refused, by STUN error.", []string{"code"}, nil)
	descDrops     = prometheus.NewDesc("mesh_turn_drops_total", "What was neither relayed nor answered, by reason.", []string{"reason"}, nil)
)

// Describe sends the descriptors.
func (m meters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAvailable, descAvailable6, descAllocations, descAllocated, descTURNConns, descRelayed, descPackets, descListener, descTransport, descOnce,
		descBindings, descAuth, descChallenge, descRefused, descDrops} {
		ch <- d
	}
}

// Collect sends the numbers.
func (m meters) Collect(ch chan<- prometheus.Metric) {
	st := m.server.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(v), labels...)
	}
	each := func(d *prometheus.Desc, kind prometheus.ValueType, values map[string]int64) {
		for label, v := range values {
			send(d, kind, v, label)
		}
	}
	flag := map[bool]int64{true: 1}
	send(descAvailable, prometheus.GaugeValue, flag[m.server.RelayAvailable()])
	send(descAvailable6, prometheus.GaugeValue, flag[m.server.RelayAvailable6()])
	send(descOnce, prometheus.CounterValue, st.Relayed)
	for transport, sum := range st.Transports {
		send(descTransport, prometheus.CounterValue, sum.UpBytes, transport, "up")
		send(descTransport, prometheus.CounterValue, sum.DownBytes, transport, "down")
	}
	each(descAllocations, prometheus.GaugeValue, st.Allocations)
	each(descAllocated, prometheus.CounterValue, st.AllocationsTotal)
	each(descTURNConns, prometheus.GaugeValue, st.Conns)
	each(descDrops, prometheus.CounterValue, st.Drops)
	send(descRelayed, prometheus.CounterValue, st.UpBytes, "up")
	send(descRelayed, prometheus.CounterValue, st.DownBytes, "down")
	send(descPackets, prometheus.CounterValue, st.UpPackets, "up")
	send(descPackets, prometheus.CounterValue, st.DownPackets, "down")
	for listener, sum := range st.Listeners {
		send(descListener, prometheus.CounterValue, sum.UpBytes, listener, "up")
		send(descListener, prometheus.CounterValue, sum.DownBytes, listener, "down")
	}
	send(descBindings, prometheus.CounterValue, st.Bindings)
	send(descAuth, prometheus.CounterValue, st.AuthFailures)
	send(descChallenge, prometheus.CounterValue, st.Challenges)
	for code, v := range st.Refused {
		send(descRefused, prometheus.CounterValue, v, strconv.Itoa(code))
	}
}
