package caddymodule_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
)

// upstream serves what handle answers, behind reverse_proxy.
func upstream(t *testing.T, handle http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const hlsType = "application/vnd.apple.mpegurl"

// TestManifestBootstrap loads manifests in every form and compares the answer
// with that of the same site without mesh: the body and each header field are to
// be the same but for those that mesh adds.
func TestManifestBootstrap(t *testing.T) {
	playlist := mediaPlaylist("", "a.ts", "b.ts")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(playlist))
	_ = z.Close()
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
		switch {
		case strings.HasSuffix(r.URL.Path, "/gzip.m3u8"):
			h.Set("Content-Type", hlsType)
			h.Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		case strings.HasSuffix(r.URL.Path, "/live"):
			h.Set("Content-Type", "Application/X-MPEGURL; charset=utf-8")
			_, _ = w.Write([]byte(playlist))
		case strings.HasSuffix(r.URL.Path, "/forged.m3u8"):
			h.Set("Mesh-Bootstrap", `v=1, session="https://evil.example/mesh/session", swarm="x"`)
			h.Set("Mesh-Segment", "forged")
			h.Set("Access-Control-Expose-Headers", "X-Mine")
			_, _ = w.Write([]byte(playlist))
		case strings.HasSuffix(r.URL.Path, "/validated.m3u8"):
			h.Set("Etag", `"v1"`)
			http.ServeContent(w, r, "validated.m3u8", time.Time{}, strings.NewReader(playlist))
		case strings.HasSuffix(r.URL.Path, "/page"):
			h.Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<p>no manifest"))
		case strings.HasSuffix(r.URL.Path, "/missing.m3u8"):
			http.Error(w, "not here", http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/huge.m3u8"):
			_, _ = fmt.Fprint(w, mediaPlaylist("", strings.Repeat("x", 5<<20)))
		default:
			h.Set("Content-Type", hlsType)
			_, _ = w.Write([]byte(playlist))
		}
	})
	for _, c := range []struct {
		name, method, path string
		header             []string
		none               bool // no bootstrap
	}{
		{name: "by type and extension", path: "/s/index.m3u8"},
		{name: "by type only", path: "/s/live"},
		{name: "query", path: "/s/index.m3u8?token=abc"},
		{name: "escaped path", path: "/s%20x/index%2Em3u8"},
		{name: "encoded by the upstream", path: "/s/gzip.m3u8", header: []string{"Accept-Encoding", "gzip"}},
		{name: "encoded by Caddy", path: "/s/index.m3u8", header: []string{"Accept-Encoding", "gzip"}},
		{name: "head", method: "HEAD", path: "/s/index.m3u8"},
		{name: "range", path: "/s/validated.m3u8", header: []string{"Range", "bytes=10-20"}},
		{name: "not modified", path: "/s/validated.m3u8", header: []string{"If-None-Match", `"v1"`}},
		{name: "forged by the upstream", path: "/s/forged.m3u8"},
		{name: "longer than is read", path: "/s/huge.m3u8"},
		{name: "page", path: "/s/page", none: true},
		{name: "not found", path: "/s/missing.m3u8", none: true},
		{name: "post", method: "POST", path: "/s/index.m3u8", none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.method == "" {
				c.method = http.MethodGet
			}
			type answer struct {
				resp *http.Response
				body []byte
			}
			ask := func(directive string) answer {
				e := newEdge(t)
				e.load("", directive+"\n encode gzip {\n minimum_length 10\n match header Content-Type *mpegurl*\n }\n reverse_proxy "+up)
				resp, body := e.do(c.method, c.path, "", c.header...)
				return answer{resp, body}
			}
			with, without := ask("mesh"), ask("")
			if with.resp.StatusCode != without.resp.StatusCode || !bytes.Equal(with.body, without.body) {
				t.Errorf("with mesh: %d, %d bytes; without: %d, %d bytes",
					with.resp.StatusCode, len(with.body), without.resp.StatusCode, len(without.body))
			}
			values := with.resp.Header.Values(headerBootstrap)
			if c.none {
				if len(values) > 0 {
					t.Errorf("there is %s: %q", headerBootstrap, values)
				}
			} else {
				checkBootstrap(t, values)
			}
			compareHeaders(t, with.resp.Header, without.resp.Header)
		})
	}
}

func checkBootstrap(t *testing.T, values []string) {
	t.Helper()
	d, err := httpsfv.UnmarshalDictionary(values)
	if err != nil || len(values) != 1 {
		t.Fatalf("%s %q: %v", headerBootstrap, values, err)
	}
	v, _ := d.Get("v")
	session, _ := d.Get("session")
	if v.(httpsfv.Item).Value != int64(1) || session.(httpsfv.Item).Value != "/mesh/session" {
		t.Errorf("%s is %q", headerBootstrap, values)
	}
}

