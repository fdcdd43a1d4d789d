package insight

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// evening is an Insight with an hour of two presentations, by the clock of a synctest bubble.
func evening(t *testing.T) *Insight {
	t.Helper()
	in := New(Config{Log: zap.NewNop(), Now: time.Now, Sample: func(m *Meters) { m.Egress("tv.example/live", 2_000_000) }})
	t.Cleanup(in.Close)
	var open []*Session
	for i, f := range []Facts{
		{ID: "1", Presentation: "tv.example/live", Viewer: "a", Country: "DE", Device: "tv", ASN: "AS64496", Label: "home"},
		{ID: "2", Presentation: "tv.example/live", Viewer: "b", Country: "FR", Device: "mobile"},
		{ID: "3", Presentation: "other.example/film", Viewer: "c", Country: "DE", Device: "tv"},
	} {
		s := in.Open(f)
		s.Announce(&signal.Announcement{Rendition: "1080p", Live: i < 2})
		s.Report(&signal.Report{PeerBytes: 3_000_000, OriginBytes: 1_000_000, RelayedBytes: 500_000, StartupMS: 1000 * int64(i+1), PlayedMS: 99_000, StallMS: 1000, Stalls: 1},
			&signal.Report{BufferMS: 12_000, Neighbors: 4})
		open = append(open, s)
	}
	time.Sleep(Interval + time.Second)
	open[1].Announce(&signal.Announcement{Rendition: "720p", Live: true})
	open[1].Close()
	time.Sleep(5 * Interval)
	return in
}

func ask(t *testing.T, in *Insight, host, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	name, _, _ := strings.Cut(path, "?")
	if handled, err := in.Serve(w, httptest.NewRequest(http.MethodGet, "/mesh/data/"+path, nil), host, name); err != nil || !handled {
		t.Fatalf("%s: %v, handled %v", path, err, handled)
	}
	return w
}

// TestFigures: what sessions have reported comes out, split and filtered.
func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := evening(t)
		for _, c := range []struct {
			host, query string
			want        map[string]int64 // peer bytes by group
		}{
			{"", "", map[string]int64{"": 9_000_000}},
			{"tv.example", "", map[string]int64{"": 6_000_000}},
			{"", "split=country", map[string]int64{"DE": 6_000_000, "FR": 3_000_000}},
			{"tv.example", "split=country", map[string]int64{"DE": 3_000_000, "FR": 3_000_000}},
			{"", "split=kind", map[string]int64{"live": 6_000_000, "vod": 3_000_000}},
			{"", "country=DE&split=presentation", map[string]int64{"tv.example/live": 3_000_000, "other.example/film": 3_000_000}},
			{"", "device=mobile", map[string]int64{"": 3_000_000}},
			{"", "presentation=tv.example/live&split=asn", map[string]int64{"AS64496": 3_000_000, Unknown: 3_000_000}},
			{"", "split=label&presentation=tv.example/live", map[string]int64{"home": 3_000_000, Unknown: 3_000_000}},
			{"", "presentation=none", map[string]int64{}},
		} {
			for _, name := range []string{"summary", "series"} {
				var a Answer
				if err := json.Unmarshal(ask(t, in, c.host, name+"?"+c.query).Body.Bytes(), &a); err != nil {
					t.Fatal(err)
				}
				got := map[string]int64{}
				for _, g := range a.Groups {
					got[g.Value] = g.PeerBytes
					sum := int64(0)
					for _, p := range g.Points {
						sum += p.PeerBytes
					}
					if name == "series" && sum != g.PeerBytes {
						t.Errorf("%s: points come to %d, the group to %d", c.query, sum, g.PeerBytes)
					}
				}
				if len(got) != len(c.want) {
					t.Errorf("%s %s: %v, want %v", name, c.query, got, c.want)
				}
				for v, n := range c.want {
					if got[v] != n {
						t.Errorf("%s %s: %q has %d bytes, want %d", name, c.query, v, got[v], n)
					}
				}
			}
		}
		var a Answer
		_ = json.Unmarshal(ask(t, in, "tv.example", "summary?since=2m").Body.Bytes(), &a)
		f := a.Groups[0].Figures
		if f.Offload != 0.75 || f.Saving != 0.625 || f.Audience != 2 || f.MaxViewers != 2 || f.Sessions != 2 || f.Switches != 1 ||
			f.Startups != 2 || f.StartupMS != 1500 || f.Buffering != 0.01 || f.EgressBytes != 2_000_000 || f.UnreportedBytes != 0 || f.BufferMS != 12_000 {
			t.Errorf("%+v", f)
		}
		if d := f.StartupP95MS - 1000; d < -25 || d > 1025 {
			t.Errorf("start-up p95 %v", f.StartupP95MS)
		}
		var n Now
		_ = json.Unmarshal(ask(t, in, "", "now").Body.Bytes(), &n)
		if n.Viewers != 2 || len(n.Presentations) != 2 {
			t.Errorf("%+v", n)
		}
	})
}

