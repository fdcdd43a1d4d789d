package sim

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

// ErrScenario is wrapped by every error of [Parse], [Builtin] and [Scenario.Check].
var ErrScenario = errors.New("scenario")

//go:embed scenarios/*.json
var scenarioFiles embed.FS

// Names lists the built-in scenarios, in order.
func Names() []string {
	entries, err := fs.ReadDir(scenarioFiles, "scenarios") // sorted
	if err != nil {
		panic(err) // the folder is part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return names
}

// Builtin gives a built-in scenario. The error wraps [ErrScenario] and lists the
// names.
func Builtin(name string) (Scenario, error) {
	b, err := scenarioFiles.ReadFile("scenarios/" + name + ".json")
	if err != nil {
		return Scenario{}, fmt.Errorf("%w %q is not built in; there are: %s", ErrScenario, name, strings.Join(Names(), ", "))
	}
	return Parse(b)
}

// Parse reads a scenario in JSON, fills in the defaults and checks it. The error
// wraps [ErrScenario].
func Parse(b []byte) (Scenario, error) {
	var s Scenario
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return s, fmt.Errorf("%w %s: something follows the JSON object", ErrScenario, s.Name)
	}
	return s, s.Check()
}

// maxRenditions fits a segment id (see segmentID).
const maxRenditions = 32

// Check fills in the defaults and says what is wrong with a scenario; the error
// wraps [ErrScenario]. [Run] expects a scenario that was checked.
func (s *Scenario) Check() error {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	if s.Regions == 0 {
		s.Regions = 1
	}
	def(&s.OriginMS, 20)
	def(&s.WindowS, 3*s.BehindS)
	def(&s.ReloadS, min(0.5, s.SegmentS/4))
	def(&s.DeadAfterS, 12)
	def(&s.PathsBackS, 4)
	if len(s.Renditions) == 0 {
		s.Renditions = []float64{s.RateMbps}
	}
	within := func(lo, hi float64, vs ...float64) bool {
		for _, v := range vs {
			if !(v >= lo && v <= hi) {
				return false
			}
		}
		return true
	}
	shares := within(0, 1, s.LeaveRate, s.NoUpload, s.SymmetricNAT, s.RestrictedNAT, s.Polluters, s.SlowPeers, s.FalseHaves,
		s.SymmetricNAT+s.RestrictedNAT, s.Polluters+s.SlowPeers+s.FalseHaves)
	const tiny, huge = 1e-3, 1e6
	for _, c := range []struct {
		ok  bool
		say string
	}{
		{s.Name != "", "name is missing"},
		{s.Viewers > 0 && s.Viewers <= 1e6, "viewers must be 1 to 1000000"},
		{within(tiny, 600, s.SegmentS), "segment_s must be above 0 and at most 600"},
		{len(s.Renditions) <= maxRenditions, fmt.Sprintf("renditions must be at most %d", maxRenditions)},
		{within(tiny, 1000, s.Renditions...), "rate_mbps and each of renditions must be above 0 and at most 1000"},
		{within(tiny, 1e5, s.Minutes), "minutes must be above 0 and at most 100000"},
		{within(tiny, huge, s.DownMbps), "down_mbps must be above 0"},
		{within(tiny, huge, s.UpMbps) || s.UpMinMbps > 0, "up_mbps must be above 0"},
		{s.UpMinMbps == 0 || within(tiny, s.UpMaxMbps, s.UpMinMbps) && s.UpMaxMbps <= huge, "up_min_mbps and up_max_mbps must be above 0 and in order"},
		{!s.Live || within(s.SegmentS, 3600, s.BehindS), "behind_s must be at least segment_s"},
		{s.Ahead >= 0 && s.Ahead <= s.Viewers && (s.AheadS == 0 || within(0, s.BehindS-s.SegmentS, s.AheadS)), "ahead must be 0 to viewers, and ahead_s at most behind_s - segment_s"},
		{!s.Live || within(s.BehindS, 36000, s.WindowS), "window_s must be at least behind_s"},
		{within(0, s.SegmentS, s.ReloadS), "reload_s must be 0 to segment_s"},
		{s.Live || within(tiny, 1e5, s.FilmS), "film_s must be above 0 for a VOD"},
		{!s.Live || math.Max(s.Minutes*60, s.WindowS)/s.SegmentS < 1e6, "minutes / segment_s is more than a million segments"},
		{s.Live || s.FilmS/s.SegmentS <= 4096, "film_s / segment_s is more than 4096 segments"},
		{within(0, 1e6, s.ArriveS, s.SwitchS, s.ExodusS, s.PathsDieS, s.PathsBackS, s.OriginMS, s.OriginMbps, s.RegionMS), "a time or rate is below 0 or above a million"},
		{within(0, huge, s.ConnectionMbps), "connection_mbps must be at least 0"},
		{s.outagesFit(), "outages must have from_s below to_s, be in order, with a share of 0 to 1, and need origin_mbps"},
		{within(0.1, 600, s.DeadAfterS), "dead_after_s must be 0.1 to 600"},
		{s.SwitchS == 0 || s.SwitchS >= 1 && len(s.Renditions) > 1, "switch_s must be at least 1 and needs two renditions"},
		{s.Regions >= 1 && s.Regions <= 1000, "regions must be 1 to 1000"},
		{shares, "a share is not between 0 and 1, or shares that exclude each other add up to more than 1"},
		{within(tiny, s.LatencyMaxMS, s.LatencyMinMS) && s.LatencyMaxMS <= 1e5, "latency_min_ms and latency_max_ms must be above 0 and in order"},
		{s.Asked.RecoversS == 0 || s.PathsDieS > 0, "recovers_s needs paths_die_s"},
		{within(0, 600, s.Asked.RecoversS) && within(0, 1, s.Asked.Saving), "a figure of asked is out of range"},
		{within(0, 1e5, s.Asked.OfCeiling, s.Asked.PeakShare, s.Asked.WithinPts, s.Asked.StartupS, s.Asked.StalledPct, s.Asked.BehindS, s.Asked.NoHerdS), "a figure of asked is out of range"},
	} {
		if !c.ok {
			return fmt.Errorf("%w %s: %s", ErrScenario, s.Name, c.say)
		}
	}
	return nil
}

// outagesFit reports whether the outages can be simulated.
func (s *Scenario) outagesFit() bool {
	last := 0.0
	for _, o := range s.Outages {
		if !(o.FromS >= last && o.ToS > o.FromS && o.ToS <= 1e6 && o.Share >= 0 && o.Share <= 1) || s.OriginMbps == 0 {
			return false
		}
		last = o.ToS
	}
	return true
}
