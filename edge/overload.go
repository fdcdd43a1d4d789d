package edge

import (
	"net/http"
	"time"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
)

// leastRetry is when a viewer may come again who was refused because of overload, at the
// earliest.
const leastRetry = 10 * time.Second

// carries refuses a session while peers do not carry what the server lacks, where the site
// wants that. ok is true if it is not refused.
func carries(s *Site, w http.ResponseWriter) (ok bool, err error) {
	wait, since := s.edge.uplink.Overloaded()
	if s.policy.Overload != admission.OverloadRefuse || since.IsZero() {
		return true, nil
	}
	return false, reply.RefuseUntil(w, http.StatusServiceUnavailable, max(leastRetry, 2*wait), "overloaded",
		"the server cannot carry more viewers now; come again later")
}

// goesLast reports whether a segment waits for all others, because the server is overloaded
// and nobody in the viewer's network had a session before it was.
func goesLast(e *Edge, r *http.Request, p *admission.Policy) bool {
	_, since := e.uplink.Overloaded()
	if p.Overload == admission.OverloadPass || since.IsZero() {
		return false
	}
	on := e.control.Connection(r, p)
	came, ok := e.hub.Came(on.Network())
	return !ok || came.After(since)
}
