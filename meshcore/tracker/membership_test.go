package tracker

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func TestSilentMembersAreLetGo(t *testing.T) {
	d := newDriver(t, Config{Silence: 100 * time.Second})
	d.join(1, Facts{})
	d.join(2, Facts{})
	d.join(3, Facts{})
	d.announce(1, live(0))
	joined := d.now
	gone := time.Duration(0)
	for d.now-joined < 10*time.Minute {
		out := d.wait(5 * time.Second)
		d.receive(1, signal.Message{Type: signal.ReportMsg, Report: &signal.Report{}})
		d.join(3, Facts{}) // a reconnect is a sign of life too
		for p, code := range closed(out) {
			if p != 2 || code != "silent" || gone != 0 {
				t.Errorf("%v was closed with %q", p, code)
			}
			gone = d.now - joined
		}
	}
	if gone < 100*time.Second || gone > 130*time.Second {
		t.Errorf("let go after %v, want 100 to 130 s", gone)
	}
	if !d.s.Has(1) || d.s.Has(2) || !d.s.Has(3) || d.s.Len() != 2 {
		t.Error("who spoke should be there, who was silent should not")
	}
}

// TestSilentPeersAreNotIntroduced: who does not answer is met by nobody, and who does is.
func TestSilentPeersAreNotIntroduced(t *testing.T) {
	for name, answer := range map[string]Input{
		"no answer": {}, "a pong": {Kind: Heard, Peer: 1}, "a reconnect": {Kind: Join, Peer: 1},
		"a message": {Kind: Receive, Peer: 1, Message: &signal.Message{Type: signal.ReportMsg, Report: &signal.Report{}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t, Config{})
			d.join(1, Facts{})
			d.join(2, Facts{})
			d.announce(1, live(0))
			d.step(Input{Kind: Silent, Peer: 1})
			d.step(answer)
			want := 1
			if answer.Peer == 0 {
				want = 0
			}
			if got := len(told(d.announce(2, live(4)))); got != want {
				t.Errorf("introduced to %d peers, want %d", got, want)
			}
		})
	}
}

// TestNextDeadline: an empty swarm waits for nothing, and one that was empty for a
// long time starts as a new one does.
func TestNextDeadline(t *testing.T) {
	d := newDriver(t, Config{})
	if at, ok := d.s.NextDeadline(); ok {
		t.Errorf("an empty swarm waits for %v", at)
	}
	d.join(1, Facts{})
	d.announce(1, live(0))
	d.leave(1)
	if at, ok := d.s.NextDeadline(); ok {
		t.Errorf("a swarm that everyone left waits for %v", at)
	}
	d.now += 24 * time.Hour
	d.join(2, Facts{})
	if at, ok := d.s.NextDeadline(); !ok || at <= d.now {
		t.Errorf("waits for %v at %v", at, d.now)
	}
	if !d.s.Has(2) {
		t.Error("a newcomer was let go")
	}
}

// TestTooManyMessages closes the one peer that floods, and nobody else.
func TestTooManyMessages(t *testing.T) {
	d := newDriver(t, Config{Burst: 20, Rate: 2})
	for p := wire.PeerID(1); p <= 3; p++ {
		d.join(p, Facts{})
	}
	for i := range 20 {
		if out := d.receive(1, signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{}}); len(closed(out)) != 0 {
			t.Fatalf("closed at message %d of 20", i+1)
		}
		if i%10 == 0 {
			d.receive(2, signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{}})
		}
	}
	out := d.receive(1, signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{}})
	if c := closed(out); len(c) != 1 || c[1] != "too_many" {
		t.Errorf("message 21 closed %v", c)
	}
	if d.s.Has(1) || !d.s.Has(2) || !d.s.Has(3) {
		t.Error("only the one that floods should be gone")
	}
	if out := d.leave(1); len(out) != 0 {
		t.Errorf("its Leave afterwards has effects: %+v", out)
	}
	// Rate messages a second, for as long as one likes.
	for i := range 1000 {
		d.now += 500 * time.Millisecond
		if d.receive(2, signal.Message{Type: signal.ReportMsg, Report: &signal.Report{}}); !d.s.Has(2) {
			t.Fatalf("closed at message %d at the allowed rate", i)
		}
	}
}

