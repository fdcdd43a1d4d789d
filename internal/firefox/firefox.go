// Package firefox opens pages of tests in Firefox, which nobody drives: a page tells the
// test's own server how it goes.
package firefox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// Need returns the path of Firefox. Where it is missing the test is skipped with what it
// shows, or fails with VIEWMESH_CI=1.
func Need(t testing.TB, shows string) (path string) {
	t.Helper()
	return program.Need(t, "shows that "+shows, "firefox-esr", "firefox-esr", "firefox")
}

// Open opens a page without a window, in a fresh profile, until the test ends or three
// minutes have passed. ended is closed when Firefox has ended, and said is what it wrote
// until then. It takes the certificates of trusted, by "host:port", as good there.
func Open(t testing.TB, path, page string, trusted map[string]*x509.Certificate) (ended <-chan struct{}, said *bytes.Buffer) {
	t.Helper()
	profile := t.TempDir()
	overrides := "" // as if the user had clicked through the warning
	for at, cert := range trusted {
		overrides += fmt.Sprintf("%s:\tOID.2.16.840.1.101.3.4.2.1\t% X\t\n", at, sha256.Sum256(cert.Raw))
	}
	for name, content := range map[string]string{"user.js": prefs, "cert_override.txt": strings.ReplaceAll(overrides, " ", ":")} {
		if err := os.WriteFile(filepath.Join(profile, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	firefox := exec.CommandContext(ctx, path, "--headless", "--no-remote", "--profile", profile, page)
	firefox.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	said = new(bytes.Buffer)
	firefox.Stdout, firefox.Stderr = said, said
	firefox.Cancel = func() error { return firefox.Process.Signal(os.Interrupt) }
	firefox.WaitDelay = 10 * time.Second
	if err := firefox.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = firefox.Wait() // ended by cancel
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return done, said
}
