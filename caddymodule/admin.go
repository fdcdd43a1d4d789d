package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule/adminapi"
	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin is the mesh in Caddy's admin API:
//
//	GET    /mesh/stopped                               presentations that are not shared any more, because viewers
//	                                                   got different bytes at one URL, with the reason
//	DELETE /mesh/stopped?presentation=HOST/PATH        have one shared again
//	GET    /mesh/off                                   what is switched off
//	POST   /mesh/off?of=all                            switch the mesh off: for all, or of=presentation, host, site,
//	                                                   country or device with a value; running peers stop
//	DELETE /mesh/off?of=country&value=DE               switch it on again
//	GET    /mesh/swarms?host=HOST                      the swarms of a host, as GET /mesh/stats of the site
//	POST   /mesh/drain?spread=30s                      send all peers to open another session within a time
//	POST   /mesh/ban?peer=ID                           ban the viewer of a session
//	POST   /mesh/link?host=HOST&life=24h               a link to the dashboard of a host, for whoever has it
//	GET    /mesh/keys                                  the public keys of passes and statements (JWKS)
//	GET    /mesh/data/summary, series, now, live, sessions, openapi.json
//	                                                   the data API, of all hosts
type Admin struct{}

// CaddyModule says what this module is.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mesh", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the endpoints.
func (Admin) Routes() []caddy.AdminRoute {
	things := func(of func(*edge.Edge) adminapi.Things) func() (adminapi.Things, error) {
		return func() (adminapi.Things, error) {
			rt, err := running()
			if err != nil {
				return nil, err
			}
			return of(rt.edge), nil
		}
	}
	routes := adminapi.Routes("/mesh/stopped", things(func(e *edge.Edge) adminapi.Things { return stopped{e} }))
	for _, a := range []struct {
		path, method string
		serve        func(*runtime, http.ResponseWriter, *http.Request) error
	}{
		{"/mesh/off", "", serveOff}, {"/mesh/swarms", http.MethodGet, serveSwarms}, {"/mesh/drain", http.MethodPost, serveDrain},
		{"/mesh/ban", http.MethodPost, serveBan}, {"/mesh/link", http.MethodPost, serveLink}, {"/mesh/keys", http.MethodGet, serveKeys},
		{"/mesh/data/", http.MethodGet, serveData},
	} {
		routes = append(routes, caddy.AdminRoute{Pattern: a.path, Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			rt, err := running()
			switch {
			case err != nil:
				return adminapi.Error(http.StatusNotFound, "%w", err)
			case a.method != "" && r.Method != a.method:
				return adminapi.Error(http.StatusMethodNotAllowed, "use %s", a.method)
			}
			return a.serve(rt, w, r)
		})})
	}
	return routes
}

// running returns the runtime, if a config has a mesh.
func running() (rt *runtime, err error) {
	runtimes.Range(func(_, v any) bool { rt = v.(*runtime); return false })
	if rt == nil {
		return nil, errors.New("no config has a mesh")
	}
	return rt, nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

func serveOff(rt *runtime, w http.ResponseWriter, r *http.Request) error {
	part := edge.Switch{Of: r.URL.Query().Get("of"), Value: r.URL.Query().Get("value")}
	switch r.Method {
	case http.MethodGet:
		return writeJSON(w, rt.edge.Switches())
	case http.MethodPost:
		ended, err := rt.edge.SwitchOff(part)
		if err != nil {
			return adminapi.Error(http.StatusBadRequest, "%w", err)
		}
		return writeJSON(w, map[string]int{"ended": ended})
	case http.MethodDelete:
		if !rt.edge.SwitchOn(part) {
			return adminapi.Error(http.StatusNotFound, "that is not switched off; write of and value as GET lists them")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return adminapi.Error(http.StatusMethodNotAllowed, "use GET, POST or DELETE")
}

func serveSwarms(rt *runtime, w http.ResponseWriter, r *http.Request) error {
	host := r.URL.Query().Get("host")
	if host == "" {
		return adminapi.Error(http.StatusBadRequest, "write host=HOST, in lower case, with its port if it is not the default")
	}
	return writeJSON(w, rt.edge.Stats(host))
}

// maxSpread is the longest time over which peers are drained.
const maxSpread = time.Hour

func serveDrain(rt *runtime, w http.ResponseWriter, r *http.Request) error {
	spread := 30 * time.Second
	if s := r.URL.Query().Get("spread"); s != "" {
		var err error
		if spread, err = caddy.ParseDuration(s); err != nil || spread < 0 || spread > maxSpread {
			return adminapi.Error(http.StatusBadRequest, "spread %.32q: write a time up to %s, such as 30s", s, maxSpread)
		}
	}
	return writeJSON(w, map[string]int{"drained": rt.edge.Drain(spread)})
}

func serveBan(rt *runtime, w http.ResponseWriter, r *http.Request) error {
	var peer wire.PeerID
	if err := peer.UnmarshalText([]byte(r.URL.Query().Get("peer"))); err != nil {
		return adminapi.Error(http.StatusBadRequest, "peer %.32q: write the id of a session, as /mesh/data/sessions lists it", r.URL.Query().Get("peer"))
	}
	if !rt.edge.Ban(peer) {
		return adminapi.Error(http.StatusNotFound, "no session of peer %s is open here", peer)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func serveLink(rt *runtime, w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	host, life := strings.ToLower(q.Get("host")), 24*time.Hour
	if host == "" || strings.ContainsAny(host, "/#? ") {
		return adminapi.Error(http.StatusBadRequest, "host %.64q: write the site's host, with its port if it is not the default", host)
	}
	if s := q.Get("life"); s != "" {
		var err error
		if life, err = caddy.ParseDuration(s); err != nil || life <= 0 || life > insight.MaxLink {
			return adminapi.Error(http.StatusBadRequest, "life %.32q: write a time up to 31d, such as 24h", s)
		}
	}
	key := rt.edge.Link(host, life)
	return writeJSON(w, map[string]string{"key": key, "link": (&url.URL{Scheme: "https", Host: host, Path: "/mesh/dashboard", Fragment: "key=" + key}).String()})
}

func serveKeys(rt *runtime, w http.ResponseWriter, _ *http.Request) error {
	public, err := rt.keys().Public()
	if err != nil {
		return err
	}
	return writeJSON(w, json.RawMessage(public))
}

func serveData(rt *runtime, w http.ResponseWriter, r *http.Request) error {
	handled, err := rt.edge.Insight().Serve(w, r, "", strings.TrimPrefix(r.URL.Path, "/mesh/data/"))
	if !handled && err == nil {
		return adminapi.Error(http.StatusNotFound, "there is no %s; see /mesh/data/openapi.json", r.URL.Path)
	}
	return err
}

// stopped are the presentations of an edge that are not shared any more.
type stopped struct{ edge *edge.Edge }

func (s stopped) List() any { return s.edge.Stopped() }

func (s stopped) End(query url.Values) error {
	name := query.Get("presentation")
	if !s.edge.Resume(name) {
		return adminapi.Error(http.StatusNotFound, "no presentation %q is stopped; write presentation=NAME, as GET lists it", name)
	}
	return nil
}

var (
	_ caddy.Module      = Admin{}
	_ caddy.AdminRouter = Admin{}
)
