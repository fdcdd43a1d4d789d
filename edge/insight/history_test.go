package insight

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// busyRow is what 50 presentations of some hundred viewers each count in ten seconds.
func busyRow(at time.Time, r *rand.Rand) Row {
	row := Row{Time: at}
	for p := range 50 {
		viewers := 100 + r.Int64N(100)
		var c Counters
		c[ViewerMS], c[MaxViewers], c[PlayedMS] = viewers*10_000, viewers, viewers*9_900+r.Int64N(10_000)
		c[PeerBytes] = viewers * (4_000_000 + r.Int64N(100_000))
		c[OriginBytes] = viewers * (1_000_000 + r.Int64N(100_000))
		c[RelayedBytes], c[WastedBytes], c[UploadedBytes] = r.Int64N(10_000_000), r.Int64N(1_000_000), c[PeerBytes]+r.Int64N(1_000_000)
		c[EgressBytes] = c[OriginBytes] + r.Int64N(10_000)
		c[Opened], c[Startups], c[StartupMS] = r.Int64N(5), 2, r.Int64N(3000)
		c[Stalls], c[StallMS], c[BufferMS], c[Reports] = r.Int64N(3), r.Int64N(2000), viewers*15_000+r.Int64N(100_000), viewers
		row.Cells = append(row.Cells, Cell{Key: Key{Presentation: fmt.Sprintf("tv.example/channel-%02d/main.m3u8", p)}, Counters: c})
	}
	return row
}

// openTest opens a history; unsynced, it is fast and does not outlive a crash.
func openTest(t *testing.T, path string, unsynced bool) *history {
	t.Helper()
	h, err := openHistory(path, 400*24*time.Hour, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	h.db.NoSync = unsynced
	t.Cleanup(func() { _ = h.close() })
	return h
}

// TestYearOfMinutes: a year of minutes of 50 presentations takes less than 500 MiB.
func TestYearOfMinutes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var rows []Row
	for m := range 60 {
		var six []Row
		for s := range 6 {
			six = append(six, busyRow(start.Add(time.Duration(m)*time.Minute+time.Duration(s)*Interval), r))
		}
		rows = append(rows, mergeRows(six[0].Time, six))
	}
	year := len(encodeRows(rows, true)) * 24 * 365 / 9 * 10 // bbolt fills nine tenths of a page
	t.Logf("%d MiB", year>>20)
	if year > 500<<20 {
		t.Errorf("a year of minutes takes %d MiB, want 500 at most", year>>20)
	}
}