// compareHeaders compares all fields but those of the mesh, and wants an exposed
// name of the site to stay exposed.
func compareHeaders(t *testing.T, with, without http.Header) {
	t.Helper()
	for name, want := range without {
		switch {
		case strings.HasPrefix(name, "Mesh-"), name == "Date":
		case name == "Access-Control-Expose-Headers":
			if got := strings.Join(with.Values(name), ", "); !strings.Contains(got, strings.Join(want, ", ")) {
				t.Errorf("%s lost %q: %q", name, want, got)
			}
		case strings.Join(with[name], "\n") != strings.Join(want, "\n"):
			t.Errorf("%s is %q with mesh and %q without", name, with[name], want)
		}
	}
	for name := range with {
		if len(without[name]) == 0 && !strings.HasPrefix(name, "Mesh-") && name != "Access-Control-Expose-Headers" {
			t.Errorf("mesh adds %s: %q", name, with[name])
		}
	}
	for _, v := range append(with.Values(headerBootstrap), with.Values(headerSegment)...) {
		if strings.Contains(v, "evil") || v == "forged" {
			t.Errorf("what the upstream forged got through: %q", v)
		}
	}
}

// TestManifestsOfOnePresentation: a media playlist is in the swarm of the
// multivariant playlist that names it, also in another directory.
func TestManifestsOfOnePresentation(t *testing.T) {
	dir := vod(t, 1, 1000)
	write(t, dir, "far/index.m3u8", multivariant("../away/v0.m3u8", "http://elsewhere.example/v1.m3u8"))
	write(t, dir, "away/v0.m3u8", mediaPlaylist("", "seg.ts"))
	write(t, dir, "away/seg.ts", "segment")
	e := newEdge(t)
	e.load("", "mesh\n root "+dir+"\n file_server")

	alone := e.swarmOf("/away/v0.m3u8")
	far := e.swarmOf("/far/index.m3u8")
	if alone == far {
		t.Error("before the multivariant playlist passed, the media playlist was in its swarm")
	}
	if after := e.swarmOf("/away/v0.m3u8"); after != far {
		t.Error("after the multivariant playlist passed, the media playlist is in another swarm")
	}
	if resp, _ := e.get("/away/seg.ts"); resp.Header.Get(headerSegment) == "" {
		t.Error("a segment in the rendition's directory is not shared")
	}
	if vod := e.swarmOf("/vod/index.m3u8"); vod == far {
		t.Error("two presentations are in one swarm")
	}
}

// TestSegmentsAnywhere: a presentation is its manifest: what it lists may lie
// anywhere on its host, in more directories than a pass could name; two presentations
// in one directory are two, and what both list is shared by both.
func TestSegmentsAnywhere(t *testing.T) {
	dir := t.TempDir()
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf("/media/%d/seg.ts", i))
		write(t, dir, all[i][1:], "segment")
	}
	write(t, dir, "live/one.m3u8", mediaPlaylist("", append(all, "../up.ts")...))
	write(t, dir, "live/two.m3u8", mediaPlaylist("", "/media/0/seg.ts"))
	write(t, dir, "up.ts", "segment")
	e := newEdge(t)
	e.load("", "mesh\n root "+dir+"\n file_server")
	one, two := e.swarmOf("/live/one.m3u8"), e.swarmOf("/live/two.m3u8")
	if one == two {
		t.Error("two presentations in one directory are in one swarm")
	}
	for _, swarm := range []string{one, two} {
		pass, err := e.verifier().VerifyPass(e.openSessionIn(swarm).Pass, time.Now())
		for _, path := range append(all, "/up.ts") {
			if err != nil || !pass.Covers(path) {
				t.Errorf("the pass does not cover %s: %v (%v)", path, pass.Scope, err)
			}
			if resp, _ := e.get(path); resp.Header.Get(headerSegment) == "" {
				t.Errorf("%s is not shared", path)
			}
		}
	}
}

// TestManifestAsRange: the HLS player of Chromium asks for playlists with a range
// that is all of them; what they list is shared all the same.
func TestManifestAsRange(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh\nroot "+vod(t, 2, 3000)+"\nfile_server")
	for _, path := range []string{"/vod/index.m3u8", "/vod/v0/index.m3u8"} {
		if resp, _ := e.get(path, "Range", "bytes=0-"); resp.StatusCode != http.StatusPartialContent {
			t.Fatalf("%s: status %d", path, resp.StatusCode)
		}
	}
	if resp, _ := e.get("/vod/v0/seg-0.m4s", "Range", "bytes=0-"); resp.Header.Get(headerSegment) == "" {
		t.Error("the segment is not vouched for")
	}
	if a, b := e.swarmOf("/vod/index.m3u8"), e.swarmOf("/vod/v0/index.m3u8"); a != b {
		t.Error("the rendition has a swarm of its own")
	}
	e.get("/vod/v1/index.m3u8", "Range", "bytes=0-99")
	if resp, _ := e.get("/vod/v1/seg-0.m4s"); resp.Header.Get(headerSegment) != "" {
		t.Error("a part of a playlist was taken for the whole")
	}
}
