package caddymodule

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestCommand: caddy mesh prints what the admin API says, and its errors.
func TestCommand(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/mesh/data/now", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"time":"2026-03-01T12:00:00Z","viewers":3,"figures":{"offload":0.75,"saved_bytes":2000000},"history":"disk full",
			"presentations":[{"name":"tv.example/a\u001b[2J","viewers":3,"offload":0.75,"buffering":0.012,"startup_ms":812}]}`))
	})
	mux.HandleFunc("/mesh/data/series", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("since") == "never" {
			http.Error(w, `{"error":"since is never"}`, http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte("value,time\n" + r.URL.Query().Encode() + "\n"))
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	address := strings.TrimPrefix(srv.URL, "http://")
	for _, c := range []struct {
		name  string
		query url.Values
		says  []string
		fails string
	}{
		{"status", url.Values{}, []string{"3 viewers, 75 % from peers, 2.0 MB saved", "disk full", `"tv.example/a\x1b[2J"`, "1.2 %", "812 ms"}, ""},
		{"export", url.Values{"since": {"7d"}, "split": {"country"}}, []string{"value,time\nformat=csv&since=7d&split=country\n"}, ""},
		{"export", url.Values{"since": {"never"}}, nil, "since is never"},
		{"dance", nil, nil, "write status or export"},
	} {
		var out bytes.Buffer
		err := runCommand(&out, address, c.name, c.query)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fails)
		}
		for _, s := range c.says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s says %q, want %q in it", c.name, out.String(), s)
			}
		}
	}
}
