package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// track opens a WebSocket to the tracker and announces; it returns the status of the answer to
// the request, and the reply.
func (e *edge) track(query, origin string) (status int, reply map[string]any) {
	e.t.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	ws, resp, err := websocket.DefaultDialer.Dial("ws://"+e.addr+"/mesh/tracker"+query, header)
	if resp == nil {
		e.t.Fatal(err)
	}
	if err != nil {
		return resp.StatusCode, nil
	}
	defer ws.Close()
	const hash = "aaaaaaaaaaaaaaaaaaaa"
	if err := ws.WriteJSON(map[string]any{"action": "announce", "info_hash": hash, "peer_id": hash, "numwant": 0}); err != nil {
		e.t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := ws.ReadJSON(&reply); err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, reply
}

// TestTracker: the option decides what the endpoint of existing clients answers, beside share,
// relay_only and origins.
func TestTracker(t *testing.T) {
	e := newEdge(t)
	dir := vod(t, 1, 100)
	const turn = "mesh {\n turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n }\n }"
	for _, c := range []struct {
		name, global, options, origin string
		status                        int
		failure                       bool
	}{
		{"on by default", "", "", "", 101, false},
		{"strict", "", "tracker strict", "", 101, true},
		{"off", "", "tracker off", "", 404, false},
		{"nothing is shared", "", "share none", "", 404, false},
		{"relay only", turn, "relay_only", "", 404, false},
		{"page of another host", "", "", "https://other.example", 403, false},
		{"page of an origin", "", "origins https://other.example", "https://other.example", 101, false},
	} {
		e.load(c.global, "mesh {\n"+c.options+"\n}\n metrics /metrics\n root "+dir+"\n file_server")
		status, reply := e.track("", c.origin)
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
			continue
		}
		if _, failed := reply["failure reason"]; status == 101 && failed != c.failure {
			t.Errorf("%s: the reply is %v", c.name, reply)
		}
	}
	if resp, _ := e.get("/mesh/tracker"); resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade the status is %d", resp.StatusCode)
	}
	if _, b := e.get("/metrics"); !strings.Contains(string(b), "mesh_tracker_messages_total{outcome=\"sent\"}") {
		t.Error("the metrics do not count messages")
	}
}

// TestTrackerToken: where viewer tokens are required, the tracker wants one in the URL, and is
// for the streams that it allows.
func TestTrackerToken(t *testing.T) {
	e, csp := newEdge(t), newProvider(t)
	e.load("", "mesh {\n token urisigning {\n jwks_file "+csp.file+"\n }\n }\n root "+vod(t, 1, 100)+"\n file_server")
	good := "?URISigningPackage=" + csp.token(e, `/vod/.*`, time.Minute, nil)
	if resp, _ := e.get("/vod/index.m3u8" + good); resp.StatusCode != 200 {
		t.Fatalf("manifest: %d", resp.StatusCode)
	}
	if status, _ := e.track("", ""); status != 403 && status != 401 {
		t.Errorf("without a token the status is %d", status)
	}
	if status, _ := e.track("?URISigningPackage="+csp.token(e, `/live/.*`, time.Minute, nil), ""); status != 403 {
		t.Errorf("with a token for something else the status is %d", status)
	}
	if status, reply := e.track(good, ""); status != 101 || reply["failure reason"] == nil {
		t.Errorf("with a good token the status is %d, and another info hash has the reply %v", status, reply)
	}
}
