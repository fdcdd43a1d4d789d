package turn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/program"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// firefoxPrefs let Firefox connect over loopback, and have it ask nobody else for anything.
const firefoxPrefs = `user_pref("media.peerconnection.ice.loopback", true);
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

// TestFirefoxOverTheRelay: Firefox, which may use nothing but the relay, connects over
// UDP and over TCP by what the session answer says. It is not driven: the page tells how
// it went.
func TestFirefoxOverTheRelay(t *testing.T) {
	path := program.Need(t, "shows that browsers of another make use the relay", "firefox-esr", "firefox-esr", "firefox")
	e := newEdge(t)
	e.load("mesh {\n turn {\n listen udp/127.0.0.1:0 tcp/127.0.0.1:0\n relay_address 127.0.0.1\n allow_peers 127.0.0.0/8\n }\n }",
		"mesh\n root "+vod(t, 100)+"\n file_server")
	told := make(chan string, 1)
	script := "let told = {};\n"
	ways := map[string]string{}
	for _, ice := range e.openSession("/vod/index.m3u8").ICEServers {
		for _, url := range ice.URLs {
			if !strings.HasPrefix(url, "turn:") {
				continue
			}
			_, transport, _ := strings.Cut(url, "?transport=")
			ways[transport] = url
			servers, err := json.Marshal([]signal.ICEServer{{URLs: []string{url}, Username: ice.Username, Credential: ice.Credential}})
			if err != nil {
				t.Fatal(err)
			}
			script += fmt.Sprintf("told.%s = await %s.catch(e => ({error: String(e)}));\n", transport, fmt.Sprintf(relayInPage, servers))
		}
	}
	if len(ways) != 2 {
		t.Fatalf("the session names %v", ways)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			b, _ := io.ReadAll(r.Body)
			told <- string(b)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!doctype html><script type=module>\n%s\nawait fetch('/told', {method: 'POST', body: JSON.stringify(told)});</script>", script)
	}))
	defer site.Close()
	profile := t.TempDir()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxPrefs), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	firefox := exec.CommandContext(ctx, path, "--headless", "--no-remote", "--profile", profile, site.URL)
	firefox.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	var out bytes.Buffer
	firefox.Stdout, firefox.Stderr = &out, &out
	firefox.Cancel = func() error { return firefox.Process.Signal(os.Interrupt) }
	firefox.WaitDelay = 10 * time.Second
	if err := firefox.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- firefox.Wait() }()
	var answer string
	select {
	case answer = <-told:
		cancel()
		<-ended
	case err := <-ended:
		cancel()
		t.Fatalf("Firefox ended (%v) before the page told anything:\n%s", err, out.Bytes())
	}
	type way struct {
		Bytes                             int
		Local, Remote, RelayProtocol, URL string
		Error                             string
	}
	var got map[string]way
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	for transport := range ways {
		if w := got[transport]; w.Error != "" || w.Bytes != 65536 || w.Local != "relay" || w.Remote != "relay" || w.RelayProtocol != transport {
			t.Errorf("over %s: %+v", transport, w)
		}
	}
	if st := theServer(t).Stats(); st.AllocationsTotal["udp"] < 2 || st.AllocationsTotal["tcp"] < 2 || st.UpBytes < 4*65536 {
		t.Errorf("the relay counted %+v", st)
	}
}
