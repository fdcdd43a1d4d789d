package caddymodule_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
)

func TestBrowserFiles(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh {\n origins https://player.example.com\n }")
	for _, name := range []string{"mesh.js", "sw.js", "hls.js", "shaka.js", "dash.js"} {
		resp, plain := e.get("/mesh/" + name)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || len(plain) == 0 {
			t.Fatalf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
		if got, want := resp.Header.Get("Service-Worker-Allowed") == "/", name == "sw.js"; got != want {
			t.Errorf("%s: Service-Worker-Allowed %q", name, resp.Header.Get("Service-Worker-Allowed"))
		}
		packed, b := e.get("/mesh/"+name, "Accept-Encoding", "br, gzip")
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v, %v", name, err, packed.Header)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: another text with gzip, %v", name, err)
		}
		if packed.Header.Get("Etag") == resp.Header.Get("Etag") {
			t.Errorf("%s: one ETag for two encodings", name)
		}
		for _, coding := range []string{"gzip;q=0", "*;q=0, identity", "br", ""} {
			if resp, b := e.get("/mesh/"+name, "Accept-Encoding", coding); resp.Header.Get("Content-Encoding") != "" || !bytes.Equal(b, plain) {
				t.Errorf("%s with Accept-Encoding: %s has Content-Encoding %q", name, coding, resp.Header.Get("Content-Encoding"))
			}
		}
		if again, _ := e.get("/mesh/"+name, "If-None-Match", resp.Header.Get("Etag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: asked again: %d", name, again.StatusCode)
		}
	}
	for origin, want := range map[string]string{"https://player.example.com": "https://player.example.com", "https://other.example": ""} {
		if resp, _ := e.get("/mesh/mesh.js", "Origin", origin); resp.Header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", origin, resp.Header.Get("Access-Control-Allow-Origin"), want)
		}
	}
	if resp, _ := e.get("/mesh/other.js"); resp.StatusCode == http.StatusOK && resp.Header.Get("Etag") != "" {
		t.Error("a file that there is none of was served")
	}
}
