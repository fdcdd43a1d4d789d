package insight

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// BenchmarkTenSeconds is the work of ten seconds with 10,000 sessions that report once, in 50
// presentations, history included. 300 ms are 3 % of a core.
func BenchmarkTenSeconds(b *testing.B) {
	now := start
	in := stepped(Config{Log: zap.NewNop(), Now: func() time.Time { return now }, File: filepath.Join(b.TempDir(), "history.db")})
	defer in.Close()
	var sessions []*Session
	for i := range 10_000 {
		s := in.Open(Facts{
			Presentation: fmt.Sprintf("tv.example/channel-%02d/main.m3u8", i%50), Viewer: fmt.Sprint(i), Country: fmt.Sprint("C", i%30), ASN: fmt.Sprint("AS", i%80),
			Device: fmt.Sprint("d", i%4), Connection: fmt.Sprint("c", i%3), Player: fmt.Sprint("p", i%4), Label: fmt.Sprint("l", i%5),
		})
		s.Announce(&signal.Announcement{Live: i%3 != 0, Rendition: "a"})
		sessions = append(sessions, s)
	}
	n := int64(0)
	for b.Loop() {
		n++
		for _, s := range sessions {
			s.Report(&signal.Report{PeerBytes: n * 4e6, OriginBytes: n * 1e6, UploadedBytes: n * 4e6, PlayedMS: n * 1e4, StartupMS: 900}, &signal.Report{BufferMS: 15_000})
		}
		now = now.Add(Interval)
		in.mu.Lock()
		in.record(now)
		in.mu.Unlock()
	}
}
