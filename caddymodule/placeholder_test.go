package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestPlaceholders: what stands for a variable of the environment or a file is
// replaced in the options of directive, token and app, and is checked then.
func TestPlaceholders(t *testing.T) {
	e := newEdge(t)
	dir := t.TempDir()
	write(t, dir, "origin", "https://*.example.com")
	for name, value := range map[string]string{
		"MESH_PATH": "/m2", "MESH_SHARE": "none", "MESH_IP": "127.0.0.1", "MESH_LISTEN": "udp/127.0.0.1:0", "MESH_ALG": "HS256", "MESH_SECRET": strings.Repeat("s", 32),
	} {
		t.Setenv(name, value)
	}
	const global = "mesh {\n stun off\n turn {\n listen {env.MESH_LISTEN}\n relay_address {env.MESH_IP}\n }\n }"
	site := "mesh {\n path {env.MESH_PATH}\n share {env.MESH_SHARE}\n origins {file." + dir + "/origin}\n token jwt {\n observe\n alg {env.MESH_ALG}\n secret {env.MESH_SECRET}\n }\n }\n respond ok"
	e.load(global, site)
	for origin, want := range map[string]int{
		"https://www.example.com": http.StatusNoContent, "https://a.b.example.com": http.StatusNoContent, "HTTPS://WWW.EXAMPLE.COM": http.StatusNoContent,
		"https://example.com": http.StatusForbidden, "http://www.example.com": http.StatusForbidden,
		"https://www.example.com:8443": http.StatusForbidden, "https://www.example.com.evil.test": http.StatusForbidden, "https://badexample.com": http.StatusForbidden,
	} {
		resp, _ := e.do(http.MethodOptions, "/m2/session", "", "Origin", origin)
		if resp.StatusCode != want || (want == http.StatusNoContent) != (resp.Header.Get("Access-Control-Allow-Credentials") == "true") {
			t.Errorf("%s: %d %v, want %d", origin, resp.StatusCode, resp.Header, want)
		}
	}
	for name, want := range map[string]string{
		"MESH_PATH": "path", "MESH_SHARE": "share", "MESH_IP": "relay_address", "MESH_LISTEN": "listen", "MESH_ALG": "alg", "MESH_SECRET": "secret",
	} {
		t.Run("without "+name, func(t *testing.T) {
			t.Setenv(name, "")
			if err := e.tryLoad(e.caddyfile(global, site)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want one that names %s and %s", err, want, name)
			}
		})
	}
	t.Run("with a bad value", func(t *testing.T) {
		t.Setenv("MESH_SHARE", "some")
		if err := e.tryLoad(e.caddyfile(global, site)); err == nil || !strings.Contains(err.Error(), `share "some"`) {
			t.Errorf("error %v", err)
		}
	})
}

// TestExcludeNamed: a named matcher chooses what is not shared.
func TestExcludeNamed(t *testing.T) {
	dir := vod(t, 2, 1000)
	e := newEdge(t)
	e.load("", "@first path *seg-0.m4s\n mesh {\n exclude @first\n }\n root "+dir+"\n file_server")
	e.get("/vod/v0/index.m3u8")
	if resp, _ := e.get("/vod/v0/seg-0.m4s"); resp.Header.Get(headerSegment) != "" {
		t.Error("what the matcher names is shared")
	}
	if resp, _ := e.get("/vod/v0/seg-1.m4s"); resp.Header.Get(headerSegment) == "" {
		t.Error("what it does not name is not")
	}
}
