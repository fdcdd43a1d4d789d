package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestSites: viewers of a site meet each other and nobody else, unless it has a WAN; the
// relay is not theirs. Sites come from options, from a file, and from what requests name.
func TestSites(t *testing.T) {
	dir := vod(t, 1, 100)
	write(t, dir, "sites.csv", "name,networks,mode,wan\n# the branches\nlab,198.51.100.0/24 2001:db8:1::/48\nshop,192.0.2.0/24,,wan\nquiet,192.0.2.64/26,receive_only\nclosed,192.0.2.128/25,off,\n")
	e := newEdge(t)
	e.load(`servers {
		trusted_proxies static 127.0.0.1/32
	}
	mesh {
		turn {
			listen udp/127.0.0.1:0
			relay_address 127.0.0.1
		}
	}`, `mesh {
		site campus 203.0.113.0/25 203.0.113.200
		site named
		sites_file `+filepath.Join(dir, "sites.csv")+`
		site_id {http.request.header.X-Site} page
	}
	`+fmt.Sprintf(filmSite, dir))
	swarm := e.swarmOf("/vod/index.m3u8")
	named := []string{"X-Site", "named"}
	peers := map[string]*socket{}
	for name, v := range map[string]viewer{
		"campus 1": {address: "203.0.113.1"}, "campus 2": {address: "203.0.113.200"},
		"lab 1": {address: "198.51.100.7"}, "lab 2": {address: "2001:db8:1:2::3"},
		"shop": {address: "192.0.2.1"}, "quiet": {address: "192.0.2.65"},
		"outside": {address: "203.0.113.201"}, "named 1": {address: "203.0.113.202", header: named}, "named 2": {address: "203.0.113.2", header: named},
	} {
		peers[name] = e.enter(swarm, v)
		peers[name].announce(0)
	}
	for name, meets := range map[string][]string{
		"campus 1": {"campus 2"}, "campus 2": {"campus 1"}, "lab 1": {"lab 2"}, "lab 2": {"lab 1"},
		"shop": {"outside"}, "outside": {"shop"}, "quiet": {}, "named 1": {"named 2"}, "named 2": {"named 1"},
	} {
		var want []*socket
		for _, o := range meets {
			want = append(want, peers[o])
		}
		if name != "quiet" { // who only takes, and has nobody, is sent nothing but the size of the swarm
			peers[name].meets(name, want...)
		}
		confined := name != "shop" && name != "outside"
		relay := false
		for _, s := range peers[name].a.ICEServers {
			relay = relay || strings.HasPrefix(s.URLs[0], "turn")
		}
		if relay == confined {
			t.Errorf("%s has a relay: %v", name, relay)
		}
		if got := peers[name].a.Limits.ReceiveOnly; got != (name == "quiet") {
			t.Errorf("%s receives only: %v", name, got)
		}
	}
	if resp, b := e.request(swarm, viewer{address: "192.0.2.200"}); resp.StatusCode != http.StatusForbidden || !strings.Contains(string(b), `"outside"`) {
		t.Errorf("a viewer of a site that is off: %d %s", resp.StatusCode, b)
	}
	// What a page says makes a site, and brings nobody into one that has networks.
	says := func(site string) *socket {
		_, b := e.do(http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"site":%q}`, swarm, site), "X-Forwarded-For", "203.0.113.250")
		var a signal.SessionAnswer
		if err := json.Unmarshal(b, &a); err != nil {
			t.Fatal(err)
		}
		s := e.dial(http.Header{"X-Forwarded-For": {"203.0.113.250"}})
		s.a = a
		s.send(&signal.Message{Type: signal.Hello, Pass: a.Pass})
		s.until(signal.Welcome)
		s.announce(0)
		return s
	}
	says("elsewhere").meets("a viewer whose page names another site")
	says("campus").meets("a viewer whose page says that it is on the campus", peers["shop"], peers["outside"])
}

// TestRules: the first rule that is about a viewer says how it takes part.
func TestRules(t *testing.T) {
	e := newEdge(t)
	e.load(behind("locator placeholders {\n country {http.request.header.X-Country}\n }"), `mesh {
		rule on {
			device tv
			country us
		}
		rule off country US CA
		rule receive_only connection cellular
		rule off {
			device server
			content /vod/*
		}
	}
	`+fmt.Sprintf(filmSite, vod(t, 1, 100)))
	swarm := e.swarmOf("/vod/index.m3u8")
	for name, c := range map[string]struct {
		device, country string
		status          int
		receiveOnly     bool
	}{
		"nothing known":   {`{}`, "", 200, false},
		"a country":       {`{"kind":"desktop"}`, "DE", 200, false},
		"kept out":        {`{"kind":"desktop"}`, "CA", 403, false},
		"an exception":    {`{"kind":"tv"}`, "US", 200, false},
		"no exception":    {`{"kind":"tv"}`, "CA", 403, false},
		"cellular":        {`{"kind":"mobile","connection":"cellular"}`, "DE", 200, true},
		"the first rule":  {`{"kind":"mobile","connection":"cellular"}`, "US", 403, false},
		"device, content": {`{"kind":"server"}`, "DE", 403, false},
	} {
		resp, b := e.request(swarm, viewer{"203.0.113.1", c.device, []string{"X-Country", c.country}})
		var a signal.SessionAnswer
		_ = json.Unmarshal(b, &a)
		if resp.StatusCode != c.status || a.Limits.ReceiveOnly != c.receiveOnly {
			t.Errorf("%s: %d, receives only %v, want %d, %v", name, resp.StatusCode, a.Limits.ReceiveOnly, c.status, c.receiveOnly)
		}
	}
}

// rampAdmin asks the admin API.
func rampAdmin(t *testing.T, method, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	err := caddymodule.RampAdmin{}.Routes()[0].Handler.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	if api, ok := err.(caddy.APIError); ok {
		return api.HTTPStatus, api.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Body.String()
}

// TestRamp: a share of viewers meets, always the same; the others meet nobody and fetch all
// themselves. What the admin API sets reaches those who are there with their next announce.
func TestRamp(t *testing.T) {
	e := newEdge(t)
	e.load(behind(""), "mesh {\n ramp 30%\n stats\n }\n"+fmt.Sprintf(filmSite, vod(t, 1, 100)))
	swarm := e.swarmOf("/vod/index.m3u8")
	const viewers = 60
	var peers []*socket
	in := func() (out []int) {
		peers = peers[:0]
		for i := range viewers {
			s := e.enter(swarm, viewer{address: fmt.Sprintf("203.0.%d.1", i)})
			s.announce(0)
			peers = append(peers, s)
		}
		for i, s := range peers {
			switch m := s.announce(4); {
			case len(m.Peers) > 0 || m.SwarmSize > 1: // duties are pushed, too
				out = append(out, i)
			case m.Duty == nil || m.Duty.Of != 1:
				t.Errorf("viewer %d of the control group is told of a swarm of %d, duty %+v", i, m.SwarmSize, m.Duty)
			}
		}
		for _, s := range peers {
			s.ws.Close()
		}
		e.disconnected(0)
		return out
	}
	first := in()
	if len(first) < viewers/8 || len(first) > viewers/2 {
		t.Errorf("%d of %d viewers take part, want about 30 %%", len(first), viewers)
	}
	if again := in(); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("viewers %v take part, and %v when they come again", first, again)
	}
	// The ramp goes up while viewers are there.
	for i := range 4 {
		peers = append(peers[:i], e.enter(swarm, viewer{address: fmt.Sprintf("203.0.%d.1", i)}))
	}
	if st := decodeStats(t, e); st.Quality.Mesh.Sessions+st.Quality.Control.Sessions != 4 {
		t.Errorf("the groups are %+v, want 4 sessions", st.Quality)
	}
	if code, body := rampAdmin(t, http.MethodPut, "/mesh/ramp?share=100%25"); code != http.StatusNoContent {
		t.Fatalf("PUT: %d %s", code, body)
	}
	sent := 0
	for _, s := range peers[:4] {
		s.send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "v0", Upload: true, Want: 4}})
		if m := s.next(); m.Type == signal.Reconnect {
			sent++
		}
		s.ws.Close()
	}
	e.disconnected(0)
	if sent == 0 || sent == 4 && len(first) > 0 && first[0] < 4 {
		t.Errorf("%d of 4 sessions are opened anew, of which viewers %v took part before", sent, first)
	}
	if all := in(); len(all) != viewers {
		t.Errorf("%d of %d viewers take part at 100 %%", len(all), viewers)
	}
	if code, body := rampAdmin(t, http.MethodGet, "/mesh/ramp"); code != http.StatusOK || strings.TrimSpace(body) != `{"":1}` {
		t.Errorf("GET: %d %s", code, body)
	}
	if code, _ := rampAdmin(t, http.MethodPut, "/mesh/ramp?share=0.1&host="+e.addr); code != http.StatusNoContent {
		t.Errorf("PUT for a host: %d", code)
	}
	for _, target := range []string{"/mesh/ramp", "/mesh/ramp?share=120%25", "/mesh/ramp?share=much"} {
		if code, _ := rampAdmin(t, http.MethodPut, target); code != http.StatusBadRequest {
			t.Errorf("PUT %s: %d", target, code)
		}
	}
	for _, target := range []string{"/mesh/ramp", "/mesh/ramp?host=" + e.addr} {
		if code, _ := rampAdmin(t, http.MethodDelete, target); code != http.StatusNoContent {
			t.Errorf("DELETE %s: %d", target, code)
		}
	}
	if code, _ := rampAdmin(t, http.MethodDelete, "/mesh/ramp"); code != http.StatusNotFound {
		t.Errorf("DELETE of what is not set: %d", code)
	}
	if last := in(); fmt.Sprint(last) != fmt.Sprint(first) {
		t.Errorf("viewers %v take part under the configuration, and %v before", last, first)
	}
}

// TestMonitor: everybody is measured, and nobody meets; a ramp changes nothing.
func TestMonitor(t *testing.T) {
	e := newEdge(t)
	e.load(behind(""), "mesh {\n monitor\n }\n"+fmt.Sprintf(filmSite, vod(t, 1, 100)))
	if code, _ := rampAdmin(t, http.MethodPut, "/mesh/ramp?share=1"); code != http.StatusNoContent {
		t.Fatalf("PUT: %d", code)
	}
	swarm := e.swarmOf("/vod/index.m3u8")
	a, b := e.enter(swarm, viewer{address: "203.0.113.1"}), e.enter(swarm, viewer{address: "198.51.100.1"})
	a.announce(0)
	b.meets("a viewer under monitor")
	a.meets("another")
}

// TestMinViewers: viewers meet once there are enough of them, and until there are half as many.
func TestMinViewers(t *testing.T) {
	e := newEdge(t)
	e.load(behind(""), "mesh {\n min_viewers 4\n }\n"+fmt.Sprintf(filmSite, vod(t, 1, 100)))
	swarm := e.swarmOf("/vod/index.m3u8")
	var peers []*socket
	for i := range 4 {
		s := e.enter(swarm, viewer{address: fmt.Sprintf("203.0.%d.1", i)})
		s.announce(0)
		if peers = append(peers, s); i < 3 {
			s.meets(fmt.Sprintf("viewer %d of 4", i+1))
		}
	}
	leave := func() {
		peers[len(peers)-1].ws.Close()
		peers = peers[:len(peers)-1]
		e.disconnected(int64(len(peers)))
	}
	peers[3].meets("the fourth", peers[:3]...)
	leave()
	leave()
	peers[0].meets("one of two that are left", peers[1])
	leave()
	late := e.enter(swarm, viewer{address: "203.0.200.1"})
	late.meets("the second of two that there are after one was left", peers[0])
}

func TestSteeringThatIsWrong(t *testing.T) {
	e := newEdge(t)
	dir := t.TempDir()
	write(t, dir, "bad.csv", "lab,198.51.100.0/24,on,maybe\n")
	for option, say := range map[string]string{
		"site campus": "site_id",
		"site a 203.0.113.0/24\nsite b 203.0.113.0/24": "two sites",
		"site a 203.0.113.0/24 {\n mode half\n }":      "receive_only",
		"sites_file " + dir + "/none.csv":              "none.csv",
		"sites_file " + dir + "/bad.csv":               "line 1",
		"site_id claim":                                "configure token",
		"rule":                                         "receive_only or off",
		"rule maybe device tv":                         "maybe",
		"rule off device toaster":                      "toaster",
		"rule off device":                              "values",
		"rule off color red":                           "color",
		"rule off country US":                          "configure locator",
		"rule off asn many":                            "AS174",
		"rule off content live":                        "/live/*",
		"ramp 120%":                                    "0% to 100%",
		"min_viewers few":                              "whole number",
	} {
		err := e.tryLoad(e.caddyfile("mesh {\n stun off\n }", "mesh {\n "+option+"\n }"))
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want an error that says %q", option, err, say)
		}
	}
}
