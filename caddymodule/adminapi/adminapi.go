// Package adminapi is what the mesh's endpoints in Caddy's admin API have in common: each
// lists things with GET and ends one with DELETE.
package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
)

// Things are what an endpoint lists and ends.
type Things interface {
	// List returns what JSON encodes.
	List() any
	// End ends the one that the query of a request names. Its error is a [caddy.APIError].
	End(query url.Values) error
}

// Routes returns the one endpoint of an admin module. find returns the things whenever a
// request comes, because they come and go with configs; its error answers with 404.
func Routes(pattern string, find func() (Things, error)) []caddy.AdminRoute {
	serve := func(w http.ResponseWriter, r *http.Request) error {
		things, err := find()
		if err != nil {
			return Error(http.StatusNotFound, "%w", err)
		}
		switch r.Method {
		case http.MethodGet:
			w.Header().Set("Content-Type", "application/json")
			return json.NewEncoder(w).Encode(things.List())
		case http.MethodDelete:
			if err := things.End(r.URL.Query()); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return Error(http.StatusMethodNotAllowed, "use GET or DELETE")
	}
	return []caddy.AdminRoute{{Pattern: pattern, Handler: caddy.AdminHandlerFunc(serve)}}
}

// Error returns an error that is answered with a status.
func Error(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}
