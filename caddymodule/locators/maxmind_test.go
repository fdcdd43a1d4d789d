package locators

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/viewmesh/viewmesh/internal/mmdb"
)

// TestWatch: a config uses a database that is replaced while it runs, and ends its watch.
func TestWatch(t *testing.T) {
	watchEvery = time.Millisecond
	file := filepath.Join(t.TempDir(), "asn.mmdb")
	as := func(n uint32) mmdb.Records {
		return mmdb.Records{"203.0.113.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(n)}}
	}
	mmdb.Write(t, file, as(1))
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	m := &MaxMind{Database: file}
	if err := m.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if got := m.Locate(nil, netip.MustParseAddr("203.0.113.9")).ASN; got != 1 {
		t.Fatalf("AS%d, want AS1", got)
	}
	mmdb.Write(t, file, as(2))
	for m.Locate(nil, netip.MustParseAddr("203.0.113.9")).ASN != 2 {
		time.Sleep(time.Millisecond) // until the watch has seen it; the test's own deadline bounds it
	}
	if err := m.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if err := new(MaxMind).Cleanup(); err != nil {
		t.Fatal(err)
	}
}
