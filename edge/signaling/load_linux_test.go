package signaling

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/internal/load"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// serveEnv has this program be a server of the load; its value is how many members without a
// socket its swarm has from the start.
const serveEnv = "VIEWMESH_SIGNALING_SERVE"

const manifestPath = "/live/index.m3u8"

// TestMain is a server of its own process if the load wants one, which prints its address and
// serves until its standard input ends.
func TestMain(m *testing.M) {
	filled, err := strconv.Atoi(os.Getenv(serveEnv))
	if err != nil {
		os.Exit(m.Run())
	}
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		panic(err)
	}
	policy := &admission.Policy{MaxTold: 1 << 30}
	policy.Default()
	listed := catalog.New([]byte("a secret of a load"))
	control := admission.NewControl(admission.Config{
		Log: zap.NewNop(), Now: time.Now, Catalog: listed,
		Keys:       func() *tokens.Keyring { return keys },
		ICEServers: func(admission.ICERequest) []signal.ICEServer { return nil },
		RelayShare: func() int64 { return 0 },
		Server: admission.Server{
			ClientAddr: func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("X-Forwarded-For")) },
			HTTPS:      func(*http.Request) bool { return false },
		},
	})
	hub := NewHub(Config{Log: zap.NewNop(), Now: time.Now, Control: control})
	var to *catalog.Presentation
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mesh/session", func(w http.ResponseWriter, r *http.Request) {
		a, _, err := control.Open(r, policy, to, &signal.SessionRequest{V: 1, Swarm: listed.SwarmOf(to, time.Now())})
		if err != nil {
			panic(err)
		}
		_ = json.NewEncoder(w).Encode(a)
	})
	mux.HandleFunc("GET /mesh/signal", func(w http.ResponseWriter, r *http.Request) {
		hub.Accept(w, r, control.Connection(r, policy))
	})
	mux.HandleFunc("GET "+manifestPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Mesh-Bootstrap", `swarm="`+listed.SwarmOf(to, time.Now())+`"`)
	})
	server := httptest.NewServer(mux)
	to = listed.Presentation(strings.TrimPrefix(server.URL, "http://"), manifestPath)
	sw, err := hub.hold(listed.SwarmOf(to, time.Now()), to)
	if err != nil {
		panic(err)
	}
	sw.mu.Lock()
	for i := range filled {
		id := wire.PeerID(rand.Uint64())
		scope := strings.TrimSuffix(manifestPath, "index.m3u8")
		sw.step(tracker.Input{Kind: tracker.Join, Peer: id, Facts: tracker.Facts{Scope: scope, Prefix: fmt.Sprintf("%d/24", i)}})
		sw.step(tracker.Input{Kind: tracker.Receive, Peer: id, Message: &signal.Message{Type: signal.Announce, Announcement: announcement(0)}})
	}
	sw.mu.Unlock()
	fmt.Println(server.URL)
	_, _ = bufio.NewReader(os.Stdin).ReadString(0)
	os.Exit(0)
}

func announcement(want int) *signal.Announcement {
	return &signal.Announcement{Rendition: "/live/720p.m3u8", Live: true, Upload: true, Want: want, Neighbors: 5, UplinkBPS: 5e6}
}

// site is a server under load, and a swarm of it.
type site struct {
	load.Child
	url    string
	client *http.Client
	dialer websocket.Dialer
	swarm  string
}

// startEdge starts a server with the hub alone, and a swarm of as many members without a socket.
func startEdge(b *testing.B, filled int) *site {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+strconv.Itoa(filled))
	c := load.Start(b, cmd, true)
	return newSite(b, c, c.Said)
}

// startCaddy builds the Caddy of the examples and starts it with a site, over TLS or plain.
func startCaddy(b *testing.B, over string) *site {
	b.Helper()
	dir := b.TempDir()
	program := filepath.Join(dir, "caddy")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../../examples/caddy").CombinedOutput(); err != nil {
		b.Fatalf("build Caddy: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(dir, "www", "live"), 0o755); err != nil {
		b.Fatal(err)
	}
	manifest := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n0.ts\n#EXTINF:2,\n1.ts\n#EXTINF:2,\n2.ts\n#EXT-X-ENDLIST\n"
	if err := os.WriteFile(filepath.Join(dir, "www", manifestPath), []byte(manifest), 0o644); err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	url := over + "://localhost:" + port
	secure := ""
	if over == "https" {
		secure = " tls internal\n"
	}
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf("{\n admin off\n persist_config off\n auto_https disable_redirects\n skip_install_trust\n grace_period 1s\n storage file_system %q\n log {\n  output discard\n }\n mesh {\n  stun off\n }\n servers {\n  trusted_proxies static 127.0.0.0/8 ::1\n }\n}\n%s {\n%s mesh {\n  max_told 1000000000\n }\n root %s\n file_server\n}\n",
		filepath.Join(dir, "storage"), url, secure, filepath.Join(dir, "www"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), program, "run", "--config", config)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	return newSite(b, load.Start(b, cmd, false), url)
}

