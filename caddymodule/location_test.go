package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/viewmesh/viewmesh/internal/mmdb"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// behind is the global options of a server whose CDN is this test.
func behind(mesh string) string {
	return "servers {\n trusted_proxies static 127.0.0.1/32\n }\n mesh {\n stun off\n " + mesh + "\n }"
}

// viewer is a viewer behind the CDN: header are fields that the CDN adds to its requests.
type viewer struct {
	address string
	device  string // JSON, as in signal.SessionRequest
	header  []string
}

// request opens a session.
func (e *edge) request(swarm string, v viewer) (*http.Response, []byte) {
	e.t.Helper()
	if v.device == "" {
		v.device = "{}"
	}
	return e.do(http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"device":%s}`, swarm, v.device),
		append([]string{"X-Forwarded-For", v.address}, v.header...)...)
}

// enter opens the session of a viewer and says hello.
func (e *edge) enter(swarm string, v viewer) *socket {
	e.t.Helper()
	resp, b := e.request(swarm, v)
	var a signal.SessionAnswer
	if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != http.StatusOK {
		e.t.Fatalf("session of %s: %d %s", v.address, resp.StatusCode, b)
	}
	header := http.Header{"X-Forwarded-For": {v.address}}
	for i := 0; i+1 < len(v.header); i += 2 {
		header.Set(v.header[i], v.header[i+1])
	}
	s := e.dial(header)
	s.a = a
	s.send(&signal.Message{Type: signal.Hello, Pass: a.Pass})
	if m := s.next(); m.Type != signal.Welcome {
		e.t.Fatalf("answer to the hello of %s: %+v", v.address, m)
	}
	return s
}

// told returns whom a peer is told of.
func (s *socket) told(want int) (ids []wire.PeerID) {
	s.t.Helper()
	for _, p := range s.announce(want).Peers {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return ids
}

// ids returns the peer ids of sockets, in order.
func ids(of ...*socket) (out []wire.PeerID) {
	for _, s := range of {
		out = append(out, s.a.Peer)
	}
	slices.Sort(out)
	return out
}

// meets fails unless a peer is told of those and of nobody else.
func (s *socket) meets(what string, of ...*socket) {
	s.t.Helper()
	if got, want := s.told(16), ids(of...); !slices.Equal(got, want) {
		s.t.Errorf("%s is told of %v, want %v", what, got, want)
	}
}

const filmSite = "root %s\n file_server"

// TestSameNetworkOnly: what a database says of viewers' addresses decides whom they meet.
func TestSameNetworkOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "asn.mmdb")
	mmdb.Write(t, file, mmdb.Records{
		"203.0.113.0/24":  mmdbtype.Map{"asn": mmdbtype.String("AS174"), "country_code": mmdbtype.String("US")},
		"198.51.100.0/24": mmdbtype.Map{"asn": mmdbtype.String("AS174"), "country_code": mmdbtype.String("DE")},
		"192.0.2.0/24":    mmdbtype.Map{"asn": mmdbtype.String("AS3320"), "country_code": mmdbtype.String("DE")},
	})
	addresses := []string{"203.0.113.1", "198.51.100.1", "192.0.2.1", "100.64.0.1", "100.64.0.1", "100.65.0.2"}
	for option, meet := range map[string][][]int{
		"same_asn_only":                    {{1}, {0}, {}, {4}, {3}, {}},
		"same_country_only":                {{}, {2}, {1}, {4}, {3}, {}},
		"same_asn_only\nsame_country_only": {{}, {}, {}, {4}, {3}, {}},
		"":                                 {{1, 2, 3, 4, 5}, {0, 2, 3, 4, 5}, {0, 1, 3, 4, 5}, {0, 1, 2, 4, 5}, {0, 1, 2, 3, 5}, {0, 1, 2, 3, 4}},
	} {
		t.Run("with "+strings.ReplaceAll(option, "\n", " and "), func(t *testing.T) {
			e := newEdge(t)
			e.load(behind("locator maxmind "+file), "mesh {\n"+option+"\n}\n"+fmt.Sprintf(filmSite, vod(t, 1, 100)))
			swarm := e.swarmOf("/vod/index.m3u8")
			var peers []*socket
			for _, a := range addresses {
				s := e.enter(swarm, viewer{address: a})
				s.announce(0)
				peers = append(peers, s)
			}
			for i, s := range peers {
				var want []*socket
				for _, j := range meet[i] {
					want = append(want, peers[j])
				}
				s.meets(addresses[i], want...)
			}
		})
	}
}

// TestLocationFromACDN: what a CDN says of its viewers counts, and what viewers say does not.
func TestLocationFromACDN(t *testing.T) {
	locator := `locator placeholders {
		asn {http.request.header.X-ASN}
		country {http.request.header.CF-IPCountry}
	}`
	germany, alsoGermany := viewer{"203.0.113.1", "", []string{"CF-IPCountry", "DE", "X-ASN", "AS1"}}, viewer{"198.51.100.1", "", []string{"CF-IPCountry", "de", "X-ASN", "2"}}
	france, nowhere := viewer{"192.0.2.1", "", []string{"CF-IPCountry", "FR", "X-ASN", "1"}}, viewer{"192.0.2.9", "", []string{"CF-IPCountry", "XX"}}
	enter := func(e *edge) (peers []*socket) {
		swarm := e.swarmOf("/vod/index.m3u8")
		for _, v := range []viewer{germany, alsoGermany, france, nowhere} {
			s := e.enter(swarm, v)
			s.announce(0)
			peers = append(peers, s)
		}
		return peers
	}
	site := "mesh {\n same_country_only\n }\n" + fmt.Sprintf(filmSite, vod(t, 1, 100))
	t.Run("from the CDN", func(t *testing.T) {
		e := newEdge(t)
		e.load(behind(locator), site)
		p := enter(e)
		p[0].meets("a viewer in Germany", p[1])
		p[1].meets("another one", p[0])
		p[2].meets("one in France")
		p[3].meets("one that is nowhere")
	})
	t.Run("from anybody", func(t *testing.T) {
		e := newEdge(t)
		e.load("mesh {\n stun off\n "+locator+"\n }", site)
		p := enter(e)
		p[0].meets("a viewer of the address that all have", p[1:]...)
	})
}

func TestLocatorsThatAreWrong(t *testing.T) {
	e := newEdge(t)
	dir := t.TempDir()
	write(t, dir, "broken.mmdb", "not a database")
	for name, c := range map[string]struct{ global, site, say string }{
		"missing":         {"locator maxmind " + dir + "/none.mmdb", "mesh", "none.mmdb"},
		"broken":          {"locator maxmind " + dir + "/broken.mmdb", "mesh", "MaxMind DB format"},
		"no file":         {"locator maxmind", "mesh", "wrong argument count"},
		"no source":       {"locator", "mesh", "maxmind or placeholders"},
		"unknown source":  {"locator stars", "mesh", "mesh.locators.stars"},
		"nothing to find": {"locator placeholders {\n region {http.request.header.X}\n }", "mesh", "asn or country"},
		"no locator":      {"", "mesh {\n same_asn_only\n }", "configure locator"},
	} {
		err := e.tryLoad(e.caddyfile("mesh {\n stun off\n "+c.global+"\n }", c.site))
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.say)
		}
	}
}
