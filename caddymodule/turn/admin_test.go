package turn_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule/turn"
)

// TestAdminListsAndEndsAllocations: the operator sees allocations, without the client's
// address, and ends one.
func TestAdminListsAndEndsAllocations(t *testing.T) {
	ask := func(method, query string, into any) (status int) {
		w := httptest.NewRecorder()
		err := turn.Admin{}.Routes()[0].Handler.ServeHTTP(w, httptest.NewRequest(method, "/mesh/turn/allocations"+query, nil))
		if apiError, ok := err.(caddy.APIError); ok {
			return apiError.HTTPStatus
		}
		if err != nil {
			t.Fatal(err)
		}
		if into != nil {
			if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code
	}
	if status := ask(http.MethodGet, "", nil); status != http.StatusNotFound {
		t.Errorf("without a relay: %d", status)
	}
	e := newEdge(t)
	e.load("mesh {\n turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n allow_peers 127.0.0.0/8\n shared_secret north\n }\n }",
		"mesh\n root "+vod(t, 100)+"\n file_server")
	c := viewerOver(t, dialUDP(t, turnAddr(t, "udp")), "north", "viewer", echoPeer(t))
	var list []map[string]any
	if status := ask(http.MethodGet, "", &list); status != http.StatusOK || len(list) != 1 || list[0]["user"] != "viewer" ||
		list[0]["transport"] != "udp" || list[0]["relayed"] != c.relay.String() || list[0]["client"] != nil {
		t.Fatalf("%d, %v", status, list)
	}
	for query, want := range map[string]int{"": http.StatusBadRequest, "?relayed=127.0.0.1:1": http.StatusNotFound} {
		if status := ask(http.MethodDelete, query, nil); status != want {
			t.Errorf("DELETE %q: %d, want %d", query, status, want)
		}
	}
	if status := ask(http.MethodDelete, "?relayed="+url.QueryEscape(c.relay.String()), nil); status != http.StatusNoContent {
		t.Errorf("DELETE: %d", status)
	}
	waitFor(t, func() bool { return len(theServer(t).Allocations()) == 0 })
}
