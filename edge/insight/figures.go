package insight

import (
	"slices"
	"time"
)

// Figures are what the counters of a time come to. Shares are 0 to 1; what cannot be told
// because nothing was counted is 0.
type Figures struct {
	PeerBytes    int64 `json:"peer_bytes"`
	OriginBytes  int64 `json:"origin_bytes"`  // as peers report
	RelayedBytes int64 `json:"relayed_bytes"` // part of peer_bytes, and no saving
	WastedBytes  int64 `json:"wasted_bytes"`  // came twice
	// EgressBytes are those of segments that this edge has sent: of whole presentations only.
	// UnreportedBytes are those of them that no peer has reported: viewers without the mesh,
	// and reports under way.
	EgressBytes     int64 `json:"egress_bytes"`
	UnreportedBytes int64 `json:"unreported_bytes"`
	// SavedBytes are those that no server had to send: peer_bytes - relayed_bytes.
	SavedBytes int64   `json:"saved_bytes"`
	Offload    float64 `json:"offload"` // peer_bytes / (peer_bytes + origin_bytes)
	Saving     float64 `json:"saving"`  // saved_bytes / (peer_bytes + origin_bytes)
	// Bandwidth is that of peers and origin together, in bit/s; the maximum and the 95th
	// percentile are over the intervals of the time. EgressP95 is that of the edge alone,
	// and WithoutP95 what it would be without the mesh: what 95th-percentile billing counts.
	BandwidthAverage int64   `json:"bandwidth_average_bps"`
	BandwidthMax     int64   `json:"bandwidth_max_bps"`
	BandwidthP95     int64   `json:"bandwidth_p95_bps"`
	EgressP95        int64   `json:"egress_p95_bps"`
	WithoutP95       int64   `json:"without_mesh_p95_bps"`
	Audience         uint64  `json:"audience"` // viewers, each counted once, within 3 %; of whole presentations only
	Sessions         int64   `json:"sessions"` // opened in the time
	Viewers          float64 `json:"viewers"`  // at once, on average
	MaxViewers       int64   `json:"max_viewers"`
	Startups         int64   `json:"startups"`
	StartupMS        float64 `json:"startup_ms"`     // on average
	StartupP50MS     float64 `json:"startup_p50_ms"` // of whole presentations only, within 2 %
	StartupP95MS     float64 `json:"startup_p95_ms"`
	// Buffering is the share of the time watched in which playback stood still after it had begun.
	Buffering  float64 `json:"buffering"`
	Stalls     int64   `json:"stalls"`
	StallMS    int64   `json:"stall_ms"`
	PlayedMS   int64   `json:"played_ms"`
	BufferMS   float64 `json:"buffer_ms"`   // on average over reports
	BitrateBPS int64   `json:"bitrate_bps"` // bytes taken over time played
	Switches   int64   `json:"switches"`
	Errors     int64   `json:"errors"`
	BadChunks  int64   `json:"bad_chunks"`
}

func share(part, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// bps is bytes over a time in bit/s.
func bps(bytes int64, over time.Duration) int64 {
	if over <= 0 {
		return 0
	}
	return int64(float64(8*bytes) / over.Seconds())
}

// figuresOf returns what a cell that has counted over a time comes to.
func figuresOf(c *Cell, over time.Duration) Figures {
	n := &c.Counters
	taken := n[PeerBytes] + n[OriginBytes]
	f := Figures{
		PeerBytes: n[PeerBytes], OriginBytes: n[OriginBytes], RelayedBytes: n[RelayedBytes], WastedBytes: n[WastedBytes],
		EgressBytes: n[EgressBytes], SavedBytes: n[PeerBytes] - n[RelayedBytes],
		Offload: share(n[PeerBytes], taken), Saving: share(n[PeerBytes]-n[RelayedBytes], taken),
		BandwidthAverage: bps(taken, over), Sessions: n[Opened], MaxViewers: n[MaxViewers],
		Startups: n[Startups], StartupMS: share(n[StartupMS], n[Startups]),
		Buffering: share(n[StallMS], n[StallMS]+n[PlayedMS]), Stalls: n[Stalls], StallMS: n[StallMS], PlayedMS: n[PlayedMS],
		BufferMS: share(n[BufferMS], n[Reports]), BitrateBPS: bps(taken, time.Duration(n[PlayedMS])*time.Millisecond),
		Switches: n[Switches], Errors: n[Errors], BadChunks: n[BadChunks],
	}
	if over > 0 {
		f.Viewers = float64(n[ViewerMS]) / float64(over.Milliseconds())
	}
	if c.Dimension == Presentation && c.Presentation != Other {
		f.UnreportedBytes = n[EgressBytes] - n[OriginBytes]
	}
	if c.audience != nil {
		f.Audience = c.audience.Estimate()
	}
	if c.startup != nil && !c.startup.IsEmpty() {
		f.StartupP50MS, _ = c.startup.GetValueAtQuantile(0.5) // an error is for empty sketches
		f.StartupP95MS, _ = c.startup.GetValueAtQuantile(0.95)
	}
	return f
}

// percentile95 is the 95th percentile of values, as 95th-percentile billing takes it: the
// largest that is left when the top 5 % are thrown away. It sorts values.
func percentile95(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)-1-len(values)/20]
}
