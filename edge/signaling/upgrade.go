package signaling

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/internal/socket"
)

// upgrader makes WebSockets with small buffers of their own, so that the
// server's larger ones are freed when the handler returns. Write buffers are
// shared. Compression costs several times what it saves here. The caller has
// checked the Origin.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
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
	s := &session{hub: h, on: on, conn: &conn{ws: ws, log: h.Log, work: &h.work}}
	s.mayPing, s.turned = func() bool { return !s.expired() }, s.silenceTurned
	if err := h.enter(s); err != nil {
		_ = ws.NetConn().Close()
		return
	}
	go s.run()
}
