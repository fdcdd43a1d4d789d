// Package ask sends the HTTP requests of tests.
package ask

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Request makes a request; header are names and values in turn.
func Request(t testing.TB, method, url, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// Do sends a Request and reads the answer to its end.
func Do(t testing.TB, client *http.Client, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(Request(t, method, url, body, header...))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// From is a transport whose connections come from a source address, such as
// 127.0.0.2, and are closed at the end of the test. It takes bodies as they come.
func From(t testing.TB, source string) *http.Transport {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	transport := &http.Transport{DisableCompression: true, DialContext: d.DialContext, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