// TestMerged: whatever the step, and whichever levels have the rows, the sums are those of
// what was put.
func TestMerged(t *testing.T) {
	h := openTest(t, filepath.Join(t.TempDir(), "history.db"), true)
	r := rand.New(rand.NewPCG(2, 2))
	var want Counters
	n := int64(0)
	at := start
	for ; at.Before(start.Add(3 * time.Hour)); at = at.Add(Interval) {
		row := busyRow(at, r)
		row.Cells = row.Cells[:2]
		row.Cells[0].audience = newAudience()
		row.Cells[0].audience.Insert([]byte(fmt.Sprint(n % 50)))
		row.Cells[0].startup = newStartups()
		_ = row.Cells[0].startup.Add(1000)
		n++
		for i := range row.Cells {
			want.add(&row.Cells[i].Counters)
		}
		if err := h.put(at.Add(Interval), []Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []time.Duration{Interval, time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour} {
		var got Counters
		var rows []Row
		before := time.Time{}
		err := h.scan(start, at, step, false, func(r Row) {
			if !r.Time.After(before) {
				t.Fatalf("step %s: a row of %s after one of %s", step, r.Time, before)
			}
			before = r.Time
			rows = append(rows, r)
			for i := range r.Cells {
				got.add(&r.Cells[i].Counters)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		want := want
		got[MaxViewers], want[MaxViewers] = 0, 0
		if got != want {
			t.Errorf("step %s: %v, want %v", step, got, want)
		}
		c := mergeRows(start, rows).Cells[0]
		if u := c.audience.Estimate(); u < 45 || u > 55 {
			t.Errorf("step %s: an audience of %d, want 50", step, u)
		}
		if c.startup.GetCount() != float64(n) {
			t.Errorf("step %s: %v start-ups, want %d", step, c.startup.GetCount(), n)
		}
	}
}

// TestPacked: after two days minutes are packed, and are still there by the minute.
func TestPacked(t *testing.T) {
	h := openTest(t, filepath.Join(t.TempDir(), "history.db"), true)
	var want int64
	put := func(at time.Time) {
		row := Row{Time: at, Cells: []Cell{
			{Key: Key{Presentation: "a/x"}, Counters: Counters{PeerBytes: 7}},
			{Key: Key{Presentation: "a/x", Dimension: Country, Value: "DE"}, Counters: Counters{PeerBytes: 7}},
		}}
		if err := h.put(at.Add(time.Minute), []Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 120 {
		put(start.Add(time.Duration(i) * time.Minute))
		want += 7
	}
	put(start.Add(51 * time.Hour))
	got := map[Dimension]int64{}
	rows := 0
	for _, split := range []bool{false, true} {
		err := h.scan(start, start.Add(2*time.Hour), time.Minute, split, func(r Row) {
			rows++
			for _, c := range r.Cells {
				if split == (c.Dimension == Country) {
					got[c.Dimension] += c.Counters[PeerBytes]
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got[Presentation] != want || got[Country] != want || rows != 122 {
		t.Errorf("%v in %d rows, want %d of each in 120 minutes and 2 hours", got, rows, want)
	}
}

// TestBounded: a file that is too large loses its oldest rows, and no more.
func TestBounded(t *testing.T) {
	h := openTest(t, filepath.Join(t.TempDir(), "history.db"), true)
	h.size = 1 << 20
	r := rand.New(rand.NewPCG(3, 3))
	at := start
	for range 24 * 30 {
		row := busyRow(at, r)
		at = at.Add(time.Hour)
		if err := h.put(at, []Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(h.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	newest := time.Time{}
	_ = h.scan(start, at, Interval, false, func(r Row) { newest = r.Time })
	if info.Size() > 4<<20 || !newest.Equal(at.Add(-time.Hour)) {
		t.Errorf("%d bytes, and the newest row is of %s", info.Size(), newest)
	}
}

// TestKilled: a process that is killed while it writes loses what it has not put yet.
func TestKilled(t *testing.T) {
	const env = "VIEWMESH_TEST_HISTORY"
	if path := os.Getenv(env); path != "" {
		h := openTest(t, path, false)
		r := rand.New(rand.NewPCG(4, 4))
		for i := range 100_000 {
			at := start.Add(time.Duration(i) * Interval)
			if err := h.put(at.Add(Interval), []Row{busyRow(at, r)}); err != nil {
				t.Fatal(err)
			}
			fmt.Println("put", at.Unix())
		}
		return
	}
	path := filepath.Join(t.TempDir(), "history.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), env+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var newest int64
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		if at, ok := strings.CutPrefix(lines.Text(), "put "); ok {
			fmt.Sscan(at, &newest)
			if n++; n == 200 {
				_ = cmd.Process.Kill() // it goes on writing until then
			}
		}
	}
	_ = cmd.Wait()
	h := openTest(t, path, false)
	rows, last := 0, time.Time{}
	if err := h.scan(start, start.Add(1000*time.Hour), Interval, false, func(r Row) { rows, last = rows+1, r.Time }); err != nil {
		t.Fatal(err)
	}
	if last.Unix() < newest || int64(rows) != (last.Unix()-start.Unix())/10+1 {
		t.Errorf("%d rows up to %s; %s was put", rows, last, time.Unix(newest, 0).UTC())
	}
}

// TestRestart: what an Insight has counted is there after it was closed and opened again.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	now := start
	for range 2 {
		in := stepped(Config{Log: zap.NewNop(), Now: func() time.Time { return now }, File: path})
		s := in.Open(Facts{Presentation: "a/x", Viewer: "v", Device: "tv"})
		s.Report(&signal.Report{PeerBytes: 10, StartupMS: 800}, &signal.Report{})
		now = now.Add(Interval)
		s.Close()
		in.mu.Lock()
		in.record(now)
		in.mu.Unlock()
		in.Close()
	}
	in := stepped(Config{Log: zap.NewNop(), Now: func() time.Time { return now }, File: path})
	defer in.Close()
	var sum Counters
	if err := in.rows(start.Add(-time.Hour), now, Interval, true, func(r Row) {
		for _, c := range r.Cells {
			if c.Dimension == Device && c.Value == "tv" {
				sum.add(&c.Counters)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if sum[PeerBytes] != 20 || sum[Opened] != 2 || sum[Startups] != 2 || sum[ViewerMS] != 20_000 {
		t.Errorf("%v", sum)
	}
}

// stepped makes an Insight whose rows the test makes itself, by a clock of its own.
func stepped(c Config) *Insight {
	in := New(c)
	in.timer.Stop()
	return in
}