func TestReportsNeverGoDown(t *testing.T) {
	d := newDriver(t, Config{})
	full := signal.Report{PeerBytes: 3, OriginBytes: 2, RelayedBytes: 1, UploadedBytes: 4, DuplicateBytes: 5, BadChunks: 6,
		StartupMS: 7, Stalls: 8, StallMS: 9, PlayedMS: 10, BufferMS: 11, Neighbors: 12}
	report := func(p wire.PeerID, r signal.Report) {
		d.receive(p, signal.Message{Type: signal.ReportMsg, Report: &r})
	}
	check := func(when string, want signal.Report) {
		t.Helper()
		if got := d.s.Stats().Totals; got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	d.join(1, Facts{})
	report(1, full)
	want := full
	want.BufferMS, want.Neighbors = 0, 0 // are of now, and no totals
	check("the first report", want)
	report(1, full)
	check("the same again", want)
	report(1, signal.Report{})
	check("all zero", want)
	report(1, full)
	d.join(1, Facts{})
	check("a reconnect", want)
	d.join(2, Facts{})
	report(2, signal.Report{PeerBytes: 100, Neighbors: 1})
	want.PeerBytes = 103
	check("a second peer", want)
	d.leave(1)
	check("one left", want)
	d.join(1, Facts{})
	report(1, signal.Report{PeerBytes: 5})
	want.PeerBytes += 2
	check("it came back and goes on", want)
	d.leave(1)
	d.join(1, Facts{})
	d.leave(1)
	d.join(1, Facts{})
	report(1, signal.Report{PeerBytes: 6})
	want.PeerBytes++
	check("it came back again", want)
}

// TestForgedReports: what cannot be true is left out of the sums, and counted.
func TestForgedReports(t *testing.T) {
	d := newDriver(t, Config{})
	report := func(p wire.PeerID, r signal.Report) {
		d.receive(p, signal.Message{Type: signal.ReportMsg, Report: &r})
	}
	const mb = 1 << 20
	d.join(1, Facts{})
	d.join(2, Facts{})
	d.now += time.Minute
	report(1, signal.Report{UploadedBytes: 40 * mb, OriginBytes: 40 * mb, PlayedMS: 60_000})
	report(2, signal.Report{PeerBytes: 40 * mb, OriginBytes: mb, PlayedMS: 60_000})
	honest := d.s.Stats()
	if honest.Doubted != 0 || honest.Totals.PeerBytes != 40*mb || honest.Totals.OriginBytes != 41*mb {
		t.Fatalf("honest: %+v", honest)
	}
	for p := wire.PeerID(3); p <= 3000; p++ {
		d.join(p, Facts{})
		switch p % 4 {
		case 0: // at once
			report(p, signal.Report{PeerBytes: 1 << 53, UploadedBytes: 1 << 53, PlayedMS: 1 << 50})
		case 1: // after a true one
			report(p, signal.Report{})
			report(p, signal.Report{PeerBytes: 1 << 40, UploadedBytes: 1 << 40})
		case 2: // what fits the time, and nobody gave
			report(p, signal.Report{})
			report(p, signal.Report{PlayedMS: 1 << 40})
		case 3: // what came from another edge, and then what fits
			report(p, signal.Report{PeerBytes: 1 << 40, UploadedBytes: 1 << 40, PlayedMS: 1 << 30})
			report(p, signal.Report{PeerBytes: 1 << 40, UploadedBytes: 1 << 40, PlayedMS: 1<<30 + 10})
		}
		if p%8 == 0 {
			d.leave(p)
		}
	}
	st := d.s.Stats()
	if got := st.Totals; got.PeerBytes != 40*mb || got.OriginBytes != 41*mb || got.UploadedBytes != 40*mb || got.PlayedMS > 130_000 {
		t.Errorf("with forged reports: %+v", got)
	}
	if st.Doubted != 2998 {
		t.Errorf("%d sessions are in doubt", st.Doubted)
	}
	// A lie that fits the time is held to what others gave.
	d.now += time.Minute
	d.join(4000, Facts{})
	report(4000, signal.Report{PeerBytes: 15 * mb, UploadedBytes: 15 * mb})
	if got := d.s.Stats().Totals.PeerBytes; got > 56*mb {
		t.Errorf("%d MiB from peers", got/mb)
	}
}

func TestStats(t *testing.T) {
	d := newDriver(t, Config{})
	for p := wire.PeerID(1); p <= 5; p++ {
		d.join(p, Facts{ReceiveOnly: p == 5})
		if p > 1 {
			d.announce(p, live(0))
		}
	}
	if st := d.s.Stats(); st.Peers != 5 || st.Uploaders != 3 || st.Banned != 0 {
		t.Errorf("%+v, want 5 peers, 3 of which give", st)
	}
}

// TestForward: what one peer sends to another arrives with the sender that the edge
// knows, and nothing that does not belong there.
func TestForward(t *testing.T) {
	d := newDriver(t, Config{})
	d.join(1, Facts{Scope: "/a/"})
	d.join(2, Facts{Scope: "/a/"})
	d.join(3, Facts{Scope: "/b/"})
	d.join(4, Facts{Scope: "/a/"})
	unmet := wire.PeerID(4)
	d.announce(2, live(4))
	d.announce(1, live(4)) // which introduces 2 to it
	to, forged, stranger, nobody := wire.PeerID(2), wire.PeerID(77), wire.PeerID(3), wire.PeerID(99)
	msg := signal.Message{Type: signal.Offer, To: &to, From: &forged, Connection: "c", SDP: "v=0", Pass: "p", Detail: "d",
		Peers: []signal.PeerInfo{{ID: 5}}, Duty: &signal.Duty{Of: 1}, ICEServers: []signal.ICEServer{{}}}
	out := d.receive(1, msg)
	if len(out) != 1 || out[0].Kind != Send || out[0].Peer != 2 {
		t.Fatalf("effects %+v", out)
	}
	if got, want := string(signal.Encode(out[0].Message)), `{"type":"offer","from":"0000000000000001","connection":"c","sdp":"v=0"}`; got != want {
		t.Errorf("arrived as %s, want %s", got, want)
	}
	if *msg.From != forged || msg.To != &to {
		t.Error("the sender's message was changed")
	}
	out = d.receive(1, signal.Message{Type: signal.Candidate, To: &to, Connection: "c", Candidate: &signal.ICECandidate{Candidate: "x"}})
	if len(out) != 1 || out[0].Peer != 2 || out[0].Message.Candidate.Candidate != "x" {
		t.Errorf("a candidate arrived as %+v", out)
	}
	out = d.receive(1, signal.Message{Type: signal.Refuse, To: &to, Connection: "c"})
	if len(out) != 1 || out[0].Peer != 2 || out[0].Message.Type != signal.Refuse || *out[0].Message.From != 1 {
		t.Errorf("a refusal arrived as %+v", out)
	}
	for _, p := range []*wire.PeerID{&stranger, &nobody, &unmet} {
		out := d.receive(1, signal.Message{Type: signal.Answer, To: p, Connection: "c", SDP: "v=0"})
		if m := sends(out, 1, signal.Drop); len(out) != 1 || len(m) != 1 || *m[0].Peer != *p || m[0].Reason != "left" {
			t.Errorf("to %v: %+v, want a drop", *p, out)
		}
	}
	out = d.receive(1, signal.Message{Type: signal.Offer, From: &to, Connection: "c", SDP: "v=0"})
	if m := sends(out, 1, signal.ErrorMsg); len(out) != 1 || len(m) != 1 || m[0].Code != "bad_field" {
		t.Errorf("to nobody: %+v, want an error", out)
	}
}

func TestOtherMessages(t *testing.T) {
	d := newDriver(t, Config{})
	d.join(1, Facts{})
	if out := d.receive(1, signal.Message{Type: signal.Ping}); len(sends(out, 1, signal.Pong)) != 1 {
		t.Errorf("a ping is answered with %+v", out)
	}
	for _, ty := range []signal.Type{signal.Hello, signal.Welcome, signal.Peers, signal.Pong, signal.Renew, signal.Pass, signal.Drop, signal.Reconnect, signal.ErrorMsg} {
		out := d.receive(1, signal.Message{Type: ty})
		if m := sends(out, 1, signal.ErrorMsg); len(out) != 1 || len(m) != 1 || m[0].Code != "unexpected_type" {
			t.Errorf("%s: %+v, want an error", ty, out)
		}
	}
	if out := d.receive(2, signal.Message{Type: signal.Leave}); len(out) != 0 {
		t.Errorf("who is no member has effects: %+v", out)
	}
	out := d.receive(1, signal.Message{Type: signal.Leave})
	if c := closed(out); len(out) != 1 || len(c) != 1 || d.s.Has(1) {
		t.Errorf("leave: %+v", out)
	}
}

// TestComesBackElsewhere: a member that joins again from another network, or with
// another pass, is moved there, and the pools stay in order (see checkState).
func TestComesBackElsewhere(t *testing.T) {
	d := newDriver(t, Config{})
	d.join(1, Facts{ASN: 1})
	d.join(2, Facts{ASN: 2})
	d.announce(1, live(0))
	d.announce(2, live(0))
	d.join(1, Facts{ASN: 2})
	d.join(2, Facts{Region: "DE"})
	d.leave(1)
	d.leave(2)
	d.join(3, Facts{ASN: 2})
	d.announce(3, live(0))
	d.join(3, Facts{ASN: 2, ReceiveOnly: true})
	if st := d.s.Stats(); st.Uploaders != 0 {
		t.Errorf("%d give, and the only pass forbids it", st.Uploaders)
	}
	d.join(3, Facts{ASN: 2})
	if m := d.announce(3, live(0)); m.Duty == nil || m.Duty.Of != 1 {
		t.Errorf("duty %+v", m.Duty)
	}
}