// TestDescribed: answers are as the OpenAPI file says, and it describes each endpoint.
func TestDescribed(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc) // it validates the file
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		in := evening(t)
		for path, status := range map[string]int{
			"summary": 200, "summary?split=device&since=1d": 200, "series?interval=10s&country=DE": 200, "summary?format=csv": 200,
			"now": 200, "sessions?limit=5": 200, "openapi.json": 200, "summary?since=never": 400, "sessions?limit=x": 400,
		} {
			w := ask(t, in, "", path)
			if w.Code != status {
				t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
			}
			r := httptest.NewRequest(http.MethodGet, "/mesh/data/"+path, nil)
			route, params, err := router.FindRoute(r)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			request := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
			err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: request, Status: w.Code, Header: w.Header(), Body: w.Result().Body,
			})
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// TestBadParameters: what cannot be answered is a problem that names the field.
func TestBadParameters(t *testing.T) {
	in := New(Config{Log: zap.NewNop(), Now: time.Now})
	defer in.Close()
	for query, field := range map[string]string{
		"planet=mars": "planet", "split=planet": "split", "since=-1h": "since", "since=5": "since", "since=99999d": "since", "since=1h&from=2026-01-01T00:00:00Z": "since",
		"from=yesterday": "from", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "from", "interval=7s": "interval", "interval=0s": "interval",
		"since=365d&interval=10s": "interval", "country=DE&device=tv": "device", "country=DE&split=asn": "country", "format=xml": "format", "split=asn&split=kind": "split",
	} {
		w := ask(t, in, "", "summary?"+query)
		var p struct {
			Status int
			Field  string
			Detail string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 400 || p.Field != field || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %+v, want 400 for %s", query, w.Code, p, field)
		}
	}
}

// TestCSV: the lines are the points, and a label that a spreadsheet would run is quoted.
func TestCSV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := evening(t)
		in.Open(Facts{Presentation: "tv.example/live", Label: `=HYPERLINK("http://x","y")`}).Report(&signal.Report{PeerBytes: 5}, &signal.Report{})
		time.Sleep(2 * Interval)
		w := ask(t, in, "", "series?split=label&format=csv")
		lines, err := csv.NewReader(w.Body).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) < 4 || len(lines[0]) != 2+len(columns) || lines[0][2] != "peer_bytes" {
			t.Errorf("%v", lines)
		}
		for _, l := range lines[1:] {
			if strings.HasPrefix(l[0], "=") {
				t.Errorf("a formula: %q", l[0])
			}
		}
	})
}

// TestBounds: dimensions and labels that viewers make up are bounded.
func TestBounds(t *testing.T) {
	m := NewMeters(time.Now)
	for i := range 5000 {
		m.Open(Facts{Presentation: "a/x", Label: strings.Repeat("é", i%50) + string(rune('a'+i%26)) + "\x00<script>" + time.Duration(i).String()}).Close()
	}
	row := m.Snapshot(start)
	if len(row.Cells) > Label.bound()+2+int(dimensions) {
		t.Errorf("%d cells", len(row.Cells))
	}
	var other, all int64
	for _, c := range row.Cells {
		if c.Dimension != Label {
			continue
		}
		all += c.Counters[Opened]
		if c.Value == Other {
			other = c.Counters[Opened]
		}
		if len(c.Value) > MaxValue || strings.ContainsAny(c.Value, "\x00\n") {
			t.Errorf("label %q", c.Value)
		}
	}
	if all != 5000 || other < 2500 {
		t.Errorf("%d sessions, %d of them other", all, other)
	}
}

// TestLinks: a link is good for its host and its time.
func TestLinks(t *testing.T) {
	secret := []byte("0123456789abcdef")
	key := SignLink(secret, "tv.example", start.Add(time.Hour))
	for _, c := range []struct {
		authorization, host string
		at                  time.Time
		token               string
		ok                  bool
	}{
		{"Bearer " + key, "tv.example", start, "", true},
		{"bearer " + key, "tv.example", start, "", true},
		{"Bearer " + key, "tv.example", start.Add(time.Hour), "", false},
		{"Bearer " + key, "other.example", start, "", false},
		{"Bearer " + key[:len(key)-2] + "AA", "tv.example", start, "", false},
		{"Bearer secret", "tv.example", start, "secret", true},
		{"Bearer secre", "tv.example", start, "secret", false},
		{"Bearer ", "tv.example", start, "", false},
		{"", "tv.example", start, "", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", c.authorization)
		a := Access{Token: c.token}
		if ok := a.Admits(r, secret, c.host, c.at); ok != c.ok {
			t.Errorf("%q for %s at %s: %v", c.authorization, c.host, c.at, ok)
		}
	}
}
