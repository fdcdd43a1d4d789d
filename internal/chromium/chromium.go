// Package chromium starts the browser that tests drive.
package chromium

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/viewmesh/viewmesh/internal/program"
)

// Start starts Chromium without a window, and returns the context for its tabs; it
// ends with the test. Where Chromium is missing the test is skipped with what it
// shows, or fails with VIEWMESH_CI=1.
func Start(t testing.TB, shows string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	browser, stop := Launch(t, t.Context(), shows, more...)
	t.Cleanup(stop)
	return browser
}

// Launch is Start for a browser that several tests share: it ends with ctx, or when
// stop is called.
func Launch(t testing.TB, ctx context.Context, shows string, more ...chromedp.ExecAllocatorOption) (browser context.Context, stop func()) {
	t.Helper()
	path := program.Need(t, "shows that "+shows, "chromium", "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"), chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("disable-component-update", true))
	allocator, stopAllocator := chromedp.NewExecAllocator(ctx, append(options, more...)...)
	browser, closeBrowser := chromedp.NewContext(allocator)
	stop = func() {
		closeBrowser()
		stopAllocator()
	}
	if err := chromedp.Do(browser); err != nil {
		stop()
		t.Fatalf("start %s: %v", path, err)
	}
	return browser, stop
}

// Complaints collects what the console of a tab says from now on that is a
// warning, an error or an exception. lines may be called at any time.
func Complaints(tab context.Context) (lines func() []string) {
	var mu sync.Mutex
	var all []string
	messages := chromedp.Console(tab)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			switch m.Type {
			case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
				mu.Lock()
				all = append(all, strings.TrimSpace(m.String()+" "+m.URL))
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}
