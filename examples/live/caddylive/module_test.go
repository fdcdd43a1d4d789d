package caddylive_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/viewmesh/viewmesh/examples/live/caddylive"
)

func adapt(t *testing.T, text string) (string, error) {
	t.Helper()
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return string(config), err
}

func TestAdapt(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"plain", "demo_live", `{"handler":"mesh_demo_live"}`},
		{"matcher", "demo_live /live/*", `{"handler":"mesh_demo_live"}`},
		{"all options", "demo_live {\n media sample\n window 5\n delay 1.5s\n}",
			`{"delay":1500000000,"handler":"mesh_demo_live","media":"sample","window":5}`},
		{"low latency", "demo_live {\n part 500ms\n part_hold_back 3s\n part_ranges\n}",
			`{"handler":"mesh_demo_live","part":500000000,"part_hold_back":3000000000,"part_ranges":true}`},
		// It answers before file_server, whatever the order in the file.
		{"order", "file_server\ndemo_live", `{"handler":"mesh_demo_live"},{"handler":"file_server"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := adapt(t, ":8080 {\n"+tt.text+"\n}\n")
			if err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("got %s, %v, want %s in it", got, err, tt.want)
			}
		})
	}
}

func TestAdaptErrorsNameFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		"demo_live {\n window 2\n}":            `window "2" must be a number of segments, at least 3, at Caddyfile:3`,
		"demo_live {\n window many\n}":         "at Caddyfile:3",
		"demo_live {\n delay -1s\n}":           "must be a duration such as 500ms, at Caddyfile:3",
		"demo_live {\n window\n}":              "window takes one value, at Caddyfile:3",
		"demo_live {\n window 5\n window 5\n}": "window is set twice, at Caddyfile:4",
		"demo_live {\n widow 5\n}":             `unknown option "widow"; there are media, window, delay, part, part_hold_back and part_ranges, at Caddyfile:3`,
		"demo_live {\n part soon\n}":           `part "soon" must be a duration such as 500ms, at Caddyfile:3`,
		"demo_live {\n part_ranges yes\n}":     "part_ranges takes no value, at Caddyfile:3",
	} {
		_, err := adapt(t, ":8080 {\n"+text+"\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error = %v, want %q in it", text, err, want)
		}
	}
}

func TestHandlerServesTheLiveStream(t *testing.T) {
	h := provision(t, `{"window":4}`)
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/index.m3u8", nil), nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(w.Body.String(), "#EXTINF"); w.Code != http.StatusOK || got != 4 {
		t.Errorf("%d with %d segments, want 200 with 4:\n%s", w.Code, got, w.Body)
	}
}

func TestProvisionReportsAMissingFolder(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	h := &caddylive.Handler{Media: t.TempDir()}
	if err := h.Provision(ctx); err == nil || !strings.Contains(err.Error(), "index.m3u8") {
		t.Errorf("error = %v, want one that names index.m3u8", err)
	}
}

func provision(t *testing.T, config string) *caddylive.Handler {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	h := new(caddylive.Handler)
	if err := json.Unmarshal([]byte(config), h); err != nil {
		t.Fatal(err)
	}
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}
