package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/program"
)

// prefs make Firefox play and connect over loopback without being asked, and ask
// nobody else for anything.
const prefs = `user_pref("media.autoplay.default", 0);
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("app.update.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.getAddons.cache.enabled", false);
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "");
user_pref("toolkit.telemetry.enabled", false);
`

// TestFirefox: Firefox with hls.js is in one swarm with reference peers; they
// give to each other. It is not driven: the page says how it goes.
func TestFirefox(t *testing.T) {
	path := program.Need(t, "shows that browsers of another make are peers", "firefox-esr", "firefox-esr", "firefox")
	e := startEdge(t, options{site: withPlayers(npmFolder(t))})
	goPeers(t, e, 2)
	profile := t.TempDir()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	told.Store([]byte("{}"))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	firefox := exec.CommandContext(ctx, path, "--headless", "--no-remote", "--profile", profile, e.url("/hls.html?tell&src=/live/v0/index.m3u8"))
	firefox.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	var out bytes.Buffer
	firefox.Stdout, firefox.Stderr = &out, &out
	firefox.Cancel = func() error { return firefox.Process.Signal(os.Interrupt) }
	firefox.WaitDelay = 10 * time.Second
	if err := firefox.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = firefox.Wait() // ended by cancel
	})
	var page struct {
		Played    float64
		Waits     int
		Error     string
		Faults    []string
		Neighbors []struct{ Received, Given int64 }
	}
	enough := func() bool {
		b := told.Load().([]byte)
		if err := json.Unmarshal(b, &page); err != nil {
			t.Fatalf("the page says %s: %v", b, err)
		}
		var received, given int64
		for _, n := range page.Neighbors {
			received += n.Received
			given += n.Given
		}
		return page.Played > 15 && received > 0 && given > 0
	}
	for end := time.Now().Add(90 * time.Second); !enough(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 90 s: 15 s played, bytes given and taken; the page says %s; Firefox says:\n%s", told.Load(), out.Bytes())
		}
	}
	t.Logf("the page says %s", told.Load())
	if page.Error != "" || len(page.Faults) > 0 || page.Waits > 1 { // one may be that of a busy machine
		t.Errorf("the page says %s", told.Load())
	}
}
