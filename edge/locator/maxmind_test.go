package locator_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viewmesh/viewmesh/edge/locator"
	"github.com/viewmesh/viewmesh/internal/mmdb"
)

// layouts are records as the providers' files have them, of one network.
var layouts = map[string]struct {
	record mmdbtype.Map
	want   locator.Place
}{
	"GeoLite2 ASN": {
		mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(174), "autonomous_system_organization": mmdbtype.String("COGENT-174")},
		locator.Place{ASN: 174},
	},
	"GeoLite2 City": {
		mmdbtype.Map{
			"country":            mmdbtype.Map{"iso_code": mmdbtype.String("DE"), "geoname_id": mmdbtype.Uint32(2921044)},
			"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("US")},
			"subdivisions":       mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("BE"), "names": mmdbtype.Map{"en": mmdbtype.String("Land Berlin")}}},
		},
		locator.Place{Country: "DE", Region: "BE"},
	},
	"DB-IP City Lite": {
		mmdbtype.Map{
			"country":      mmdbtype.Map{"iso_code": mmdbtype.String("FR"), "is_in_european_union": mmdbtype.Bool(true)},
			"subdivisions": mmdbtype.Slice{mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Île-de-France")}}},
		},
		locator.Place{Country: "FR", Region: "Île-de-France"},
	},
	"DB-IP ASN Lite": {
		mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(4200000001)},
		locator.Place{ASN: 4200000001},
	},
	"IPinfo Lite": {
		mmdbtype.Map{"asn": mmdbtype.String("AS174"), "as_domain": mmdbtype.String("cogentco.com"), "country": mmdbtype.String("United States"),
			"country_code": mmdbtype.String("US"), "continent_code": mmdbtype.String("NA")},
		locator.Place{ASN: 174, Country: "US"},
	},
	"IPinfo country and ASN": {
		mmdbtype.Map{"asn": mmdbtype.String("AS3320"), "country": mmdbtype.String("DE"), "country_name": mmdbtype.String("Germany")},
		locator.Place{ASN: 3320, Country: "DE"},
	},
	"a number as asn":  {mmdbtype.Map{"asn": mmdbtype.Uint32(64500)}, locator.Place{ASN: 64500}},
	"nothing of ours":  {mmdbtype.Map{"connection_type": mmdbtype.String("Cable/DSL")}, locator.Place{}},
	"fields of others": {mmdbtype.Map{"asn": mmdbtype.Map{"x": mmdbtype.String("y")}, "country": mmdbtype.Uint32(7), "subdivisions": mmdbtype.Slice{}}, locator.Place{}},
}

func TestLayouts(t *testing.T) {
	for name, c := range layouts {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "db.mmdb")
			mmdb.Write(t, file, mmdb.Records{"203.0.112.0/22": c.record, "2001:db8:7::/48": c.record})
			m, err := locator.OpenMaxMind(file, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range []string{"203.0.113.9", "::ffff:203.0.113.9", "2001:db8:7::1"} {
				if got := m.Locate(nil, netip.MustParseAddr(a)); got != c.want {
					t.Errorf("%s is at %+v, want %+v", a, got, c.want)
				}
			}
			for _, a := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth0")} {
				if got := m.Locate(nil, a); got != (locator.Place{}) {
					t.Errorf("%v, which is not in the file, is at %+v", a, got)
				}
			}
		})
	}
}

func TestMissingAndBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := locator.OpenMaxMind(filepath.Join(dir, "none.mmdb"), zap.NewNop()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	whole := filepath.Join(dir, "whole.mmdb")
	mmdb.Write(t, whole, mmdb.Records{"203.0.113.0/24": layouts["GeoLite2 ASN"].record})
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"empty": nil, "text": []byte("<html>403 Forbidden</html>"), "cut off": b[:len(b)/2]} {
		file := filepath.Join(dir, "broken.mmdb")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := locator.OpenMaxMind(file, zap.NewNop()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestReload: a database that is replaced is used; one that breaks, or goes away, is a
// warning and changes nothing, until a good one comes.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "asn.mmdb")
	as := func(n uint32) mmdb.Records {
		return mmdb.Records{"203.0.113.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(n)}}
	}
	mmdb.Write(t, file, as(1))
	core, logs := observer.New(zapcore.WarnLevel)
	m, err := locator.OpenMaxMind(file, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	is := func(want uint32) {
		t.Helper()
		if got := m.Locate(nil, netip.MustParseAddr("203.0.113.9")).ASN; got != want {
			t.Fatalf("the address is of AS%d, want AS%d", got, want)
		}
	}
	warned := func(want int) {
		t.Helper()
		if logs.Len() != want {
			t.Fatalf("%d warnings, want %d: %v", logs.Len(), want, logs.All())
		}
	}
	is(1)
	mmdb.Write(t, file, as(2)) // replaced by a rename, as update programs do
	m.Reload()
	is(2)
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 100), 0o600); err != nil { // written over
		t.Fatal(err)
	}
	for range 3 {
		m.Reload()
	}
	is(2)
	warned(1)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.Reload()
	}
	is(2)
	warned(2)
	mmdb.Write(t, file, as(3))
	m.Reload()
	is(3)
	later := time.Now().Add(time.Hour)
	mmdb.Write(t, file, as(3))
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	m.Reload()
	is(3)
	warned(2)
}
