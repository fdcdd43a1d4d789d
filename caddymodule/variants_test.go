package caddymodule_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// admin asks the admin API about stopped presentations and returns the status.
func admin(t *testing.T, method, query string) int {
	t.Helper()
	w := httptest.NewRecorder()
	err := caddymodule.Admin{}.Routes()[0].Handler.ServeHTTP(w, httptest.NewRequest(method, "/mesh/stopped"+query, nil))
	var failed caddy.APIError
	if errors.As(err, &failed) {
		return failed.HTTPStatus
	} else if err != nil {
		t.Fatal(err)
	}
	return w.Code
}

// TestVariants: where viewers get different bytes at one URL, the presentation
// is no longer shared, and its sessions end; metrics and the admin API say so, and once
// the upstream is mended the operator has it shared again.
func TestVariants(t *testing.T) {
	for _, c := range []struct {
		name string
		etag func(variant string) string
	}{
		{"one validator", func(string) string { return `"same"` }},
		{"a validator each", func(v string) string { return `"` + v + `"` }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mended := false
			o := origin{segments: []string{"seg.ts"}, serve: func(w http.ResponseWriter, r *http.Request) {
				variant := r.Header.Get("X-Viewer")
				if mended {
					variant = "all"
				}
				w.Header().Set("Etag", c.etag(variant))
				w.Header().Set("Content-Length", "4000")
				_, _ = w.Write(pattern(variant, 4000))
			}}
			e := newEdge(t)
			e.load("", "mesh\n reverse_proxy "+o.start(t))
			a := e.openSession("/s/index.m3u8")
			s := e.connect(a)
			for _, viewer := range []string{"A", "B", "A", "B"} {
				e.get("/s/seg.ts", "X-Viewer", viewer)
			}
			if m := s.until(signal.ErrorMsg); m.Code != "not_shared" {
				t.Errorf("the session ended with %+v", m)
			}
			s.closed()
			for _, viewer := range []string{"A", "B"} {
				if resp, _ := e.get("/s/seg.ts", "X-Viewer", viewer); resp.Header.Get(headerSegment) != "" {
					t.Error("a variant has a token")
				}
			}
			if resp, _ := e.get("/s/index.m3u8"); resp.Header.Get(headerBootstrap) != "" {
				t.Error("the manifest still has a bootstrap")
			}
			name := e.addr + "/s/index.m3u8"
			if got := currentEdge(t).Stopped(); got[name] == "" || currentEdge(t).Numbers().Stopped != 1 {
				t.Errorf("stopped: %v", got)
			}
			if _, code := e.statement("/s/seg.ts", ""); code != signal.NotShared {
				t.Errorf("the statement is answered with %q", code)
			}
			mended = true
			if admin(t, http.MethodDelete, "?presentation=other") != http.StatusNotFound || admin(t, http.MethodDelete, "?presentation="+url.QueryEscape(name)) != http.StatusNoContent ||
				admin(t, http.MethodGet, "") != http.StatusOK || admin(t, http.MethodPost, "") != http.StatusMethodNotAllowed {
				t.Error("the admin API did not have it shared again")
			}
			e.get("/s/index.m3u8")
			e.get("/s/seg.ts")
			if resp, _ := e.get("/s/seg.ts"); resp.Header.Get(headerSegment) == "" {
				t.Error("it is not shared though it was resumed")
			}
		})
	}
}

// TestRareVariant: where requests say who the viewer is, the first answer with other bytes
// is seen, however rare and however many go out at once, and no part of a segment is stated.
func TestRareVariant(t *testing.T) {
	o := origin{segments: []string{"seg.ts"}, serve: func(w http.ResponseWriter, r *http.Request) {
		variant := "A"
		if strings.Contains(r.Header.Get("Cookie"), "rare") {
			variant = "B"
		}
		w.Header().Set("Etag", `"same"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(pattern(variant, 40_000)))
	}}
	e := newEdge(t)
	e.load("", "mesh\n reverse_proxy "+o.start(t))
	e.get("/s/index.m3u8")
	for range 40 {
		e.get("/s/seg.ts", "Cookie", "id=usual")
	}
	if resp, _ := e.get("/s/seg.ts", "Cookie", "id=usual"); resp.Header.Get(headerSegment) == "" {
		t.Fatal("nothing is stated of what is the same for all")
	}
	if resp, _ := e.get("/s/seg.ts", "Cookie", "id=rare", "Range", "bytes=0-99"); resp.StatusCode != 206 || resp.Header.Get(headerSegment) != "" {
		t.Errorf("a part: %d, with a statement: %v", resp.StatusCode, resp.Header.Get(headerSegment) != "")
	}
	e.get("/s/seg.ts", "Cookie", "id=rare")
	for _, who := range []string{"usual", "rare"} {
		if resp, _ := e.get("/s/seg.ts", "Cookie", "id="+who); resp.Header.Get(headerSegment) != "" {
			t.Errorf("after one rare answer the %s one has a statement", who)
		}
	}
}

// TestHeaderAddedOutside: what a handler around mesh adds when the header goes
// out counts too, from the first answer that shows it.
func TestHeaderAddedOutside(t *testing.T) {
	o := origin{segments: []string{"seg.ts"}, serve: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5000")
		_, _ = w.Write(pattern("x", 5000))
	}}
	e := newEdge(t)
	e.load("", "header /s/seg.ts >Cache-Control private\n mesh\n reverse_proxy "+o.start(t))
	for range 3 {
		e.get("/s/index.m3u8")
		if resp, _ := e.get("/s/seg.ts"); resp.Header.Get("Cache-Control") != "private" || resp.Header.Get(headerSegment) != "" {
			t.Errorf("header: %v", resp.Header)
		}
	}
	if _, code := e.statement("/s/seg.ts", ""); code != signal.NotShared {
		t.Errorf("statement: %q", code)
	}
}

// TestForeignQuery: a viewer who asks with a query of its own, to which the
// upstream answers otherwise, neither makes the statement nor ends the sharing.
func TestForeignQuery(t *testing.T) {
	o := origin{segments: []string{"seg.ts?v=1"}, serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5000")
		_, _ = w.Write(pattern(r.URL.RawQuery, 5000))
	}}
	e := newEdge(t)
	e.load("", "mesh\n reverse_proxy "+o.start(t))
	e.get("/s/index.m3u8")
	e.get("/s/seg.ts?v=evil")
	name := "/s/seg.ts?v=1"
	if _, code := e.statement(name, ""); code != signal.NotKnown {
		t.Errorf("the statement is made of a query that no playlist gave: %q", code)
	}
	_, body := e.get("/s/seg.ts?v=1")
	for range 5 {
		e.get("/s/seg.ts?v=evil")
	}
	s, code := e.statement(name, "")
	if code != "" {
		t.Fatalf("the statement: %q", code)
	}
	checkToken(t, e.verifier(), "/s/seg.ts", body, s.Token, s.Hashes)
}
