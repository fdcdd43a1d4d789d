package signal

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

var repeats = regexp.MustCompile(`\{\{(.)\*(\d+)\}\}`)

// expand writes out {{p*3}} as ppp, so that long fields stay readable.
func expand(s string) string {
	return repeats.ReplaceAllStringFunc(s, func(r string) string {
		p := repeats.FindStringSubmatch(r)
		n, _ := strconv.Atoi(p[2])
		return strings.Repeat(p[1], n)
	})
}

// frames is what an edge or a peer may be sent; code is what Code says of the
// error, empty where the frame is good.
var frames = []struct{ name, frame, code string }{
	{"hello", `{"type":"hello","pass":"eyJ.a.b"}`, ""},
	{"hello with the longest pass", `{"type":"hello","pass":"{{p*2048}}"}`, ""},
	{"hello without a pass", `{"type":"hello"}`, "bad_field"},
	{"hello with a pass over the limit", `{"type":"hello","pass":"{{p*2049}}"}`, "bad_field"},
	{"welcome", `{"type":"welcome","announce_ms":60000,"report_ms":10000}`, ""},
	{"announce", `{"type":"announce","rendition":"/live/v0/index.m3u8","live":true,"position_ms":12000,"neighbors":3,"want":20,"upload":true,"uplink_bps":20000000,"failed":["00000000000000a1"]}`, ""},
	{"announce of nothing", `{"type":"announce"}`, ""},
	{"announce that wants the most", `{"type":"announce","want":64}`, ""},
	{"announce that wants too many", `{"type":"announce","want":65}`, "bad_field"},
	{"announce that wants fewer than none", `{"type":"announce","want":-1}`, "bad_field"},
	{"announce with negative neighbors", `{"type":"announce","neighbors":-1}`, "bad_field"},
	{"announce with a negative uplink", `{"type":"announce","uplink_bps":-1}`, "bad_field"},
	{"announce with a negative position", `{"type":"announce","position_ms":-1}`, "bad_field"},
	{"announce with the longest rendition", `{"type":"announce","rendition":"{{r*256}}"}`, ""},
	{"announce with a rendition over the limit", `{"type":"announce","rendition":"{{r*257}}"}`, "bad_field"},
	{"announce with a control character", `{"type":"announce","rendition":"a\u0001"}`, "bad_field"},
	{"announce with words for numbers", `{"type":"announce","want":"many"}`, "bad_field"},
	{"announce with half a peer", `{"type":"announce","want":1.5}`, "bad_field"},
	{"announce with a number over 64 bits", `{"type":"announce","uplink_bps":9223372036854775808}`, "bad_field"},
	{"announce with an id that is too short", `{"type":"announce","failed":["a1"]}`, "bad_field"},
	{"announce with an id that is a number", `{"type":"announce","failed":[1]}`, "bad_field"},
	{"announce with an id that is not hexadecimal", `{"type":"announce","failed":["00000000000000zz"]}`, "bad_field"},
	{"peers", `{"type":"peers","peers":[{"id":"00000000000000a1","rendition":"v0","upload":true,"initiate":true}],"duty":{"rank":1,"of":2,"fetchers":1},"swarm_size":3}`, ""},
	{"peers where the origin is scarce", `{"type":"peers","swarm_size":40,"origin_wait_ms":1500}`, ""},
	{"peers with a wait that is a word", `{"type":"peers","origin_wait_ms":"long"}`, "bad_field"},
	{"peers with nobody", `{"type":"peers","swarm_size":1}`, ""},
	{"peers with a rank over its group", `{"type":"peers","duty":{"rank":2,"of":2,"fetchers":1}}`, "bad_field"},
	{"peers with a negative rank", `{"type":"peers","duty":{"rank":-1,"of":2,"fetchers":1}}`, "bad_field"},
	{"peers with an empty group", `{"type":"peers","duty":{"rank":0,"of":0,"fetchers":1}}`, "bad_field"},
	{"peers with negative fetchers", `{"type":"peers","duty":{"rank":0,"of":1,"fetchers":-1}}`, "bad_field"},
	{"offer to", `{"type":"offer","to":"00000000000000a1","connection":"c1","sdp":"v=0\r\n"}`, ""},
	{"offer from", `{"type":"offer","from":"00000000000000a1","connection":"c1","sdp":"v=0\r\n"}`, ""},
	{"offer with the longest description", `{"type":"offer","to":"00000000000000a1","connection":"c1","sdp":"{{s*32768}}"}`, ""},
	{"offer with a description over the limit", `{"type":"offer","to":"00000000000000a1","connection":"c1","sdp":"{{s*32769}}"}`, "bad_field"},
	{"offer with a description that grows as JSON", `{"type":"offer","to":"00000000000000a1","connection":"c1","sdp":"{{` + "\u2028" + `*10000}}"}`, "bad_field"},
	{"offer to nobody", `{"type":"offer","connection":"c1","sdp":"v=0\r\n"}`, "bad_field"},
	{"offer to a number", `{"type":"offer","to":161,"connection":"c1","sdp":"v=0\r\n"}`, "bad_field"},
	{"offer without a connection", `{"type":"offer","to":"00000000000000a1","sdp":"v=0\r\n"}`, "bad_field"},
	{"offer with a connection over the limit", `{"type":"offer","to":"00000000000000a1","connection":"{{c*257}}","sdp":"v=0\r\n"}`, "bad_field"},
	{"offer without a description", `{"type":"offer","to":"00000000000000a1","connection":"c1"}`, "bad_field"},
	{"answer", `{"type":"answer","to":"00000000000000a1","connection":"c1","sdp":"v=0\r\n"}`, ""},
	{"answer without a description", `{"type":"answer","to":"00000000000000a1","connection":"c1"}`, "bad_field"},
	{"candidate", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}`, ""},
	{"the end of candidates", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":""}}`, ""},
	{"candidate with null fields", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":"","sdpMid":null,"sdpMLineIndex":null,"usernameFragment":null}}`, ""},
	{"candidate without one", `{"type":"candidate","to":"00000000000000a1","connection":"c1"}`, "bad_field"},
	{"ping", `{"type":"ping"}`, ""},
	{"pong", `{"type":"pong"}`, ""},
	{"refuse", `{"type":"refuse","to":"00000000000000a1","connection":"c1"}`, ""},
	{"refuse without a connection", `{"type":"refuse","to":"00000000000000a1"}`, "bad_field"},
	{"candidate over the limit", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":"{{c*2049}}"}}`, "bad_field"},
	{"candidate with a mid over the limit", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":"","sdpMid":"{{m*257}}"}}`, "bad_field"},
	{"candidate with a fragment over the limit", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":"","usernameFragment":"{{u*257}}"}}`, "bad_field"},
	{"candidate with a line over 16 bits", `{"type":"candidate","to":"00000000000000a1","connection":"c1","candidate":{"candidate":"","sdpMLineIndex":65536}}`, "bad_field"},
	{"report", `{"type":"report","report":{"peer_bytes":9007199254740992,"origin_bytes":1,"startup_ms":300,"neighbors":4}}`, ""},
	{"report without one", `{"type":"report"}`, "bad_field"},
	{"report of less than nothing", `{"type":"report","report":{"stall_ms":-1}}`, "bad_field"},
	{"report over 2^53", `{"type":"report","report":{"peer_bytes":9007199254740993}}`, "bad_field"},
	{"complain", `{"type":"complain","peer":"00000000000000a1","segment":"fedcba9876543210","reason":"digest"}`, ""},
	{"complain of nobody", `{"type":"complain","reason":"digest"}`, "bad_field"},
	{"complain with a reason over the limit", `{"type":"complain","peer":"00000000000000a1","reason":"{{r*257}}"}`, "bad_field"},
	{"complain of half a segment", `{"type":"complain","peer":"00000000000000a1","segment":"fedc"}`, "bad_field"},
	{"renew", `{"type":"renew"}`, ""},
	{"pass", `{"type":"pass","pass":"eyJ.a.b","expires_ms":600000,"ice_servers":[{"urls":["turn:192.0.2.1:3478"],"username":"u","credential":"c"}]}`, ""},
	{"pass without one", `{"type":"pass","expires_ms":600000}`, "bad_field"},
	{"drop", `{"type":"drop","peer":"00000000000000a1","reason":"left"}`, ""},
	{"drop of nobody", `{"type":"drop"}`, "bad_field"},
	{"leave", `{"type":"leave"}`, ""},
	{"reconnect", `{"type":"reconnect","after_ms":1500}`, ""},
	{"error", `{"type":"error","code":"silent","detail":"no message for too long"}`, ""},
	{"error with a code over the limit", `{"type":"error","code":"{{c*257}}"}`, "bad_field"},
	{"an unknown field", `{"type":"leave","new":{"a":[1,2]}}`, ""},
	{"white space around", " \r\n{ \"type\" : \"leave\" }\n", ""},
	{"an unknown type", `{"type":"gossip"}`, "unknown_type"},
	{"a type of other case", `{"type":"Leave"}`, "unknown_type"},
	{"a very long type", `{"type":"{{t*9999}}"}`, "unknown_type"},
	{"no type", `{}`, "unknown_type"},
	{"a null type", `{"type":null}`, "unknown_type"},
	{"a type that is a number", `{"type":1}`, "bad_field"},
	{"nothing", ``, "bad_json"},
	{"white space", ` `, "bad_json"},
	{"no JSON", `hello`, "bad_json"},
	{"half an object", `{"type":"leave"`, "bad_json"},
	{"two objects", `{"type":"leave"}{"type":"leave"}`, "bad_json"},
	{"an object and more", `{"type":"leave"} x`, "bad_json"},
	{"null", `null`, "bad_json"},
	{"a string", `"leave"`, "bad_json"},
	{"a number", `1`, "bad_json"},
	{"an array", `[{"type":"leave"}]`, "bad_json"},
	{"the largest frame", `{"type":"leave","new":"{{n*65511}}"}`, ""},
	{"a frame over the limit", `{"type":"leave","new":"{{n*65512}}"}`, "too_large"},
	{"very deep JSON", `{{[*20000}}`, "bad_json"},
}

func TestDecode(t *testing.T) {
	for _, c := range frames {
		m, err := Decode([]byte(expand(c.frame)))
		switch {
		case c.code == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.code != "" && (err == nil || Code(err) != c.code):
			t.Errorf("%s: error %v, want one of code %s", c.name, err, c.code)
		case err != nil && len(err.Error()) > 400:
			t.Errorf("%s: the error repeats %d bytes of what was sent", c.name, len(err.Error()))
		case err == nil:
			again, err := Decode(Encode(&m))
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Errorf("%s: came back as %+v, %v", c.name, again, err)
			}
		}
	}
}

// TestErrorsNameTheField: the sender of a bad frame reads which field it was.
func TestErrorsNameTheField(t *testing.T) {
	for frame, field := range map[string]string{
		`{"type":"announce","want":"many"}`:             "want is a JSON string",
		`{"type":"announce","want":65}`:                 "want is 65",
		`{"type":"report","report":{"stalls":"two"}}`:   "report.stalls is a JSON string",
		`{"type":"offer","to":"00000000000000a1"}`:      "connection is missing",
		`{"type":"peers","duty":[]}`:                    "duty is a JSON array, want an object",
		`{"type":"offer","to":161}`:                     "to is a JSON number, want a string of 16 hexadecimal digits",
		`{"type":"announce","rendition":"\u0000"}`:      "rendition",
		`{"type":"candidate","candidate":{"sdpMid":1}}`: "candidate.sdpMid",
	} {
		_, err := Decode([]byte(frame))
		if !errors.Is(err, ErrField) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error %v, want one with %q", frame, err, field)
		}
	}
}

// TestVeryDeepField: encoding/json stops at 10,000 levels. It is no vector, since
// JavaScript goes deeper, within the size of a frame.
func TestVeryDeepField(t *testing.T) {
	if _, err := Decode([]byte(expand(`{"type":"leave","new":{{[*20000}}{{]*20000}}}`))); !errors.Is(err, ErrJSON) {
		t.Errorf("error %v, want %v", err, ErrJSON)
	}
}

func TestCodes(t *testing.T) {
	for err, want := range map[error]string{ErrTooLarge: "too_large", ErrJSON: "bad_json", ErrType: "unknown_type", ErrField: "bad_field"} {
		if got := Code(fmt.Errorf("frame: %w", err)); got != want {
			t.Errorf("Code(%v) = %s, want %s", err, got, want)
		}
	}
}

func TestListLimits(t *testing.T) {
	ids := func(n int) []wire.PeerID {
		l := make([]wire.PeerID, n)
		for i := range l {
			l[i] = wire.PeerID(i)
		}
		return l
	}
	infos := make([]PeerInfo, MaxPeers+1)
	for _, c := range []struct {
		name string
		m    Message
		ok   bool
	}{
		{"the most failed", Message{Type: Announce, Announcement: &Announcement{Failed: ids(MaxFailed)}}, true},
		{"too many failed", Message{Type: Announce, Announcement: &Announcement{Failed: ids(MaxFailed + 1)}}, false},
		{"the most peers", Message{Type: Peers, Peers: infos[:MaxPeers]}, true},
		{"too many peers", Message{Type: Peers, Peers: infos}, false},
	} {
		if _, err := Decode(Encode(&c.m)); (err == nil) != c.ok || (!c.ok && !errors.Is(err, ErrField)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestForwardedFits: the edge decodes an offer, sets from and encodes it again.
// However hostile the description, the receiver's Decode must not refuse the frame.
func TestForwardedFits(t *testing.T) {
	from := wire.PeerID(0xa1)
	for name, c := range map[string]string{
		"angle brackets":     `{{<*32768}}`,
		"line separators":    "{{\u2028*8000}}",
		"control characters": strings.Repeat(`\u0001`, 8000),
		"quotes":             strings.Repeat(`\"`, 16384),
		"broken UTF-8":       strings.Repeat("\xff", 10000),
		"new lines":          strings.Repeat(`\n`, 16384),
	} {
		m, err := Decode([]byte(expand(`{"type":"offer","to":"00000000000000a1","connection":"` + strings.Repeat(`\u0001`, MaxText) + `","sdp":"` + c + `"}`)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m.From, m.To = &from, nil
		frame := Encode(&m)
		if _, err := Decode(frame); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := Message{Type: Peers}
	for range MaxPeers {
		full.Peers = append(full.Peers, PeerInfo{Rendition: strings.Repeat("\u2028", MaxText/3), Upload: true, Initiate: true})
	}
	if _, err := Decode(Encode(&full)); err != nil {
		t.Errorf("the largest list of peers: %v", err)
	}
}

func TestEncodeIsOneLine(t *testing.T) {
	b := Encode(&Message{Type: Offer, Connection: "<&>", SDP: "a\nb"})
	if want := `{"type":"offer","connection":"<&>","sdp":"a\nb"}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
}
