package turn_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/viewmesh/viewmesh/internal/chromium"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// relayInPage connects two RTCPeerConnections of one page over the relay alone and
// sends 64 KiB there and back. It gives what the browser says of the way taken.
const relayInPage = `(async iceServers => {
	const make = () => new RTCPeerConnection({iceServers, iceTransportPolicy: "relay"});
	const a = make(), b = make(), errors = [];
	for (const [from, to] of [[a, b], [b, a]]) {
		from.onicecandidate = e => e.candidate && to.addIceCandidate(e.candidate);
		from.onicecandidateerror = e => errors.push(e.url + " " + e.errorCode + " " + e.errorText);
	}
	const channel = a.createDataChannel("x");
	channel.binaryType = "arraybuffer";
	b.ondatachannel = e => {
		e.channel.binaryType = "arraybuffer";
		e.channel.onmessage = m => e.channel.send(m.data);
	};
	const came = new Promise((resolve, reject) => {
		let n = 0;
		channel.onopen = () => { for (let i = 0; i < 4; i++) channel.send(new Uint8Array(16384).fill(i)); };
		channel.onmessage = m => { if ((n += m.data.byteLength) === 65536) resolve(n); };
		setTimeout(() => reject(new Error("no data in 20 s: " + a.iceConnectionState + " " + errors)), 20000);
	});
	await a.setLocalDescription(await a.createOffer());
	await b.setRemoteDescription(a.localDescription);
	await b.setLocalDescription(await b.createAnswer());
	await a.setRemoteDescription(b.localDescription);
	const bytes = await came;
	let stats, pair;
	while (!pair) { // the statistics are renewed some times a second
		stats = [...(await a.getStats()).values()];
		const selected = stats.find(s => s.type === "transport")?.selectedCandidatePairId;
		pair = stats.find(s => selected ? s.id === selected : s.type === "candidate-pair" && s.selected) // Firefox has no transport
			?? await new Promise(go => setTimeout(go, 50));
	}
	const local = stats.find(s => s.id === pair.localCandidateId), remote = stats.find(s => s.id === pair.remoteCandidateId);
	a.close();
	b.close();
	return {bytes, local: local.candidateType, remote: remote.candidateType, relayProtocol: local.relayProtocol, url: local.url};
})(%s)`

// TestBrowserOverHTTPSPort: Chromium, which may use nothing but the relay, connects
// over turns: on the port of the HTTPS site that gave it the page, by what the
// site's session answer says, and HTTP/1.1 and HTTP/2 live on that port meanwhile.
func TestBrowserOverHTTPSPort(t *testing.T) {
	e := newEdge(t)
	dir := vod(t, 100)
	write(t, dir, "index.html", "<!doctype html><title>relay</title>")
	e.loadTURN("", "", "tls internal\n root "+dir+"\n file_server")
	_, port, _ := net.SplitHostPort(e.addr)
	e.base = "https://localhost:" + port
	e.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}, Timeout: 20 * time.Second}
	browser := browserTrusting(t, e.dialTLS())

	var here []signal.ICEServer
	for _, ice := range e.openSession("/vod/index.m3u8").ICEServers {
		for _, url := range ice.URLs {
			if url == "turns:localhost:"+port+"?transport=tcp" {
				ice.URLs = []string{url}
				here = append(here, ice)
			}
		}
	}
	if len(here) != 1 {
		t.Fatal("the session does not name the relay on the HTTPS port")
	}
	servers, err := json.Marshal(here)
	if err != nil {
		t.Fatal(err)
	}
	page, cancel := context.WithTimeout(browser, time.Minute)
	defer cancel()
	if err := chromedp.Do(page, chromedp.Navigate(e.base+"/")); err != nil {
		t.Fatalf("load the page: %v", err)
	}
	type way struct {
		Bytes                             int
		Local, Remote, RelayProtocol, URL string
	}
	got, err := chromedp.Run(page, chromedp.Evaluate[way](fmt.Sprintf(relayInPage, servers), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("connect over the relay: %v", err)
	}
	if want := (way{65536, "relay", "relay", "tls", here[0].URLs[0]}); got != want {
		t.Errorf("the browser went %+v, want %+v", got, want)
	}
	st := theServer(t).Stats()
	if st.AllocationsTotal["tls"] < 2 || st.AllocationsTotal["udp"] != 0 || st.UpBytes < 2*65536 || st.DownBytes < 2*65536 {
		t.Errorf("the relay counted %+v", st)
	}
	if resp, _ := e.get("/vod/index.m3u8"); resp.Proto != "HTTP/2.0" || resp.StatusCode != http.StatusOK {
		t.Errorf("HTTP/2 on the port: %s %s", resp.Proto, resp.Status)
	}
	h := e.dialTLS("http/1.1")
	fmt.Fprintf(h, "GET /vod/index.m3u8 HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n", port)
	if b, err := io.ReadAll(h); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("HTTP/1.1 on the port: %.100s (%v)", b, err)
	}
}

// browserTrusting starts Chromium, which takes the certificate of conn, and no other,
// as good: it checks those of TURN servers as it does those of pages.
func browserTrusting(t *testing.T, conn *tls.Conn) context.Context {
	t.Helper()
	key := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return chromium.Start(t, "browsers use the relay on the HTTPS port",
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:])))
}
