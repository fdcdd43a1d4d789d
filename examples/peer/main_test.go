package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"--count", "20", "--for", "60s", "--json", "--no-upload", "http://localhost:8080/live/index.m3u8"}, io.Discard)
	if err != nil || o.count != 20 || o.length != time.Minute || !o.json || !o.noUpload || o.noMesh || o.url.Path != "/live/index.m3u8" {
		t.Errorf("%+v %v", o, err)
	}
	for _, args := range [][]string{
		{}, {"a", "b"}, {"/live/index.m3u8"}, {"ftp://x/y"}, {"--count", "0", "http://x/y"}, {"--for", "-1s", "http://x/y"},
		{"--for", "soon", "http://x/y"}, {"--listen", ":0", "--count", "2", "http://x/y"}, {"--listen", ":0", "--json", "http://x/y"},
		{"--unknown", "http://x/y"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

// TestToken: the viewer token comes from the flag or the environment, goes to the
// host of the URL and no other, and into session requests, and is in no usage text.
func TestToken(t *testing.T) {
	var usage bytes.Buffer
	t.Setenv("MESH_TOKEN", "from-environment")
	if _, err := parse([]string{"-h"}, &usage); !errors.Is(err, flag.ErrHelp) || strings.Contains(usage.String(), "from-environment") {
		t.Errorf("%v, usage\n%s", err, usage.String())
	}
	type ask struct{ host, authorization, cookie string }
	asks := make(chan ask, 8)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asks <- ask{r.Host, r.Header.Get("Authorization"), r.Header.Get("Cookie")}
		http.SetCookie(w, &http.Cookie{Name: "URISigningPackage", Value: "renewed", Path: "/"})
	})
	own, other := httptest.NewServer(handler), httptest.NewServer(handler)
	defer own.Close()
	defer other.Close()
	for want, args := range map[string][]string{"from-environment": {own.URL}, "from-flag": {"--token", "from-flag", own.URL}} {
		o, err := parse(args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.client()
		if err != nil {
			t.Fatal(err)
		}
		get := func(url string) ask {
			resp, err := c.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return <-asks
		}
		if a := get(own.URL + "/a.m3u8"); a.authorization != "Bearer "+want || a.cookie != "" {
			t.Errorf("its host was shown %+v, want %s", a, want)
		}
		if a := get(own.URL + "/b.ts"); a.cookie != "URISigningPackage=renewed" {
			t.Errorf("the renewed token is not kept: %+v", a)
		}
		if a := get(other.URL + "/b.ts"); a.authorization != "" {
			t.Errorf("another host was shown %+v", a)
		}
		if got := o.viewerConfig(c, nil).Token; got != want {
			t.Errorf("session requests have %q", got)
		}
		c.CloseIdleConnections()
	}
}

func TestSummary(t *testing.T) {
	s := summarize([]viewer.Stats{
		{Report: signal.Report{PeerBytes: 300, OriginBytes: 100, StartupMS: 40, Neighbors: 2, BufferMS: 5000}, Joined: true},
		{Report: signal.Report{PeerBytes: 500, OriginBytes: 100, StartupMS: 60, Neighbors: 1, RelayedBytes: 50, BufferMS: 3000}},
	})
	if s.Total.Offload != 0.8 || s.Total.Saving != 0.75 || !s.fine() || s.Total.StartupMS != 60 || s.Total.RelayedBytes != 50 {
		t.Errorf("%+v", s.Total)
	}
	var b bytes.Buffer
	if err := s.writeJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	keys := []string{"peer_bytes", "origin_bytes", "relayed_bytes", "startup_ms", "stalls", "stall_ms", "bad_chunks", "neighbors", "not_started", "buffer_ms"}
	first := got["viewers"].([]any)[0].(map[string]any)
	total := got["total"].(map[string]any)
	for _, k := range keys {
		if _, ok := first[k]; !ok {
			t.Errorf("a viewer has no %s", k)
		}
		if _, ok := total[k]; !ok {
			t.Errorf("the total has no %s", k)
		}
	}
	if len(first) != len(keys) || len(total) != len(keys)+2 || total["offload"] != 0.8 || total["saving"] != 0.75 {
		t.Errorf("keys: %v, %v", first, total)
	}
	b.Reset()
	s.writeTable(&b)
	if text := b.String(); strings.Count(text, "\n") != 4 || !strings.Contains(text, "80.0 %") || !strings.Contains(text, "75.0 %") {
		t.Errorf("the table is\n%s", text)
	}
	if line := s.line(summary{}, time.Second); !strings.Contains(line, "2 viewers") || !strings.Contains(line, " 3.0 s") || !strings.Contains(line, "saved 75 %") {
		t.Errorf("the line is %q", line)
	}
	stalled := summarize([]viewer.Stats{{Report: signal.Report{StartupMS: 1, Stalls: 1}}})
	never := summarize([]viewer.Stats{{}})
	if stalled.fine() || never.fine() || never.Total.NotStarted != 1 {
		t.Error("a stall, or no start, is said to be fine")
	}
}

// TestPlayNothing: what cannot be played is an error, and nothing stays behind.
func TestPlayNothing(t *testing.T) {
	server := httptest.NewServer(nil)
	defer server.Close()
	u, err := url.Parse(server.URL + "/none.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	o := options{url: u, count: 2, json: true}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	err = play(context.Background(), o, log, &aside{w: io.Discard}, &out)
	if err == nil || errors.Is(err, errStalled) || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
	if !json.Valid(out.Bytes()) {
		t.Errorf("printed %q", out.String())
	}
}
