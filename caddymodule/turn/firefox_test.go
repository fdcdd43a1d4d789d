package turn_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/firefox"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestFirefoxOverTheRelay: Firefox, which may use nothing but the relay, connects over
// UDP, over TCP and over TLS on the site's port by what the session answer says. It is not
// driven: the page tells how it went.
func TestFirefoxOverTheRelay(t *testing.T) {
	path := firefox.Need(t, "browsers of another make use the relay")
	e := newEdge(t)
	e.loadTURN("listen tcp/127.0.0.1:0", "", "tls internal\n root "+vod(t, 100)+"\n file_server")
	_, port, _ := net.SplitHostPort(e.addr)
	e.base = "https://localhost:" + port
	e.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 20 * time.Second}
	cert := e.dialTLS().ConnectionState().PeerCertificates[0]
	told := make(chan string, 1)
	script := "let told = {};\n"
	ways := map[string]string{}
	for _, ice := range e.openSession("/vod/index.m3u8").ICEServers {
		for _, url := range ice.URLs {
			scheme, transport, _ := strings.Cut(url, ":")
			_, transport, _ = strings.Cut(transport, "?transport=")
			switch {
			case url == "turns:localhost:"+port+"?transport=tcp":
				transport = "tls"
			case scheme != "turn":
				continue
			}
			ways[transport] = url
			servers, err := json.Marshal([]signal.ICEServer{{URLs: []string{url}, Username: ice.Username, Credential: ice.Credential}})
			if err != nil {
				t.Fatal(err)
			}
			script += fmt.Sprintf("told.%s = await %s.catch(e => ({error: String(e)}));\n", transport, fmt.Sprintf(relayInPage, servers))
		}
	}
	if len(ways) != 3 {
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
	ended, said := firefox.Open(t, path, site.URL, map[string]*x509.Certificate{"localhost:" + port: cert})
	var answer string
	select {
	case answer = <-told:
	case <-ended:
		t.Fatalf("Firefox ended before the page told anything:\n%s", said.Bytes())
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
	if st := theServer(t).Stats(); st.AllocationsTotal["udp"] < 2 || st.AllocationsTotal["tcp"] < 2 || st.AllocationsTotal["tls"] < 2 || st.UpBytes < 6*65536 {
		t.Errorf("the relay counted %+v", st)
	}
}
