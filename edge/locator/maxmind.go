package locator

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"go.uber.org/zap"
)

// MaxMind looks addresses up in a file of the MaxMind DB format. It knows the layouts of
// GeoLite2 and GeoIP2 (ASN, ISP, Country, City), of DB-IP, and the flat ones of IPinfo. It is
// safe for concurrent use.
type MaxMind struct {
	file string
	log  *zap.Logger
	db   atomic.Pointer[maxminddb.Reader]
	// seen is the file that db is from, or the one that could not be read last. Only
	// Watch uses it after OpenMaxMind.
	seen os.FileInfo
}

// OpenMaxMind reads a file into memory: it may be replaced, or written over, at any time.
func OpenMaxMind(file string, log *zap.Logger) (*MaxMind, error) {
	m := &MaxMind{file: file, log: log}
	if err := m.load(); err != nil {
		return nil, err
	}
	return m, nil
}

// load reads the file.
func (m *MaxMind) load() error {
	info, err := os.Stat(m.file)
	if err != nil {
		return fmt.Errorf("read the location database: %w", err)
	}
	m.seen = info
	b, err := os.ReadFile(m.file)
	if err != nil {
		return fmt.Errorf("read the location database: %w", err)
	}
	db, err := maxminddb.OpenBytes(b)
	if err != nil {
		return fmt.Errorf("location database %s is not a whole file of the MaxMind DB format: %w", m.file, err)
	}
	m.db.Store(db)
	return nil
}

// Reload reads the file again if it has changed since it was read. A file that is missing or
// broken is a warning in the log, once, and the database before goes on to serve.
func (m *MaxMind) Reload() {
	info, err := os.Stat(m.file)
	switch {
	case err != nil && m.seen == nil:
		return // the log has it
	case err == nil && m.seen != nil && os.SameFile(info, m.seen) && info.Size() == m.seen.Size() && info.ModTime().Equal(m.seen.ModTime()):
		return
	}
	m.seen = nil
	if err := m.load(); err != nil {
		m.log.Warn("the location database has changed and cannot be read: the one before is used", zap.Error(err))
		return
	}
	m.log.Info("the location database has changed and is used now", zap.String("file", m.file))
}

// Watch calls Reload as often as every says, until done is closed.
func (m *MaxMind) Watch(done <-chan struct{}, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			m.Reload()
		}
	}
}

// Locate looks addr up.
func (m *MaxMind) Locate(_ *http.Request, addr netip.Addr) (p Place) {
	if !addr.IsValid() {
		return p
	}
	found := m.db.Load().Lookup(addr.Unmap().WithZone(""))
	if !found.Found() {
		return p
	}
	text := func(path ...any) (s string) {
		_ = found.DecodePath(&s, path...) // what is not there, or no string, stays ""
		return s
	}
	var asn uint32
	if found.DecodePath(&asn, "autonomous_system_number") == nil && asn != 0 {
		p.ASN = asn // GeoLite2, GeoIP2 and DB-IP
	} else if p.ASN = ParseASN(text("asn")); p.ASN == 0 && found.DecodePath(&asn, "asn") == nil {
		p.ASN = asn // a flat layout with a number
	}
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} { // GeoLite2 and DB-IP; IPinfo Lite; other files of IPinfo
		if p.Country == "" {
			p.Country = ParseCountry(text(path...))
		}
	}
	for _, path := range [][]any{{"subdivisions", 0, "iso_code"}, {"subdivisions", 0, "names", "en"}, {"region"}} { // GeoLite2; DB-IP; IPinfo
		if p.Region == "" {
			p.Region = ParseRegion(p.Country, text(path...))
		}
	}
	return p
}

var _ Locator = (*MaxMind)(nil)
