package webtorrent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// id is an ID as clients write it, of bytes that escape in every way.
func id(first byte) string {
	var b [20]byte
	for i := range b {
		b[i] = first + byte(i*13)
	}
	return string(runes(b))
}

func runes(b ID) []rune {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return r
}

func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestDecode: what is passed on is as it stood, and every fault has a reason of its own.
func TestDecode(t *testing.T) {
	hash, peer := quote(id(1)), quote(id(7))
	announce := func(more string) string {
		return `{"action":"announce","info_hash":` + hash + `,"peer_id":` + peer + more + `}`
	}
	offer := `{"offer_id":"abcdefghijklmnopqrst","offer":{"type":"offer","sdp":"v=0\r\n\u00e9"}}`
	for _, c := range []struct {
		name, frame string
		want        error
	}{
		{"announce", announce(""), nil},
		{"white space", " \n" + announce(` , "numwant" : 5 , "x" : [ 1.5e-3 , true , null , { } ] `) + "\t", nil},
		{"offers", announce(`,"numwant":5,"offers":[` + offer + `,` + offer + `]`), nil},
		{"numwant of 5.x", announce(`,"numwant":0,"offers":[]`), nil},
		{"null for none", announce(`,"offers":null,"answer":null,"event":null,"trackerid":null`), nil},
		{"answer", announce(`,"to_peer_id":` + peer + `,"answer":{"sdp":""},"offer_id":` + peer), nil},
		{"scrape", `{"action":"scrape","info_hash":` + hash + `}`, nil},
		{"scrape of several", `{"action":"scrape","info_hash":[` + hash + `,` + hash + `]}`, nil},
		{"scrape of all", `{"action":"scrape"}`, nil},

		{"empty", ``, ErrJSON},
		{"no object", `[]`, ErrJSON},
		{"cut off", announce("")[:40], ErrJSON},
		{"two objects", announce("") + announce(""), ErrJSON},
		{"comma at the end", announce(`,`), ErrJSON},
		{"control character", announce(",\"x\":\"\n\""), ErrJSON},
		{"bad escape", announce(`,"x":"\x"`), ErrJSON},
		{"bad number", announce(`,"x":01`), ErrJSON},
		{"no UTF-8", announce(",\"x\":\"\xff\""), ErrJSON},
		{"deep", announce(`,"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)), ErrJSON},
		{"too large", announce(`,"x":"` + strings.Repeat("x", MaxMessage) + `"`), ErrTooLarge},
		{"no action", `{}`, ErrAction},
		{"another action", `{"action":"connect"}`, ErrAction},
		{"short hash", `{"action":"announce","info_hash":"short"}`, ErrHash},
		{"long hash", `{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaaa"}`, ErrHash},
		{"hash of other runes", `{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaa\u0100"}`, ErrHash},
		{"hash is a number", `{"action":"announce","info_hash":1}`, ErrHash},
		{"no peer", `{"action":"announce","info_hash":` + hash + `}`, ErrPeer},
		{"event", announce(`,"event":"begun"`), ErrEvent},
		{"offers are no array", announce(`,"offers":{}`), ErrOffers},
		{"offer is a string", announce(`,"offers":[{"offer":"v=0","offer_id":"a"}]`), ErrOffers},
		{"offer without id", announce(`,"offers":[{"offer":{}}]`), ErrOfferID},
		{"offer id too long", announce(`,"offers":[{"offer":{},"offer_id":"` + strings.Repeat("a", 65) + `"}]`), ErrOfferID},
		{"too many offers", announce(`,"offers":[` + strings.Repeat(offer+",", MaxOffers) + offer + `]`), ErrMany},
		{"answer is a string", announce(`,"answer":"v=0"`), ErrAnswer},
		{"answer to nobody", announce(`,"answer":{},"offer_id":"a"`), ErrTo},
		{"answer to no offer", announce(`,"answer":{},"to_peer_id":` + peer), ErrOfferID},
		{"tracker id", announce(`,"trackerid":7`), ErrTracker},
		{"scrape of a short hash", `{"action":"scrape","info_hash":["short"]}`, ErrHash},
		{"scrape of too many", `{"action":"scrape","info_hash":[` + strings.Repeat(hash+",", MaxScraped) + hash + `]}`, ErrMany},
	} {
		var m Message
		if err := Decode([]byte(c.frame), &m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		} else if err != nil {
			checkFailure(t, AppendFailure(nil, &m, err.Error()), err.Error())
		}
	}
	var m Message
	if err := Decode([]byte(announce(`,"left":0,"event":"started","numwant":1,"trackerid":"t","offers":[`+offer+`,`+offer+`]`)), &m); err != nil {
		t.Fatal(err)
	}
	if string(runes(m.Hash.ID)) != id(1) || string(runes(m.Peer.ID)) != id(7) {
		t.Errorf("the ids are %q and %q", m.Hash.ID, m.Peer.ID)
	}
	if !m.Seeds || m.Event != "started" || m.Want != 1 || len(m.Offers) != 2 || string(m.TrackerID) != `"t"` {
		t.Errorf("the message is %+v", m)
	}
	want := `{"action":"announce","info_hash":` + hash + `,"peer_id":` + peer + `,"offer_id":"abcdefghijklmnopqrst","offer":{"type":"offer","sdp":"v=0\r\n\u00e9"}}`
	if got := string(AppendOffer(nil, &m, 1)); got != want {
		t.Errorf("the offer is passed on as %s, want %s", got, want)
	}
	var reply map[string]any
	if err := json.Unmarshal(AppendReply(nil, &m, 60, 1, 2), &reply); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%v %v %v %v %v", reply["info_hash"], reply["interval"], reply["complete"], reply["incomplete"], reply["tracker id"]) != id(1)+" 60 1 2 t" {
		t.Errorf("the reply is %v", reply)
	}
}

// checkFailure: a refusal is JSON with an action, and says why.
func checkFailure(t *testing.T, frame []byte, why string) {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal(frame, &f); err != nil {
		t.Fatalf("%v: %s", err, frame)
	}
	if f["failure reason"] != why || f["action"] != "announce" && f["action"] != "scrape" {
		t.Errorf("the failure is %s", frame)
	}
}

// FuzzDecode: whatever is decoded, encoding/json reads too, and to the same; what is made of
// it is JSON.
func FuzzDecode(f *testing.F) {
	hash := quote(id(1))
	f.Add([]byte(`{"action":"announce","info_hash":` + hash + `,"peer_id":` + hash + `,"offers":[{"offer":{"sdp":"v=0\r\n"},"offer_id":"\u00ff"}],"numwant":5,"trackerid":"a"}`))
	f.Add([]byte(`{"action":"announce","info_hash":` + hash + `,"peer_id":` + hash + `,"answer":{},"to_peer_id":` + hash + `,"offer_id":"a","left":0}`))
	f.Add([]byte(`{"action":"scrape","info_hash":[` + hash + `]}`))
	f.Add([]byte(`{"a":[-0.5e+1,{"b":[true,false,null]}]}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m Message
		err := Decode(frame, &m)
		if len(frame) <= MaxMessage && errors.Is(err, ErrJSON) && json.Valid(frame) {
			if b := bytes.TrimSpace(frame); b[0] == '{' && bytes.Count(b, []byte("{"))+bytes.Count(b, []byte("[")) <= maxDepth && bytes.ToValidUTF8(b, nil) != nil && bytes.Equal(bytes.ToValidUTF8(b, nil), b) {
				t.Fatalf("%q is JSON", frame)
			}
		}
		if !errors.Is(err, ErrJSON) && !errors.Is(err, ErrTooLarge) && !json.Valid(frame) {
			t.Fatalf("%q is no JSON, and the error is %v", frame, err)
		}
		out := [][]byte{AppendFailure(nil, &m, "why")}
		if err == nil && m.Action == Announce {
			var text string
			if json.Unmarshal(m.Hash.Text, &text) != nil || text != string(runes(m.Hash.ID)) {
				t.Fatalf("info_hash %s is read as %q", m.Hash.Text, m.Hash.ID)
			}
			out = append(out, AppendReply(nil, &m, 60, 1, 2))
			for i := range m.Offers {
				out = append(out, AppendOffer(nil, &m, i))
			}
			if m.Answer != nil {
				out = append(out, AppendAnswer(nil, &m))
			}
		}
		if err == nil && m.Action == Scrape {
			var files []File
			for _, h := range m.Scraped {
				files = append(files, File{Hash: h.ID})
			}
			out = append(out, AppendScrape(nil, 60, files))
		}
		for _, b := range out {
			if !json.Valid(b) {
				t.Fatalf("%q makes %q, which is no JSON", frame, b)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	frame := []byte(typicalAnnounce(5))
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	var m Message
	for b.Loop() {
		if err := Decode(frame, &m); err != nil {
			b.Fatal(err)
		}
	}
}

// typicalAnnounce is an announce with n offers of 4 KB.
func typicalAnnounce(n int) string {
	sdp := "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n"
	for len(sdp) < 4000 {
		sdp += fmt.Sprintf("a=candidate:%d 1 udp 2113937151 198.51.100.7 %d typ host generation 0 network-cost 999\r\n", len(sdp), len(sdp))
	}
	offers := make([]map[string]any, n)
	for i := range offers {
		offers[i] = map[string]any{"offer_id": id(byte(i)), "offer": map[string]string{"type": "offer", "sdp": sdp}}
	}
	return quote(map[string]any{"action": "announce", "info_hash": id(1), "peer_id": id(2), "numwant": n, "uploaded": 0, "downloaded": 0, "offers": offers})
}
