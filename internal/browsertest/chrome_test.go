package browsertest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/viewmesh/viewmesh/internal/chromium"
)

// shared is the Chromium of all tests of the package.
var shared struct {
	browser context.Context
	stop    func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	os.Exit(code)
}

// startBrowser returns the Chromium of the package, which the first test starts. Its
// pages may connect over loopback and each count as one that a viewer looks at.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	if shared.browser == nil {
		shared.browser, shared.stop = chromium.Launch(t, context.Background(), "browsers are peers", chromedp.Flag("disable-features", "WebRtcHideLocalIpsWithMdns"),
			chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
			chromedp.Flag("disable-backgrounding-occluded-windows", true))
	}
	return shared.browser
}

// page is one viewer: a tab with a profile of its own, so that pages share no
// cache and no worker.
type page struct {
	t    *testing.T
	name string
	ctx  context.Context

	complaints func() []string // of the console
	begun      float64         // the playhead when each page of watch had played ten seconds, 0 for short plays
}

// open opens a page of the edge; the scripts run before its own.
func open(t *testing.T, browser context.Context, name, url string, before ...string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &page{t: t, name: name, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	p.complaints = chromium.Complaints(ctx)
	for _, script := range before {
		if _, err := chromedp.Call(ctx, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

// leave goes to another page.
func (p *page) leave(url string) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// quiet says what the console said, and fails the test if it was anything.
func (p *page) quiet() {
	p.t.Helper()
	if lines := p.complaints(); len(lines) > 0 {
		p.t.Errorf("%s: the console says:\n%s", p.name, strings.Join(lines, "\n"))
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
		state, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`JSON.stringify(globalThis.look?.() ?? {})`))
		p.t.Fatalf("%s: %s did not come within %v: %v; the page: %s; the console:\n%s", p.name, what, within, err, state, strings.Join(p.complaints(), "\n"))
	}
}