func newSite(b *testing.B, c load.Child, url string) *site {
	b.Helper()
	insecure := &tls.Config{InsecureSkipVerify: true}
	s := &site{Child: c, url: url,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: insecure, MaxIdleConnsPerHost: 64}},
		dialer: websocket.Dialer{ReadBufferSize: 4096, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{}, TLSClientConfig: insecure}}
	b.Cleanup(s.client.CloseIdleConnections)
	for deadline := time.Now().Add(20 * time.Second); s.swarm == ""; {
		resp, err := s.client.Get(url + manifestPath)
		if err == nil {
			_, rest, _ := strings.Cut(resp.Header.Get("Mesh-Bootstrap"), `swarm="`)
			s.swarm, _, _ = strings.Cut(rest, `"`)
			resp.Body.Close()
		}
		if s.swarm == "" && time.Now().After(deadline) {
			b.Fatalf("no swarm at %s: %v", url, err)
		}
		if s.swarm == "" {
			time.Sleep(50 * time.Millisecond)
		}
	}
	return s
}

// viewer is a session with its socket.
type viewer struct {
	*websocket.Conn
	id    wire.PeerID
	peers []signal.PeerInfo // of the first list
}

// join opens a session from a network of its own, connects, and announces; fresh has it make new
// connections, as another viewer would.
func (s *site) join(i, want int, fresh bool) (*viewer, error) {
	from := http.Header{"X-Forwarded-For": {fmt.Sprintf("20.%d.%d.1", i>>8&255, i&255)}, "Content-Type": {"application/json"}}
	body, _ := json.Marshal(&signal.SessionRequest{V: 1, Swarm: s.swarm, Manifest: manifestPath})
	r, err := http.NewRequest(http.MethodPost, s.url+"/mesh/session", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header, r.Close = from, fresh
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var a signal.SessionAnswer
	if err := json.Unmarshal(said, &a); err != nil || a.Pass == "" {
		return nil, fmt.Errorf("session: %s: %s", resp.Status, said)
	}
	ws, up, err := s.dialer.Dial(strings.Replace(s.url, "http", "ws", 1)+"/mesh/signal", from)
	if err != nil {
		return nil, err
	}
	up.Body.Close()
	v := &viewer{Conn: ws, id: a.Peer}
	for _, m := range []*signal.Message{{Type: signal.Hello, Pass: a.Pass}, {Type: signal.Announce, Announcement: announcement(want)}} {
		if err := v.WriteMessage(websocket.TextMessage, signal.Encode(m)); err != nil {
			return nil, err
		}
	}
	for {
		_, frame, err := v.ReadMessage()
		if err != nil {
			return nil, err
		}
		m, err := signal.Decode(frame)
		if err != nil {
			return nil, err
		}
		switch {
		case m.Type == signal.ErrorMsg:
			return nil, fmt.Errorf("%s: %s", m.Code, m.Detail)
		case m.Type == signal.Peers:
			v.peers = m.Peers
			return v, nil
		}
	}
}

// joinAll has n viewers join, as many at a time as workers.
func (s *site) joinAll(b *testing.B, n, workers, want int) []*viewer {
	b.Helper()
	all := make([]*viewer, n)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				v, err := s.join(i, want, false)
				if err != nil {
					b.Errorf("viewer %d: %v", i, err)
					return
				}
				all[i] = v
			}
		})
	}
	wait.Wait()
	if b.Failed() {
		b.FailNow()
	}
	b.Cleanup(func() {
		for _, v := range all {
			v.Close()
		}
	})
	return all
}

// BenchmarkSessions is what signaling costs: see docs/operating.md.
//
//	go test ./edge/signaling -run '^$' -bench Sessions -benchtime 1x
func BenchmarkSessions(b *testing.B) {
	b.Run("relayed", relayed)
	for _, n := range []int{50, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint("announces in ", n), func(b *testing.B) { announces(b, n) })
	}
	for _, over := range []string{"http", "https"} {
		b.Run("idle over "+over, func(b *testing.B) { idle(b, startCaddy(b, over)) })
	}
	for _, over := range []string{"http", "https"} {
		b.Run("flash over "+over, func(b *testing.B) { flash(b, startCaddy(b, over)) })
	}
}

const measured = 4 * time.Second

// description is a session description as a browser's for a data channel, without candidates.
var description = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n" +
	"a=candidate:3 1 udp 1677729535 198.51.100.7 50000 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\n" +
	"a=ice-ufrag:Jz4f\r\na=ice-pwd:0bqkZBbn8vCnPvSgUv4lW3J1\r\na=ice-options:trickle\r\na=fingerprint:sha-256 " + strings.Repeat("AB:", 31) + "CD\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"

