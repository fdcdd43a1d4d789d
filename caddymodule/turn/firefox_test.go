package turn_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/internal/firefox"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestFirefoxOverTheRelay: Firefox, which may use nothing but the relay, connects over
// UDP and over TCP by what the session answer says. It is not driven: the page tells how
// it went.
func TestFirefoxOverTheRelay(t *testing.T) {
	path := firefox.Need(t, "browsers of another make use the relay")
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
	ended, said := firefox.Open(t, path, site.URL)
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
	if st := theServer(t).Stats(); st.AllocationsTotal["udp"] < 2 || st.AllocationsTotal["tcp"] < 2 || st.UpBytes < 4*65536 {
		t.Errorf("the relay counted %+v", st)
	}
}
