package insight

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/internal/chromium"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// hostile is what a viewer may call itself.
const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

// audience has an Insight with an hour of viewers, by a clock of its own.
func audience(t *testing.T, viewers int) *Insight {
	t.Helper()
	var now atomic.Int64
	now.Store(time.Now().Add(-time.Hour).UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	var egress int64
	in := stepped(Config{Log: zap.NewNop(), Now: clock, Sample: func(m *Meters) { m.Egress("tv.example/channel-0/main.m3u8", egress) }})
	t.Cleanup(in.Close)
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(of ...string) string { return of[min(r.IntN(len(of)), r.IntN(len(of)))] }
	type viewer struct {
		*Session
		signal.Report
		offload float64
	}
	var all []*viewer
	for tick := range 360 {
		for len(all) < viewers*min(tick+30, 200)/200 {
			i := len(all)
			label := pick("home", "app", "embed")
			if i == 0 {
				label = hostile
			}
			s := in.Open(Facts{
				ID: fmt.Sprintf("%016x", r.Uint64()), Presentation: fmt.Sprintf("tv.example/channel-%d/main.m3u8", min(r.IntN(12), r.IntN(12))), Viewer: fmt.Sprint(i),
				Country: pick("DE", "FR", "AT", "PL", "IT", "NL", "ES"), ASN: pick("AS3320", "AS3209", "AS6805", "AS5511", "AS8447", "AS12322"),
				Device: pick("desktop", "mobile", "tv"), Connection: pick("wifi", "", "ethernet", "cellular"), Player: pick("hls.js", "shaka", "dash.js"), Label: label,
			})
			s.Announce(&signal.Announcement{Live: true, Rendition: "v1"})
			all = append(all, &viewer{s, signal.Report{StartupMS: 300 + int64(r.ExpFloat64()*600)}, 0.5 + 0.45*r.Float64()})
		}
		for i, v := range all {
			if i%100 == 7 && r.IntN(8) == 0 {
				v.Stalls, v.StallMS = v.Stalls+1, v.StallMS+int64(r.IntN(4000))
			}
			v.PlayedMS += 10_000
			got := 5_000_000 + r.Int64N(500_000)
			peers := int64(float64(got) * v.offload * min(1, float64(tick+40)/100))
			v.PeerBytes, v.OriginBytes, v.RelayedBytes = v.PeerBytes+peers, v.OriginBytes+got-peers, v.RelayedBytes+peers/25
			egress += got - peers
			v.Session.Report(&v.Report, &signal.Report{BufferMS: 8000 + r.Int64N(10_000), Neighbors: 4 + r.Int64N(12)})
		}
		now.Add(int64(Interval))
		in.mu.Lock()
		in.record(clock())
		in.mu.Unlock()
	}
	return in
}

// serveDashboardOf serves the dashboard of an Insight as an edge does, to whom access admits.
func serveDashboardOf(t *testing.T, in *Insight, access Access) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/mesh/")
		if data, ok := strings.CutPrefix(name, "data/"); ok {
			if !access.Admits(r, nil, "", time.Now()) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if _, err := in.Serve(w, r, "", data); err != nil {
				t.Error(err)
			}
		} else if !ServeDashboard(w, r, name) {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// TestDashboard: the page shows what the API says, for nobody, a few and 10,000 viewers, on three
// sizes of screens in dark and light; what viewers call themselves is text. With
// VIEWMESH_SCREENSHOTS the pictures go into that directory.
func TestDashboard(t *testing.T) {
	browser := chromium.Start(t, "opens the dashboard")
	for name, viewers := range map[string]int{"empty": 0, "small": 6, "large": 10_000} {
		in := audience(t, viewers)
		srv := serveDashboardOf(t, in, Access{Token: "open sesame"})
		for _, screen := range []struct {
			name          string
			width, height int64
			dark          string
		}{{"desktop", 1280, 1000, "light"}, {"tablet", 820, 1180, "dark"}, {"phone", 390, 844, "light"}} {
			tab, done := chromedp.NewContext(browser)
			complaints := chromium.Complaints(tab)
			dark := fmt.Sprintf(`matchMedia("(prefers-color-scheme: dark)").matches === %v`, screen.dark == "dark")
			if err := chromedp.Do(tab, chromedp.EmulateViewport(screen.width, screen.height)); err != nil {
				t.Fatal(err)
			}
			_, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.dark}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(tab, chromedp.Navigate(srv.URL+"/mesh/dashboard#key=open%20sesame")); err != nil {
				t.Fatal(err)
			}
			show := func(expression string) {
				t.Helper()
				if _, err := chromedp.Run(tab, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
					now, _ := chromedp.Run(tab, chromedp.Evaluate[string](`document.body.innerText`))
					t.Fatalf("%s on a %s: %s did not come true: %v; the page says:\n%s", name, screen.name, expression, err, now)
				}
			}
			text := func(expression string) string {
				t.Helper()
				s, err := chromedp.Run(tab, chromedp.Evaluate[string](expression))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			show(dark + ` && document.querySelectorAll("#tiles .tile").length === 6 && !!document.querySelector("#live.on")`)
			verdict, tiles := text(`document.getElementById("verdict").innerText`), text(`document.getElementById("tiles").innerText`)
			paint := text(`String(Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0))`)
			wide := text(`String(document.documentElement.scrollWidth - innerWidth)`)
			shot, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			text(`[...document.querySelectorAll("#splits button")].find((b) => b.textContent === "Labels").click(), ""`)
			show(`document.querySelector("#groups th").textContent === "Labels"`)
			groups, title := text(`document.getElementById("groups").innerText`), text(`document.title`)
			t.Logf("%s on a %s: first paint after %s ms; %s", name, screen.name, paint, verdict)
			if title != "Mesh" || viewers > 0 && !strings.Contains(groups, "<script>") {
				t.Errorf("%s on a %s: the title is %q, the labels are %q", name, screen.name, title, groups)
			}
			if wide != "0" {
				t.Errorf("%s on a %s: the page is %s px too wide", name, screen.name, wide)
			}
			if viewers > 0 && !strings.Contains(verdict, "Peers deliver") || viewers == 0 && !strings.Contains(verdict, "Nobody has watched") {
				t.Errorf("%s: %q", name, verdict)
			}
			if viewers == 10_000 && !strings.Contains(tiles, "10,000") {
				t.Errorf("%s: %q", name, tiles)
			}
			for _, line := range complaints() {
				t.Errorf("%s on a %s: the console says %s", name, screen.name, line)
			}
			if dir := os.Getenv("VIEWMESH_SCREENSHOTS"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, name+"-"+screen.name+".png"), shot, 0o600); err != nil {
					t.Error(err)
				}
			}
			done()
		}
	}
}
