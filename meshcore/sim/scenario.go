package sim

// Scenario describes a run. See the package's page for the format; the fields
// without a default must be given.
type Scenario struct {
	Name  string `json:"name"`
	About string `json:"about"` // one line for people; default empty
	Seed  uint64 `json:"seed"`  // of all chance; default 0

	// The presentation.
	Live       bool      `json:"live"`       // default false: a VOD
	Minutes    float64   `json:"minutes"`    // time simulated
	SegmentS   float64   `json:"segment_s"`  // length of a segment
	RateMbps   float64   `json:"rate_mbps"`  // of the rendition
	Renditions []float64 `json:"renditions"` // rates of all renditions; default rate_mbps alone
	SwitchS    float64   `json:"switch_s"`   // mean time between two random switches of a viewer; 0: never
	BehindS    float64   `json:"behind_s"`   // live: how far behind the live edge a viewer starts
	Ahead      int       `json:"ahead"`      // live: viewers, the first that come, who start nearer to the live edge
	AheadS     float64   `json:"ahead_s"`    // by so much
	WindowS    float64   `json:"window_s"`   // live: length of the playlist; default 3 x behind_s
	ReloadS    float64   `json:"reload_s"`   // live: a viewer has the new playlist 0 to this late; default 0.5, at most segment_s / 4
	FilmS      float64   `json:"film_s"`     // VOD: length of the film

	// The viewers.
	Viewers    int     `json:"viewers"`      // that come, replacements apart
	ArriveS    float64 `json:"arrive_s"`     // they come evenly within this time from the start
	Poisson    bool    `json:"poisson"`      // they come as a Poisson process over arrive_s instead
	LeaveRate  float64 `json:"leave_rate"`   // share that leaves each minute; as many new ones come
	ExodusS    float64 `json:"exodus_s"`     // at this time half of them vanish at once; 0: never
	PathsDieS  float64 `json:"paths_die_s"`  // at this time nothing passes any more between half of them and the others; 0: never
	PathsBackS float64 `json:"paths_back_s"` // until it does again; default 4 (ICE: 3 s without anything, and a restart)
	DeadAfterS float64 `json:"dead_after_s"` // until a viewer notices that a neighbor is gone; default 12 (ICE: 4 s disconnected, 8 s failed)

	// Their links.
	DownMbps      float64 `json:"down_mbps"`
	UpMbps        float64 `json:"up_mbps"`
	UpMinMbps     float64 `json:"up_min_mbps"`    // if set, instead of up_mbps: uplinks are log-normal, 95 % of
	UpMaxMbps     float64 `json:"up_max_mbps"`    // them between min and max, the others cut to them
	NoUpload      float64 `json:"no_upload"`      // share that gives nothing
	SymmetricNAT  float64 `json:"symmetric_nat"`  // share behind a NAT that maps by destination; two do not reach each other
	RestrictedNAT float64 `json:"restricted_nat"` // share behind a port-restricted one; these and symmetric ones do not reach each other
	Relay         bool    `json:"relay"`          // who does not reach each other connects over the edge
	LatencyMinMS  float64 `json:"latency_min_ms"` // one way, between two viewers of one region
	LatencyMaxMS  float64 `json:"latency_max_ms"`
	Regions       int     `json:"regions"`     // viewers are spread over this many; default 1
	RegionMS      float64 `json:"region_ms"`   // one way, added between two regions
	OriginMS      float64 `json:"origin_ms"`   // one way, to the origin and the edge; default 20
	OriginMbps    float64 `json:"origin_mbps"` // its uplink; 0: no limit
	// ConnectionMbps is the most that one answer of the origin gets; 0: no limit.
	ConnectionMbps float64 `json:"connection_mbps"`
	// Outages are times, in order, at which the origin has only a share of its uplink.
	Outages []Outage `json:"outages"`

	// Faults.
	Polluters  float64 `json:"polluters"`   // share that sends wrong chunks
	SlowPeers  float64 `json:"slow_peers"`  // share that uploads chunks at 1 kB/s
	FalseHaves float64 `json:"false_haves"` // share that announces what it does not have; half of those never answer a request for it

	// Asked is what the run is held to.
	Asked Asked `json:"asked"`
}

// Outage is a time at which the origin has only a share of origin_mbps.
type Outage struct {
	FromS float64 `json:"from_s"`
	ToS   float64 `json:"to_s"`
	Share float64 `json:"share"` // 0 to 1
}

// Asked is the figures that a run of policy viewmesh is held to (see [Verdicts]);
// 0, false and "" ask for nothing.
type Asked struct {
	OfCeiling   float64 `json:"of_ceiling"`     // offload / ceiling, at least
	NoStall     bool    `json:"no_stall"`       // no stall at all, and everybody starts
	StallsAsOne bool    `json:"stalls_as_one"`  // no more stalls than origin-only in the same scenario
	PeakShare   float64 `json:"peak_share"`     // origin egress peak (10 s windows) / that of origin-only, at most
	Saving      float64 `json:"saving"`         // share of all bytes that neither the origin sent nor the relay carried, at least
	BelowPlain  bool    `json:"below_plain"`    // what the origin sent and the relay carried is no more than origin-only's egress
	RecoversS   float64 `json:"recovers_s"`     // seconds until peers give as large a share as before paths died, at most
	Within      string  `json:"within"`         // offload at most within_points below that of this scenario
	WithinPts   float64 `json:"within_points"`  // in points of 100
	StartupS    float64 `json:"startup_s"`      // 95th percentile of the start-up, at most
	StalledPct  float64 `json:"stalled_pct"`    // time stalled / time watched, in percent, at most, and everybody starts
	BehindS     float64 `json:"behind_s"`       // median behind live at the end, at most
	NoHerdS     float64 `json:"no_herd_s"`      // from this time on no 10 s window above 1.5 times the highest between a minute before and then
	NeverWorse  bool    `json:"never_worse"`    // starts, start-up (10 % or 100 ms) and stalled time no worse than origin-only's
	NoBadByte   bool    `json:"no_bad_byte"`    // no wrong byte was played or passed on
	BeatsOthers bool    `json:"beats_baseline"` // offload above window-random's in the same scenario
}