// relayed has 1,000 viewers, a tenth of which do not read, send each other offers as fast as the
// server goes.
func relayed(b *testing.B) {
	s := startEdge(b, 0)
	all := s.joinAll(b, 1000, 8, 0)
	for _, v := range all {
		if err := v.WriteMessage(websocket.TextMessage, signal.Encode(&signal.Message{Type: signal.Announce, Announcement: announcement(20)})); err != nil {
			b.Fatal(err)
		}
		for v.peers == nil {
			_, frame, err := v.ReadMessage()
			if err != nil {
				b.Fatal(err)
			}
			if m, _ := signal.Decode(frame); m.Type == signal.Peers {
				v.peers = m.Peers
			}
		}
	}
	var got atomic.Int64
	var wait sync.WaitGroup
	ctx, stop := context.WithCancel(b.Context())
	for i, v := range all {
		if i%10 != 0 {
			wait.Go(func() {
				for {
					if _, _, err := v.ReadMessage(); err != nil {
						return
					}
					got.Add(1)
				}
			})
		}
		wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				m := signal.Encode(&signal.Message{Type: signal.Offer, To: &v.peers[n%len(v.peers)].ID, Connection: "c1", SDP: description})
				if v.WriteMessage(websocket.TextMessage, m) != nil || n > 980 {
					return
				}
				if n%8 == 7 {
					time.Sleep(time.Duration(10+rand.IntN(20)) * time.Millisecond)
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	for b.Loop() {
		n, cpu := got.Load(), s.CPU(b)
		time.Sleep(measured)
		n, cpu = got.Load()-n, s.CPU(b)-cpu
		b.ReportMetric(float64(n)/cpu.Seconds(), "messages/core-s")
		b.ReportMetric(float64(n)/measured.Seconds(), "messages/s")
	}
	stop()
	for _, v := range all {
		v.Close()
	}
	wait.Wait()
}

// announces has viewers in a swarm of n announce as fast as they get lists of eight.
func announces(b *testing.B, n int) {
	clients := min(n, 1000)
	s := startEdge(b, n-clients)
	all := s.joinAll(b, clients, 8, 0)
	frame := signal.Encode(&signal.Message{Type: signal.Announce, Announcement: announcement(8)})
	var lists atomic.Int64
	var wait sync.WaitGroup
	for _, v := range all {
		wait.Go(func() {
			for range 990 {
				if v.WriteMessage(websocket.TextMessage, frame) != nil {
					return
				}
				for {
					_, got, err := v.ReadMessage()
					if err != nil {
						return
					}
					if bytes.Contains(got, []byte(`"swarm_size"`)) {
						break
					}
				}
				lists.Add(1)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	for b.Loop() {
		n, cpu := lists.Load(), s.CPU(b)
		for end := time.Now().Add(measured); time.Now().Before(end) && lists.Load() < int64(clients*900); {
			time.Sleep(20 * time.Millisecond)
		}
		n, cpu = lists.Load()-n, s.CPU(b)-cpu
		b.ReportMetric(float64(n)/cpu.Seconds(), "lists/core-s")
	}
	for _, v := range all {
		v.Close()
	}
	wait.Wait()
}

// idle measures what joining costs, what silent sessions hold, and what stays once all have left.
func idle(b *testing.B, s *site) {
	const n = 6000
	for b.Loop() {
		before, cpu := s.RSS(b), s.CPU(b)
		all := s.joinAll(b, n, 8, 8)
		b.ReportMetric(float64((s.CPU(b)-cpu).Microseconds())/n/1000, "ms/join")
		s.client.CloseIdleConnections()
		time.Sleep(3 * time.Second)
		b.ReportMetric((s.RSS(b)-before)/n, "KiB/session")
		for _, v := range all {
			v.Close()
		}
		time.Sleep(20 * time.Second)
		b.ReportMetric(before/1024, "MiB-before")
		b.ReportMetric(s.RSS(b)/1024, "MiB-after")
	}
}

// flash has 5,000 viewers join over ten seconds, each with new connections, and measures the time
// until each has its first list.
func flash(b *testing.B, s *site) {
	const n, over = 5000, 10 * time.Second
	for b.Loop() {
		took := make([]time.Duration, n)
		all := make([]*viewer, n)
		start := time.Now()
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() {
				at := start.Add(over * time.Duration(i) / n)
				time.Sleep(time.Until(at))
				v, err := s.join(i, 8, true)
				if err != nil {
					b.Errorf("viewer %d: %v", i, err)
					return
				}
				all[i], took[i] = v, time.Since(at)
			})
		}
		wait.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[n/2].Milliseconds()), "ms-p50")
		b.ReportMetric(float64(took[n*99/100].Milliseconds()), "ms-p99")
		for _, v := range all {
			if v != nil {
				v.Close()
			}
		}
	}
}
