package caddymodule_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule"
)

// askAdmin asks the admin API, whose routes match as those of net/http do.
func askAdmin(t *testing.T, method, target string) (status int, body string) {
	t.Helper()
	mux := http.NewServeMux()
	var failed error
	for _, route := range (caddymodule.Admin{}).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) { failed = route.Handler.ServeHTTP(w, r) })
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	if failed != nil {
		var api caddy.APIError
		if !errors.As(failed, &api) {
			t.Fatalf("%s %s: %v", method, target, failed)
		}
		return api.HTTPStatus, api.Err.Error()
	}
	return w.Code, w.Body.String()
}

// TestAdmin: each endpoint answers, says what is wrong with what it cannot do, and the dashboard's
// link that it makes opens the data API of its host alone.
func TestAdmin(t *testing.T) {
	e := newEdge(t)
	if status, _ := askAdmin(t, http.MethodGet, "/mesh/off"); status != http.StatusNotFound {
		t.Errorf("without a mesh: status %d", status)
	}
	e.load("", "mesh {\n dashboard {\n token sesame\n }\n }\n root "+vod(t, 1, 5000)+"\n file_server")
	host := strings.TrimPrefix(e.url(""), "http://")
	for _, c := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"GET", "/mesh/off", 200, "[]"},
		{"POST", "/mesh/off?of=planet&value=mars", 400, "write one of"},
		{"POST", "/mesh/off?of=country", 400, "value"},
		{"POST", "/mesh/off?of=country&value=DE", 200, `"ended":0`},
		{"GET", "/mesh/off", 200, `"of":"country","value":"DE"`},
		{"DELETE", "/mesh/off?of=country&value=DE", 204, ""},
		{"DELETE", "/mesh/off?of=country&value=DE", 404, "not switched off"},
		{"PUT", "/mesh/off", 405, "use GET"},
		{"GET", "/mesh/swarms?host=" + host, 200, `"swarms":[]`},
		{"GET", "/mesh/swarms", 400, "host"},
		{"GET", "/mesh/drain", 405, "use POST"},
		{"POST", "/mesh/drain?spread=1s", 200, `"drained":0`},
		{"POST", "/mesh/drain?spread=year", 400, "spread"},
		{"POST", "/mesh/ban?peer=x", 400, "write the id"},
		{"POST", "/mesh/ban?peer=00c0ffee00c0ffee", 404, "no session"},
		{"POST", "/mesh/link", 400, "host"},
		{"POST", "/mesh/link?host=a&life=1000d", 400, "life"},
		{"GET", "/mesh/keys", 200, `"keys"`},
		{"GET", "/mesh/data/now", 200, `"viewers":0`},
		{"GET", "/mesh/data/summary?split=asn", 200, `"groups":[]`},
		{"GET", "/mesh/data/summary?split=planet", 400, `"field":"split"`},
		{"GET", "/mesh/data/nothing", 404, "openapi.json"},
	} {
		if status, body := askAdmin(t, c.method, c.target); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", c.method, c.target, status, body, c.status, c.says)
		}
	}
	_, body := askAdmin(t, http.MethodPost, "/mesh/link?life=1h&host="+url.QueryEscape(host))
	var link struct{ Key string }
	if err := json.Unmarshal([]byte(body), &link); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{link.Key: 200, "sesame": 200, "wrong": 401} {
		r, err := http.NewRequest(http.MethodGet, e.url("/mesh/data/now"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := e.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with %q: %d, want %d", token, resp.StatusCode, want)
		}
	}
	if resp, b := e.get("/mesh/dashboard"); resp.StatusCode != http.StatusOK || !strings.Contains(string(b), "<title>Mesh") || resp.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("the dashboard: %d %.80s", resp.StatusCode, b)
	}
}
