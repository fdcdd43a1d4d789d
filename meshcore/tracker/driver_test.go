package tracker

import (
	"slices"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// driver is the smallest one there can be: time is a number that the test moves,
// and effects are data that it looks at.
type driver struct {
	t   testing.TB
	s   *Swarm
	now time.Duration
}

func newDriver(t testing.TB, cfg Config) *driver { return &driver{t: t, s: New(cfg), now: time.Second} }

// step takes one input and checks that the swarm is still in order.
func (d *driver) step(in Input) []Effect {
	d.t.Helper()
	out := slices.Clone(d.s.Step(d.now, in))
	if _, ok := d.t.(*testing.B); !ok && d.s.Len() <= 200 {
		checkState(d.t, d.s)
	}
	return out
}

func (d *driver) join(p wire.PeerID, f Facts) []Effect {
	d.t.Helper()
	return d.step(Input{Kind: Join, Peer: p, Facts: f})
}

func (d *driver) leave(p wire.PeerID) []Effect {
	d.t.Helper()
	return d.step(Input{Kind: Leave, Peer: p})
}

func (d *driver) receive(p wire.PeerID, m signal.Message) []Effect {
	d.t.Helper()
	return d.step(Input{Kind: Receive, Peer: p, Message: &m})
}

// wait lets time pass, and ticks whenever the swarm wants it.
func (d *driver) wait(span time.Duration) []Effect {
	d.t.Helper()
	var out []Effect
	end := d.now + span
	for {
		at, ok := d.s.NextDeadline()
		if !ok || at > end {
			break
		}
		if at < d.now {
			d.t.Fatalf("NextDeadline %v is before now, %v", at, d.now)
		}
		d.now = at
		out = append(out, d.step(Input{Kind: Tick})...)
	}
	d.now = end
	return out
}

// announce sends an announcement and gives the answer to it.
func (d *driver) announce(p wire.PeerID, a signal.Announcement) *signal.Message {
	d.t.Helper()
	var answer *signal.Message
	for _, e := range d.receive(p, signal.Message{Type: signal.Announce, Announcement: &a}) {
		if e.Kind == Send && e.Peer == p && e.Message.Type == signal.Peers && answer == nil {
			answer = e.Message
		}
	}
	if answer == nil {
		d.t.Fatalf("no answer to the announce of %v", p)
	}
	seen := map[wire.PeerID]bool{p: true}
	for _, i := range answer.Peers {
		if seen[i.ID] {
			d.t.Fatalf("%v was told of %v, which is itself or was told twice", p, i.ID)
		}
		seen[i.ID] = true
		if !i.Initiate {
			d.t.Errorf("neither %v nor %v is to send the offer", p, i.ID)
		}
	}
	if len(answer.Peers) > a.Want {
		d.t.Errorf("%v wanted %d peers and was told of %d", p, a.Want, len(answer.Peers))
	}
	// What the tracker says is what a peer accepts.
	if _, err := signal.Decode(signal.Encode(answer)); err != nil {
		d.t.Errorf("the answer to %v: %v", p, err)
	}
	return answer
}

// live is the announcement of an uploading live viewer.
func live(want int) signal.Announcement {
	return signal.Announcement{Rendition: "v0", Live: true, Want: want, Upload: true}
}

func told(m *signal.Message) []wire.PeerID {
	var ids []wire.PeerID
	for _, p := range m.Peers {
		ids = append(ids, p.ID)
	}
	return ids
}

// sends gives the messages of a type that went to a peer.
func sends(out []Effect, to wire.PeerID, ty signal.Type) []*signal.Message {
	var l []*signal.Message
	for _, e := range out {
		if e.Kind == Send && e.Peer == to && e.Message.Type == ty {
			l = append(l, e.Message)
		}
	}
	return l
}

// closed gives the peers that were closed, with the code or reason.
func closed(out []Effect) map[wire.PeerID]string {
	m := map[wire.PeerID]string{}
	for _, e := range out {
		if e.Kind == Close {
			m[e.Peer] = ""
			if e.Message != nil {
				m[e.Peer] = e.Message.Code + e.Message.Reason
			}
		}
	}
	return m
}

// checkState looks at what Step must leave in order: places, ranks and pools.
func checkState(t testing.TB, s *Swarm) {
	t.Helper()
	if len(s.all) != len(s.members) {
		t.Fatalf("%d in the list, %d in the map", len(s.all), len(s.members))
	}
	inPools := 0
	for i, m := range s.all {
		if int(m.at[inAll]) != i || s.members[m.id] != m {
			t.Fatalf("%v is not at its place %d", m.id, i)
		}
		if !m.announced {
			if m.group != nil || m.rendition != nil || m.rank >= 0 {
				t.Fatalf("%v has not announced and stands in a pool", m.id)
			}
			continue
		}
		inPools++
		if m.rendition != s.renditions[groupKey{scope: m.scope, rendition: m.rendition.key.rendition}] || m.rendition.all[m.at[inRendition]] != m {
			t.Fatalf("%v is not at its place in rendition %q", m.id, m.rendition.key.rendition)
		}
		if m.group != s.groups[groupKey{m.scope, m.rendition.key.rendition, m.locality}] || m.group.all[m.at[inGroup]] != m {
			t.Fatalf("%v is not at its place in locality %q", m.id, m.locality)
		}
		if m.uploads() != m.gives || m.gives && m.rendition.uploaders[m.at[inUploaders]] != m {
			t.Fatalf("%v, which uploads: %v, stands among the uploaders: %v", m.id, m.uploads(), m.gives)
		}
		if (m.duty != nil) != (m.rank >= 0) || m.duty != nil && (!m.gives || m.duty.ranks[m.rank] != m) {
			t.Fatalf("%v, which uploads: %v, has rank %d", m.id, m.gives, m.rank)
		}
		if m.gives && m.duty == nil && m.octave < 0 {
			t.Fatalf("%v, whose uplink nobody knows, takes no turns", m.id)
		}
		if m.duty != nil && (m.duty != m.group && m.duty != m.rendition || m.group.own != (m.duty == m.group)) {
			t.Fatalf("%v takes turns with the wrong ones", m.id)
		}
	}
	inRenditions, inGroups := 0, 0
	for name, p := range s.renditions {
		inRenditions += len(p.all)
		uploaders := 0
		for _, m := range p.all {
			if m.uploads() {
				uploaders++
			}
		}
		if len(p.all) == 0 || len(p.uploaders) != uploaders || len(p.ranks) > uploaders {
			t.Fatalf("rendition %v has %d members, %d uploaders, %d ranks", name, len(p.all), uploaders, len(p.uploaders))
		}
	}
	for key, p := range s.groups {
		inGroups += len(p.all)
		if len(p.all) == 0 {
			t.Fatalf("group %v is empty", key)
		}
	}
	if inRenditions != inPools || inGroups != inPools {
		t.Fatalf("%d members have announced, %d stand in renditions, %d in groups", inPools, inRenditions, inGroups)
	}
}
