package edge

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/examples/peer/web"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

const (
	dialWait  = 10 * time.Second
	writeWait = 10 * time.Second
	// pingAfter is how long nothing may come before the edge is pinged, and silentFor how
	// long before it counts as gone.
	pingAfter = 10 * time.Second
	silentFor = 16 * time.Second
	maxQueued = 1024 // messages that wait for a slow edge
)

// Said is an error message of the edge, after which it mostly closes.
type Said struct{ Code, Detail string }

func (e *Said) Error() string { return fmt.Sprintf("edge said %s: %s", e.Code, e.Detail) }

// Socket is the signaling WebSocket of a session. Send may be called from
// anywhere.
type Socket struct {
	ws *websocket.Conn

	mu     sync.Mutex
	queue  [][]byte
	ending bool
	ping   *time.Timer // nothing came for a while
	wake   chan struct{}
	done   chan struct{} // closed when the writer has ended
}

// Dial opens the WebSocket of a session and says hello with pass. It is dialed as
// client dials, with its proxy and TLS, if its transport is an *http.Transport or
// unwraps to one. It is HTTP/1.1 whatever else the client speaks: RFC 8441, WebSockets
// over HTTP/2, the library does not know.
func Dial(ctx context.Context, client *http.Client, s *Session, pass string) (*Socket, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	d := websocket.Dialer{Proxy: http.ProxyFromEnvironment, ReadBufferSize: 4096, WriteBufferSize: 4096}
	if t := web.Underlying(client); t != nil {
		d.Proxy, d.NetDialContext = t.Proxy, t.DialContext
		if t.TLSClientConfig != nil {
			d.TLSClientConfig = t.TLSClientConfig.Clone()
			d.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
	}
	ws, resp, err := d.DialContext(ctx, s.Socket.String(), nil)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("open the signaling WebSocket: %w", &Refused{Status: resp.StatusCode, RetryAfter: defaultRetry})
		}
		return nil, fmt.Errorf("open the signaling WebSocket: %w", err)
	}
	ws.SetReadLimit(signal.MaxMessage)
	k := &Socket{ws: ws, ping: time.NewTimer(pingAfter), wake: make(chan struct{}, 1), done: make(chan struct{})}
	k.heard()
	ws.SetPongHandler(func(string) error { k.heard(); return nil })
	ping := ws.PingHandler()
	ws.SetPingHandler(func(data string) error { k.heard(); return ping(data) })
	go k.write()
	k.Send(&signal.Message{Type: signal.Hello, Pass: pass})
	return k, nil
}

// Send queues a message. It never waits; it reports false if the message is
// dropped because the socket is closing.
func (k *Socket) Send(m *signal.Message) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending {
		return false
	}
	if len(k.queue) >= maxQueued {
		k.ending = true
		_ = k.ws.NetConn().Close()
		return false
	}
	k.queue = append(k.queue, signal.Encode(m))
	k.signal()
	return true
}

// heard notes that something came.
func (k *Socket) heard() {
	k.ping.Reset(pingAfter)
	_ = k.ws.SetReadDeadline(time.Now().Add(silentFor))
}

func (k *Socket) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Read gives the next message.
func (k *Socket) Read() (signal.Message, error) {
	_, frame, err := k.ws.ReadMessage()
	if err != nil {
		return signal.Message{}, fmt.Errorf("signaling WebSocket: %w", err)
	}
	k.heard()
	m, err := signal.Decode(frame)
	if err != nil {
		return m, fmt.Errorf("signaling message: %w", err)
	}
	return m, nil
}

// write writes what is queued, and pings when nothing comes.
func (k *Socket) write() {
	defer close(k.done)
	defer k.ping.Stop()
	for {
		k.mu.Lock()
		batch, ending := k.queue, k.ending
		k.queue = nil
		k.mu.Unlock()
		for _, frame := range batch {
			_ = k.ws.SetWriteDeadline(time.Now().Add(writeWait))
			if err := k.ws.WriteMessage(websocket.TextMessage, frame); err != nil {
				_ = k.ws.NetConn().Close()
				return
			}
		}
		if ending {
			_ = k.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""),
				time.Now().Add(writeWait))
			return
		}
		select {
		case <-k.wake:
		case <-k.ping.C:
			if k.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
				_ = k.ws.NetConn().Close()
				return
			}
		}
	}
}

// Close sends what is queued, says goodbye and closes. Read then fails. It waits
// for the edge a moment, so that what was sent is read.
func (k *Socket) Close() {
	k.mu.Lock()
	k.ending = true
	k.mu.Unlock()
	k.signal()
	<-k.done
	_ = k.ws.SetReadDeadline(time.Now().Add(time.Second))
}

// Abort closes at once.
func (k *Socket) Abort() {
	k.mu.Lock()
	k.ending = true
	k.mu.Unlock()
	k.signal()
	_ = k.ws.NetConn().Close()
	<-k.done
}
