package signal

import (
	"reflect"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestPassed: what is read without being decoded says what Decode says, and all else is left to
// Decode.
func TestPassed(t *testing.T) {
	for _, frame := range []string{
		`{"type":"offer","to":"0000000000000007","connection":"c","sdp":"v=0\r\n"}`,
		`{"sdp":"v=0","connection":"c/restart","to":"0123456789abcdef","type":"answer"}`,
	} {
		var p Passed
		if !p.Read([]byte(frame)) {
			t.Errorf("%s is not read", frame)
			continue
		}
		m, err := Decode([]byte(frame))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode([]byte(string(p.AppendFrom(nil, 9)) + string(p.SDP) + `"}`))
		from := wire.PeerID(9)
		m.To, m.From = nil, &from
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s becomes %+v, %v, want %+v", frame, got, err, m)
		}
	}
	for _, frame := range []string{
		``, `{`, `{}`, `[]`, `{"type":"offer"}`, `{"type":"offer","to":"0000000000000007","connection":"c"}`,
		`{"type":"candidate","to":"0000000000000007","connection":"c","sdp":"v"}`,
		`{"type":"offer","to":"7","connection":"c","sdp":"v"}`,
		`{"type":"offer","to":"0000000000000007","connection":"","sdp":"v"}`,
		`{"type":"offer","to":"0000000000000007","connection":"c","sdp":"\u000a"}`,
		`{"type":"offer","to":"0000000000000007","connection":"c","sdp":"v","sdp":"w"}`,
		`{"type":"offer","to":"0000000000000007","connection":"c","sdp":"v"}}`,
		`{"type":"offer","to":"0000000000000007","connection":"c","sdp":"v",}`,
		`{"type":"offer","to":"0000000000000007","connection":"c\n","sdp":"v"}`,
		`{"type":"offer","to":"0000000000000007","connection":"c","sdp":"v","x":"y"}`,
	} {
		if new(Passed).Read([]byte(frame)) {
			t.Errorf("%s is read", frame)
		}
	}
}
