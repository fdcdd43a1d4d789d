package browsertest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// startBrowser starts Chromium without a window, or skips with its name where it
// is missing.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("VIEWMESH_CI") == "1" {
			t.Fatal("Chromium is not installed, and VIEWMESH_CI=1 asks for it (Debian: apt-get install chromium)")
		}
		t.Skip("Chromium is not installed; it shows that browsers are peers (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-features", "WebRtcHideLocalIpsWithMdns"), chromedp.Flag("disable-component-update", true),
		// Each page counts as one that a viewer looks at.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser
}

// page is one viewer: a tab with a profile of its own, so that pages share no
// cache and no worker.
type page struct {
	t    *testing.T
	name string
	ctx  context.Context

	mu    sync.Mutex
	lines []string // warnings, errors and exceptions of the console
}

// open opens a page of the edge.
func open(t *testing.T, browser context.Context, name, url string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &page{t: t, name: name, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			switch m.Type {
			case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
				p.mu.Lock()
				p.lines = append(p.lines, m.String())
				p.mu.Unlock()
			}
		}
	}()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

// quiet says what the console said, and fails the test if it was anything.
func (p *page) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) > 0 {
		p.t.Errorf("%s: the console says:\n%s", p.name, strings.Join(p.lines, "\n"))
	}
}

// eval gives the value of a JavaScript expression.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, expression, err)
	}
	return v
}

// until waits until a JavaScript expression is true.
func (p *page) until(what, expression string, within time.Duration) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(within))); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		state, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`JSON.stringify(globalThis.look?.() ?? {})`))
		p.t.Fatalf("%s: %s did not come within %v: %v; the page: %s; the console:\n%s", p.name, what, within, err, state, strings.Join(p.lines, "\n"))
	}
}
