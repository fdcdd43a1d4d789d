package locators

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge/locator"
)

func init() { caddy.RegisterModule(&MaxMind{}) }

// watchEvery is how often a database file is looked at.
var watchEvery = 10 * time.Second

// MaxMind looks viewers' addresses up in a file of the MaxMind DB format, such as GeoLite2,
// DB-IP or IPinfo Lite. The file is in memory, and is read again within 10 seconds after it
// has changed: what is missing or broken then is a warning, and the one before is used. At
// the start it is an error.
type MaxMind struct {
	// Database is the file. Required.
	Database string `json:"database,omitempty"`

	db      *locator.MaxMind
	done    chan struct{}
	stopped chan struct{}
}

// CaddyModule says what this module is.
func (*MaxMind) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mesh.locators.maxmind", New: func() caddy.Module { return new(MaxMind) }}
}

// Provision reads the file, and watches it.
func (m *MaxMind) Provision(ctx caddy.Context) error {
	if err := option.Expand(m); err != nil {
		return err
	}
	if m.Database == "" {
		return errors.New("locator maxmind needs a database file, such as /var/lib/geoip/asn.mmdb")
	}
	var err error
	if m.db, err = locator.OpenMaxMind(m.Database, ctx.Logger()); err != nil {
		return err
	}
	m.done, m.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(m.stopped)
		m.db.Watch(m.done, watchEvery)
	}()
	return nil
}

// Cleanup ends the watch.
func (m *MaxMind) Cleanup() error {
	if m.done != nil {
		close(m.done)
		<-m.stopped
	}
	return nil
}

// Locate looks addr up.
func (m *MaxMind) Locate(r *http.Request, addr netip.Addr) locator.Place { return m.db.Locate(r, addr) }

// UnmarshalCaddyfile reads the source:
//
//	maxmind FILE
func (m *MaxMind) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return option.One(d, &m.Database)
}

var (
	_ caddy.Provisioner     = (*MaxMind)(nil)
	_ caddy.CleanerUpper    = (*MaxMind)(nil)
	_ caddyfile.Unmarshaler = (*MaxMind)(nil)
	_ locator.Locator       = (*MaxMind)(nil)
)
