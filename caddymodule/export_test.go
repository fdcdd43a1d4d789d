package caddymodule

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/tokens"
)

// What tests outside of the package see of it.

const (
	KeyLife    = keyLife
	StoredKeys = storedKeys
)

var (
	StoredKeyring = storedKeyring
	StoredRandom  = storedRandom
)

func current() (rt *runtime) {
	runtimes.Range(func(_, v any) bool { rt = v.(*runtime); return false })
	return rt
}

// Meters returns the collector of the edge.
func Meters() prometheus.Collector { return meters{current().edge} }

// CurrentEdge returns the edge that outlives reloads, or nil.
func CurrentEdge() *edge.Edge {
	if rt := current(); rt != nil {
		return rt.edge
	}
	return nil
}

// CurrentKeys returns the keys that sign now.
func CurrentKeys() *tokens.Keyring { return current().keys() }

// CurrentConfig returns the config that counts now.
func CurrentConfig() *App { return current().current.Load() }
