package signaling

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/internal/socket"
)

// upgrader makes WebSockets that are read in the pieces of package socket, and written frame by
// frame by its Link: their own buffers are as small as may be. Compression costs several times
// what it saves here. The caller has checked the Origin.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  128,
	WriteBufferSize: 128,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

// IsUpgrade reports whether a request asks for a WebSocket.
func IsUpgrade(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// Accept turns a request into a signaling connection, which outlives the request
// and its handler. It answers the request in any case.
func (h *Hub) Accept(w http.ResponseWriter, r *http.Request, on admission.Connection) {
	ws, err := upgrader.Upgrade(socket.Hijacker{ResponseWriter: w}, r, nil)
	if err != nil {
		return // the library has answered
	}
	s := &session{hub: h, on: on, conn: &conn{log: h.Log, Link: socket.Link{WS: ws, Work: &h.work, MaxFrames: maxQueued, MaxBytes: maxQueuedBytes}}}
	s.mayPing, s.turned = func() bool { return !s.expired() }, s.silenceTurned
	if err := h.enter(s); err != nil {
		_ = ws.NetConn().Close()
		return
	}
	go s.run()
}
