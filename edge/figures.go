package edge

import (
	"net/http"
	"strings"

	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
)

// serveFigures answers requests for Policy.Path/dashboard, and below Policy.Path/data, the data API, with the figures of a host,
// for whom access admits, nil for nobody; handled is false if there is no such thing.
func serveFigures(e *Edge, access *insight.Access, w http.ResponseWriter, r *http.Request, host, name string) (handled bool, err error) {
	if access == nil {
		return false, nil
	}
	what, data := strings.CutPrefix(name, "data/")
	if !data {
		return (r.Method == http.MethodGet || r.Method == http.MethodHead) && insight.ServeDashboard(w, r, name), nil
	}
	if what != "openapi.json" && !access.Admits(r, e.config.Secret, host, e.config.now()) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mesh"`)
		return true, reply.Refuse(w, http.StatusUnauthorized, "unauthorized", "write the dashboard's token, or the key of a link that is good still: Authorization: Bearer TOKEN")
	}
	return e.insight.Serve(w, r, host, what)
}
