package torrent_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/edge/internal/load"
	"github.com/viewmesh/viewmesh/tokens"
)

// serveEnv is the variable that tells a server of the load what to be: "plain" or "tls".
const serveEnv = "VIEWMESH_TRACKER_SERVE"

// TestMain is a server of its own process if the load wants one, which prints its address and
// serves until its standard input ends.
func TestMain(m *testing.M) {
	kind := os.Getenv(serveEnv)
	if kind == "" {
		os.Exit(m.Run())
	}
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		panic(err)
	}
	e, err := edge.New(edge.Config{
		Secret: []byte("the secret of a load"), Keys: func() *tokens.Keyring { return keys },
		// Each from a network of its own, so that no limit of one is in the way.
		Server: edge.Server{ClientAddr: func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.URL.Query().Get("from")) }},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewUnstartedServer(e.Wrap(edge.Policy{MaxTold: 1e9}, http.NotFoundHandler()))
	if kind == "tls" {
		server.StartTLS()
	} else {
		server.Start()
	}
	fmt.Println(strings.Replace(server.URL, "http", "ws", 1) + "/mesh/tracker")
	_, _ = bufio.NewReader(os.Stdin).ReadString(0)
	os.Exit(0)
}

// npmTracker runs npm's tracker, and prints its address.
const npmTracker = `
import Server from "bittorrent-tracker/server";
const server = new Server({ udp: false, http: true, ws: true, stats: false });
server.on("warning", () => {});
server.on("listening", () => console.log("ws://127.0.0.1:" + server.http.address().port + "/"));
server.listen(0, "127.0.0.1");
process.stdin.on("end", () => process.exit()).resume();
`

func startEdge(b *testing.B, kind string) load.Child {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), self)
	cmd.Env = append(os.Environ(), serveEnv+"="+kind)
	return load.Start(b, cmd, true)
}

// startNPM starts npm's tracker if it is where the tests of package browsertest have installed
// it; ok is false if it is not.
func startNPM(b *testing.B) (c load.Child, ok bool) {
	b.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "viewmesh", "npm-*", "node_modules", "bittorrent-tracker"))
	if len(found) == 0 {
		return c, false
	}
	cmd := exec.CommandContext(b.Context(), "node", "--input-type=module", "--eval", npmTracker)
	cmd.Dir = filepath.Dir(filepath.Dir(found[0]))
	return load.Start(b, cmd, true), true
}

// dial opens a connection from a network of its own.
func dial(b *testing.B, c load.Child, i int) *websocket.Conn {
	b.Helper()
	d := websocket.Dialer{ReadBufferSize: 8 << 10, WriteBufferSize: 1 << 10, WriteBufferPool: &writeBuffers, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, resp, err := d.Dial(fmt.Sprintf("%s?from=20.%d.%d.1", c.Said, i>>8&255, i&255), nil)
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	b.Cleanup(func() { ws.Close() })
	return ws
}

var writeBuffers sync.Pool

// description is a session description of 4 KB.
var description = "v=0\r\n" + strings.Repeat("a=candidate:1 1 udp 2113937151 198.51.100.7 50000 typ host generation 0 network-cost 999\r\n", 44)

func announce(hash, peer string, offers int) []byte {
	list := []any{}
	for i := range offers {
		list = append(list, map[string]any{"offer_id": fmt.Sprintf("%020d", i), "offer": map[string]string{"type": "offer", "sdp": description}})
	}
	m, err := json.Marshal(map[string]any{"action": "announce", "info_hash": hash, "peer_id": peer, "numwant": offers, "uploaded": 0, "downloaded": 0, "offers": list})
	if err != nil {
		panic(err)
	}
	return m
}

// field returns the value of a field of a message, which is a string of letters and digits.
func field(m []byte, name string) string {
	_, rest, _ := bytes.Cut(m, []byte(`"`+name+`":"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}

// BenchmarkTracker has clients in swarms of 50 announce with five offers of 4 KB, and answer each
// that they get, as fast as the server goes. It reports what the server has sent for each second
// that its threads have run, and what a connection takes of its resident memory, after all have
// announced once and have been silent. npm's bittorrent-tracker is measured in the same run.
//
//	go test ./edge/torrent -run '^$' -bench Tracker -benchtime 1x
func BenchmarkTracker(b *testing.B) {
	b.Run("edge", func(b *testing.B) { throughput(b, startEdge(b, "plain")) })
	b.Run("edge over TLS", func(b *testing.B) { throughput(b, startEdge(b, "tls")) })
	b.Run("npm", func(b *testing.B) {
		if c, ok := startNPM(b); ok {
			throughput(b, c)
		}
	})
	b.Run("memory of edge", func(b *testing.B) { memory(b, startEdge(b, "plain")) })
	b.Run("memory of edge over TLS", func(b *testing.B) { memory(b, startEdge(b, "tls")) })
	b.Run("memory of npm", func(b *testing.B) {
		if c, ok := startNPM(b); ok {
			memory(b, c)
		}
	})
}

func throughput(b *testing.B, c load.Child) {
	const clients, swarm, measured = 2500, 50, 5 * time.Second
	var received, bad atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conns[i] = dial(b, c, i)
	}
	for i, ws := range conns {
		hash, peer := fmt.Sprintf("%020d", i/swarm), fmt.Sprintf("peer%016d", i)
		first, frame := announce(hash, peer, 0), announce(hash, peer, 5)
		head := `{"action":"announce","info_hash":"` + hash + `","peer_id":"` + peer + `","answer":{"type":"answer","sdp":` + strconv.Quote(description) + `},"to_peer_id":"`
		all.Go(func() {
			for m := first; !over.Load(); {
				if ws.WriteMessage(websocket.TextMessage, m) != nil {
					return
				}
				for replied := false; !replied; {
					_, got, err := ws.ReadMessage()
					if err != nil {
						return
					}
					received.Add(1)
					switch {
					case bytes.Contains(got, []byte(`"interval"`)):
						replied = true
					case bytes.Contains(got, []byte(`"offer":`)):
						answer := head + field(got, "peer_id") + `","offer_id":"` + field(got, "offer_id") + `"}`
						if ws.WriteMessage(websocket.TextMessage, []byte(answer)) != nil {
							return
						}
					case bytes.Contains(got, []byte(`"failure reason"`)):
						bad.Add(1)
						replied = true
					}
				}
				m = frame
			}
		})
	}
	time.Sleep(2 * time.Second)
	for b.Loop() {
		n, cpu := received.Load(), c.CPU(b)
		time.Sleep(measured)
		n, cpu = received.Load()-n, c.CPU(b)-cpu
		b.ReportMetric(float64(n)/cpu.Seconds(), "messages/core-s")
		b.ReportMetric(float64(n)/measured.Seconds(), "messages/s")
		b.ReportMetric(float64(bad.Load()), "refused")
	}
	over.Store(true)
	for _, ws := range conns {
		ws.Close()
	}
	all.Wait()
}

// memory opens connections that announce once, with one offer, into swarms of 50, and measures
// when they have been silent for a while.
func memory(b *testing.B, c load.Child) {
	const clients = 4000
	for b.Loop() {
		before := c.RSS(b)
		for i := range clients {
			ws := dial(b, c, i)
			if err := ws.WriteMessage(websocket.TextMessage, announce(fmt.Sprintf("%020d", i/50), fmt.Sprintf("peer%016d", i), 1)); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		b.ReportMetric((c.RSS(b)-before)/clients, "KiB/connection")
	}
}
