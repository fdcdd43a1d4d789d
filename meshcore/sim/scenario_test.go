package sim

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestBuiltinScenarios(t *testing.T) {
	want := []string{"live-3", "live-5", "live-10", "live-20", "live-100", "live-1k", "lowdelay-100", "lowdelay-1k", "mixed-1k",
		"mixed-10k", "flash-5k", "exodus-1k", "vod-500", "abr-1k", "hostile-1k", "live-100k", "pages-4", "pages-12", "together-12",
		"paths-100", "paths-long-100", "mixed-8",
		"ahead-12", "crowd-200", "crowd-200-5", "crowd-5k", "crowd-mixed-1k", "crowd-film-200", "far-origin-20", "thin-uplinks-20", "brownout-1k"}
	slices.Sort(want)
	if !slices.Equal(slices.Sorted(slices.Values(Names())), want) {
		t.Errorf("built in are %v, want %v", Names(), want)
	}
	for _, name := range Names() {
		sc, err := Builtin(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if sc.Name != name || sc.About == "" || sc.Asked == (Asked{}) {
			t.Errorf("%s: named %q, about %q, asked %+v", name, sc.Name, sc.About, sc.Asked)
		}
		if sc.Asked.Within != "" && !slices.Contains(want, sc.Asked.Within) {
			t.Errorf("%s is held against %q, which there is not", name, sc.Asked.Within)
		}
	}
	if _, err := Builtin("live-4"); !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), "live-3") {
		t.Errorf("an unknown name gives %v, want ErrScenario with the names", err)
	}
}

const minimal = `{"name":"x","live":true,"minutes":1,"segment_s":4,"rate_mbps":3,"behind_s":12,"viewers":3,
	"down_mbps":50,"up_mbps":20,"latency_min_ms":20,"latency_max_ms":60}`

func TestDefaults(t *testing.T) {
	sc, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if sc.WindowS != 36 || sc.Regions != 1 || sc.OriginMS != 20 || sc.ReloadS != 0.5 || sc.DeadAfterS != 12 || !slices.Equal(sc.Renditions, []float64{3}) {
		t.Errorf("defaults: %+v", sc)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, say string }{
		"not JSON":            {minimal, `{`, "unexpected EOF"},
		"unknown field":       {`"name"`, `"nam"`, "unknown field"},
		"two objects":         {`60}`, `60}{}`, "follows"},
		"no name":             {`"x"`, `""`, "name"},
		"no viewers":          {`"viewers":3`, `"viewers":0`, "viewers"},
		"too many viewers":    {`"viewers":3`, `"viewers":2000000`, "viewers"},
		"no segment":          {`"segment_s":4`, `"segment_s":0`, "segment_s"},
		"negative segment":    {`"segment_s":4`, `"segment_s":-4`, "segment_s"},
		"no rate":             {`"rate_mbps":3`, `"rate_mbps":0`, "rate_mbps"},
		"no minutes":          {`"minutes":1`, `"minutes":0`, "minutes"},
		"too near live":       {`"behind_s":12`, `"behind_s":3`, "behind_s"},
		"ahead of live":       {`"viewers":3`, `"viewers":3,"ahead":1,"ahead_s":10`, "ahead_s"},
		"ahead of nobody":     {`"viewers":3`, `"viewers":3,"ahead":4`, "ahead"},
		"short playlist":      {`"behind_s":12`, `"behind_s":12,"window_s":8`, "window_s"},
		"late playlist":       {`"behind_s":12`, `"behind_s":12,"reload_s":5`, "reload_s"},
		"no film":             {`"live":true`, `"live":false`, "film_s"},
		"no downlink":         {`"down_mbps":50`, `"down_mbps":0`, "down_mbps"},
		"no uplink":           {`"up_mbps":20`, `"up_mbps":0`, "up_mbps"},
		"uplinks in disorder": {`"up_mbps":20`, `"up_min_mbps":5,"up_max_mbps":1`, "up_min_mbps"},
		"latency in disorder": {`"latency_max_ms":60`, `"latency_max_ms":6`, "latency"},
		"share above 1":       {`"viewers":3`, `"viewers":3,"no_upload":1.5`, "share"},
		"faults above 1":      {`"viewers":3`, `"viewers":3,"polluters":0.6,"slow_peers":0.6`, "share"},
		"NATs above 1":        {`"viewers":3`, `"viewers":3,"symmetric_nat":0.6,"restricted_nat":0.6`, "share"},
		"switch to what":      {`"viewers":3`, `"viewers":3,"switch_s":60`, "switch_s"},
		"back from where":     {`"viewers":3`, `"viewers":3,"asked":{"recovers_s":10}`, "paths_die_s"},
		"dead before gone":    {`"viewers":3`, `"viewers":3,"dead_after_s":-1`, "dead_after_s"},
	} {
		in := strings.Replace(minimal, c.old, c.new, 1)
		if in == minimal {
			t.Fatalf("%s: nothing replaced", name)
		}
		if _, err := Parse([]byte(in)); !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: got %v, want ErrScenario that says %q", name, err, c.say)
		}
	}
}

// FuzzParse: no input panics, and what is accepted is accepted again with its
// defaults filled in, and can be run.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	for _, name := range Names() {
		b, err := scenarioFiles.ReadFile("scenarios/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		sc, err := Parse(in)
		if err != nil {
			if !errors.Is(err, ErrScenario) {
				t.Fatalf("%v does not wrap ErrScenario", err)
			}
			return
		}
		b, err := json.Marshal(sc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b)
		if err != nil || !reflect.DeepEqual(sc, again) {
			t.Fatalf("%+v read again is %+v, %v", sc, again, err)
		}
		if sc.Viewers <= 20 {
			newWorld(sc, OriginOnly)
		}
	})
}
