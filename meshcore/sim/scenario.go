package sim

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Scenario describes a run. The files in scenarios/ are scenarios in JSON;
// unknown fields are an error. Rates are in Mbit/s, times in seconds unless the
// name says otherwise. A field that is left out is 0.
type Scenario struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Seed  uint64 `json:"seed"`

	// The presentation.
	Live       bool      `json:"live"`
	Minutes    float64   `json:"minutes"`    // media simulated; of a VOD, the time simulated
	SegmentS   float64   `json:"segment_s"`  // length of a segment
	RateMbps   float64   `json:"rate_mbps"`  // of the (first) rendition
	Renditions []float64 `json:"renditions"` // rates of all renditions, if more than one
	SwitchS    float64   `json:"switch_s"`   // mean time between two random switches of a viewer
	BehindS    float64   `json:"behind_s"`   // live: how far behind the live edge a viewer starts
	WindowS    float64   `json:"window_s"`   // live: length of the playlist; default 3 x behind_s
	FilmS      float64   `json:"film_s"`     // VOD: length of the film

	// The viewers.
	Viewers   int     `json:"viewers"`
	ArriveS   float64 `json:"arrive_s"`   // they come evenly within this time from the start
	Poisson   bool    `json:"poisson"`    // they come as a Poisson process over arrive_s
	LeaveRate float64 `json:"leave_rate"` // share that leaves each minute; as many new ones come
	ExodusS   float64 `json:"exodus_s"`   // at this time half of them leave at once; 0: never

	// Their links.
	DownMbps     float64 `json:"down_mbps"`
	UpMbps       float64 `json:"up_mbps"`
	UpMinMbps    float64 `json:"up_min_mbps"` // if set, uplinks are log-normal: 95 % of them
	UpMaxMbps    float64 `json:"up_max_mbps"` // lie between min and max, the others are cut to them
	NoUpload     float64 `json:"no_upload"`   // share that gives nothing
	SymmetricNAT float64 `json:"symmetric_nat"`
	LatencyMinMS float64 `json:"latency_min_ms"` // one way, between two viewers of one region
	LatencyMaxMS float64 `json:"latency_max_ms"`
	Regions      int     `json:"regions"`     // default 1
	RegionMS     float64 `json:"region_ms"`   // one way, added between two regions
	OriginMS     float64 `json:"origin_ms"`   // one way, to the origin and the edge; default 20
	OriginMbps   float64 `json:"origin_mbps"` // its uplink; 0: no limit

	// Faults.
	Polluters  float64 `json:"polluters"`   // share that sends wrong chunks
	SlowPeers  float64 `json:"slow_peers"`  // share that uploads 1 kB/s
	FalseHaves float64 `json:"false_haves"` // share that announces what it does not have

	// Asked is what the run is held to.
	Asked Asked `json:"asked"`
}

// Asked is the figures to reach; zero means that nothing is asked.
type Asked struct {
	OfCeiling   float64 `json:"of_ceiling"`     // offload / ceiling, at least
	NoStall     bool    `json:"no_stall"`       // no stall at all
	StallsAsOne bool    `json:"stalls_as_one"`  // no more stalls than origin-only
	PeakShare   float64 `json:"peak_share"`     // origin egress peak / that of origin-only, at most
	Within      string  `json:"within"`         // offload at most WithinPts below this scenario's
	WithinPts   float64 `json:"within_points"`  // in points of 100
	NoBadByte   bool    `json:"no_bad_byte"`    // no wrong byte was played
	BeatsOthers bool    `json:"beats_baseline"` // offload above window-random's
}

//go:embed scenarios/*.json
var scenarioFiles embed.FS

// Names lists the built-in scenarios.
func Names() []string {
	entries, err := fs.ReadDir(scenarioFiles, "scenarios")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(names)
	return names
}

// Builtin gives a built-in scenario.
func Builtin(name string) (Scenario, error) {
	b, err := scenarioFiles.ReadFile("scenarios/" + name + ".json")
	if err != nil {
		return Scenario{}, fmt.Errorf("no scenario %q; there are: %s", name, strings.Join(Names(), ", "))
	}
	return Parse(b)
}

// Parse reads a scenario in JSON and checks it.
func Parse(b []byte) (Scenario, error) {
	var s Scenario
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("scenario: %w", err)
	}
	return s, s.check()
}

func (s *Scenario) check() error {
	if s.Regions == 0 {
		s.Regions = 1
	}
	if s.OriginMS == 0 {
		s.OriginMS = 20
	}
	if s.WindowS == 0 {
		s.WindowS = 3 * s.BehindS
	}
	if len(s.Renditions) == 0 {
		s.Renditions = []float64{s.RateMbps}
	}
	for _, c := range []struct {
		ok  bool
		say string
	}{
		{s.Name != "", "name is missing"},
		{s.Viewers > 0 && s.Viewers <= 1e6, "viewers must be 1 to 1000000"},
		{s.SegmentS > 0, "segment_s must be above 0"},
		{s.Renditions[0] > 0, "rate_mbps must be above 0"},
		{s.Minutes > 0, "minutes must be above 0"},
		{s.DownMbps > 0, "down_mbps must be above 0"},
		{s.UpMbps > 0 || s.UpMinMbps > 0, "up_mbps must be above 0"},
		{s.UpMaxMbps >= s.UpMinMbps, "up_max_mbps must not be below up_min_mbps"},
		{!s.Live || s.BehindS >= s.SegmentS, "behind_s must be at least segment_s"},
		{s.Live || s.FilmS > 0, "film_s must be above 0 for a VOD"},
		{s.LatencyMaxMS >= s.LatencyMinMS && s.LatencyMinMS > 0, "latency_min_ms and latency_max_ms must be above 0 and in order"},
	} {
		if !c.ok {
			return fmt.Errorf("scenario %s: %s", s.Name, c.say)
		}
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// bytesPerSecond turns Mbit/s into bytes/s.
func bytesPerSecond(mbps float64) float64 { return mbps * 1e6 / 8 }

// between draws evenly from lo to hi.
func between(r *rand.Rand, lo, hi float64) float64 { return lo + r.Float64()*(hi-lo) }
