package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestDeferredCORS: a header that the operator sets late does not take the origin
// away from an answer that a page of another host reads with its cookies, with and
// without access log and metrics between.
func TestDeferredCORS(t *testing.T) {
	const page = "https://www.example.com"
	for _, between := range []string{"", "log {\n output discard\n }"} {
		for _, global := range []string{"", "metrics {\n per_host\n }"} {
			e := newEdge(t)
			e.load(global+"\nmesh {\n stun off\n }", between+`
				header >Access-Control-Allow-Origin *
				encode
				mesh {
					origins `+page+`
				}
				respond "the site"`)
			for _, c := range []struct{ method, path string }{
				{http.MethodPost, "/mesh/session"}, {http.MethodOptions, "/mesh/session"}, {http.MethodGet, "/mesh/mesh.js"}, {http.MethodGet, "/mesh/signal"},
			} {
				resp, _ := e.do(c.method, c.path, "", "Origin", page)
				got := strings.Join(resp.Header.Values("Access-Control-Allow-Origin"), ", ")
				if got != page || resp.Header.Get("Access-Control-Allow-Credentials") != "true" {
					t.Errorf("%s %s: %v", c.method, c.path, resp.Header)
				}
			}
			if resp, _ := e.get("/page", "Origin", page); resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("the page: %v", resp.Header)
			}
		}
	}
}
