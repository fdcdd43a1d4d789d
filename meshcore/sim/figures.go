package sim

import "time"

// Result is what came of a run. Shares are 0 to 1.
type Result struct {
	Scenario string  `json:"scenario"`
	Viewers  int     `json:"viewers"`
	Policy   Policy  `json:"policy"`
	Offload  float64 `json:"offload"` // bytes from peers / all segment bytes, start-up included
	Ceiling  float64 `json:"ceiling"` // the most that arithmetic allows this swarm
	// OriginFetchesPerSegment is what left the origin of a segment that anybody
	// asked it for, in whole segments of the (first) rendition.
	OriginFetchesPerSegment float64 `json:"origin_fetches_per_segment"`
	WatchedSeconds          float64 `json:"watched_seconds"` // that viewers were there
	Stalls                  int64   `json:"stalls"`
	StallSeconds            float64 `json:"stall_seconds"`
	StartupMSP50            int64   `json:"startup_ms_p50"` // from arrival to the first frame
	StartupMSP95            int64   `json:"startup_ms_p95"`
	LiveLatencyMS           int64   `json:"live_latency_ms"` // median at the end; 0 for a VOD
	DuplicateBytes          int64   `json:"duplicate_bytes"` // came and were there already
	WallSeconds             float64 `json:"wall_seconds"`    // set by the caller: the simulator has no clock

	Minutes        float64 `json:"minutes"` // simulated
	Seed           uint64  `json:"seed"`
	NotStarted     int64   `json:"not_started"`      // viewers that waited 10 s or more and never started
	OriginPeakMbps float64 `json:"origin_peak_mbps"` // of the 10 s windows
	BadChunks      int64   `json:"bad_chunks"`       // wrong chunks that were found and thrown away
	Violations     int64   `json:"violations"`       // segments played and chunks given without being there whole: none
	Fairness       float64 `json:"upload_fairness"`  // Jain's index of bytes given / uplink over those who may give
	OriginBytes    int64   `json:"origin_bytes"`     // that left the origin
	PeerBytes      int64   `json:"peer_bytes"`       // verified, that a viewer had not
	RelayedBytes   int64   `json:"relayed_bytes"`    // of chunks that went over the relay, wanted or not
	Saving         float64 `json:"saving"`           // 1 - (origin_bytes + relayed_bytes) / all segment bytes
	ControlBytes   int64   `json:"control_bytes"`    // of messages between peers that are no chunks
	Messages       int64   `json:"messages"`         // their number
	Refused        int64   `json:"refused"`          // offers that came to nothing
	Trace          string  `json:"trace"`            // hash of all events
	Series         []Point `json:"series"`           // 10 s windows
}

// Point is one window of a series.
type Point struct {
	Seconds     float64 `json:"seconds"` // when it begins
	OriginBytes int64   `json:"origin_bytes"`
	PeerBytes   int64   `json:"peer_bytes"`
}

// Offload is the share of peers in the window, 0 if nothing came.
func (p Point) Offload() float64 {
	if p.OriginBytes+p.PeerBytes == 0 {
		return 0
	}
	return float64(p.PeerBytes) / float64(p.OriginBytes+p.PeerBytes)
}

// OriginMbps is the origin's egress in the window.
func (p Point) OriginMbps() float64 { return float64(p.OriginBytes) * 8 / 1e6 / window.Seconds() }

// window is the length of the windows of [Result.Series].
const window = 10 * time.Second
