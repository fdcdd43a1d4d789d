package response

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// ending tells a body that came to its end from one that may have been cut off,
// where the header does not tell its length.
//
// A proxy passes an upstream's body on until it ends. Where the upstream neither
// states a length nor sends chunks, as HTTP/1.0 servers do, the end of the body is
// the end of the connection (RFC 9112, section 6.3), whatever ended that. A
// connection that net/http takes back for another request has ended no body, and
// in HTTP/2 each body has an end of its own. A handler that asks no upstream makes
// the body itself and reports its failure.
type ending struct {
	open atomic.Bool // a connection is in use whose end may be that of the body
}

// watch returns r so that connections to upstreams that are made for it are seen.
func (e *ending) watch(r *http.Request) *http.Request {
	return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			c, ok := i.Conn.(*tls.Conn)
			e.open.Store(!ok || c.ConnectionState().NegotiatedProtocol != "h2")
		},
		PutIdleConn: func(error) { e.open.Store(false) }, // called after a body's end only
	}))
}

// certain reports whether a body that has ended is known to be whole.
func (e *ending) certain() bool { return !e.open.Load() }
