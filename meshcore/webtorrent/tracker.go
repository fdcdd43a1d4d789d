// Package webtorrent is a tracker for clients that exist already: those of WebTorrent and
// p2p-media-loader, which speak JSON over a WebSocket. It says whom each offer goes to and
// does no I/O: a driver reads messages with [Decode], feeds [Tracker.Receive], and has the
// effects written by the Append functions. A Tracker is not safe for concurrent use; decoding
// and writing need no lock. Its swarms have nothing to do with those of package tracker.
//
// # The protocol
//
// Each message is one text frame with one JSON object. Info hashes and peer ids are strings of
// 20 code points below U+0100, each of which is a byte.
//
//	client  {action: "announce", info_hash, peer_id, numwant, event, left, offers: [{offer, offer_id}], trackerid}
//	        {action: "announce", info_hash, peer_id, to_peer_id, answer, offer_id}
//	        {action: "scrape", info_hash: one, several or none}
//	edge    {action: "announce", info_hash, interval, complete, incomplete, "tracker id"}
//	        {action: "announce", info_hash, peer_id, offer, offer_id}
//	        {action: "announce", info_hash, peer_id, answer, offer_id}
//	        {action: "announce" or "scrape", info_hash, "failure reason"}
//	        {action: "scrape", files: {info_hash: {complete, incomplete, downloaded}}, flags: {min_request_interval}}
//
// Each offer of an announce goes to another peer of the swarm, and its answer back by way of
// to_peer_id; an answer has no reply. One socket may announce several info hashes, under a
// peer id for each.
//
// # Who is in a swarm
//
// A peer is in the swarm of an info hash until it says "stopped", its socket closes, or it has
// announced nothing for two intervals: players change the rendition, and with it the info hash,
// without a word. Who announces the same peer id again from another socket of the same network
// takes the place of the old one, which may not have seen its connection die yet.
//
// # Who is chosen
//
// Candidates are drawn at random where there are many. Three quarters of the offers go to the
// nearest of them ([tracker.Place.Locality]), one quarter to any others. Whom a peer was introduced to
// lately, and who has missed an interval, come after all others; at most two candidates of an
// announce are from one network, unless it is the announcing peer's own.
package webtorrent

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/tracker"
)

// Tracker is the engine.
type Tracker struct {
	cfg    Config
	serial uint32
	chooser
	registry
}

// New makes a tracker without peers.
func New(cfg Config) *Tracker {
	cfg = cfg.withDefaults()
	return &Tracker{cfg: cfg, chooser: newChooser(cfg), registry: newRegistry(cfg)}
}

// Kind says what an effect is.
type Kind uint8

// What a driver owes for an effect: it sends what is named here, and if that cannot be sent,
// because the connection is too slow or gone, does nothing more.
const (
	// Reply sends AppendReply with Complete and Incomplete.
	Reply Kind = iota
	// Offered sends AppendOffer with the Offer of that index.
	Offered
	// Answered sends AppendAnswer.
	Answered
	// Scraped sends AppendScrape with Files.
	Scraped
	// Failed sends AppendFailure with Why.
	Failed
	// Cut sends AppendFailure with Why, and ends the connection.
	Cut
)

// Effect is something for the driver to do.
type Effect struct {
	Kind                 Kind
	To                   *Conn
	Offer                int
	Complete, Incomplete int
	Files                []File
	Why                  string
}

// Why messages are refused.
const (
	whyFast = "too many messages: announce once in an interval"
	whyGone = "the peer of to_peer_id is not in this swarm any more, or has made no offer"
	whySelf = "to_peer_id is this connection's own"
)

// Open makes a connection of a client whose network is known. Owner is the driver's.
func (t *Tracker) Open(now time.Duration, f *tracker.Facts, owner any) *Conn {
	t.serial++
	return &Conn{Owner: owner, facts: f, place: f.Place(), serial: t.serial, allowance: t.cfg.Burst, allowedAt: now, from: now}
}

// Close ends a connection, and takes all of its peers out of their swarms.
func (t *Tracker) Close(c *Conn) {
	for len(c.members) > 0 {
		t.remove(c.members[len(c.members)-1])
	}
	c.closed = true
}

// Receive takes a message of a connection at time now, which counts from any fixed moment and
// never goes back. It appends the effects to out, which may be carried out later: they share
// nothing with the tracker. Wrong is what is wrong with the message otherwise, "" for nothing.
func (t *Tracker) Receive(now time.Duration, c *Conn, m *Message, wrong string, out []Effect) []Effect {
	t.expire(now)
	if c.closed {
		return out
	}
	if !c.allow(now, t.cfg) {
		return append(out, Effect{Kind: Cut, To: c, Why: whyFast})
	}
	if wrong != "" {
		return append(out, Effect{Kind: Failed, To: c, Why: wrong})
	}
	if m.Action == Scrape {
		return append(out, Effect{Kind: Scraped, To: c, Files: t.scrape(c, m)})
	}
	return t.announce(now, c, m, out)
}

func (t *Tracker) announce(now time.Duration, c *Conn, m *Message, out []Effect) []Effect {
	if m.Event == "stopped" {
		reply := Effect{Kind: Reply, To: c}
		if s := t.swarms[m.Hash.ID]; s != nil {
			if p := s.peers[m.Peer.ID]; p != nil && p.conn == c {
				t.remove(p)
			}
			reply.Complete, reply.Incomplete = s.counts()
		}
		return append(out, reply)
	}
	p, why := t.enter(now, c, m)
	if p == nil {
		return append(out, Effect{Kind: Failed, To: c, Why: why})
	}
	if m.Answer != nil {
		return t.answer(now, p, m, out)
	}
	complete, incomplete := p.swarm.counts()
	out = append(out, Effect{Kind: Reply, To: c, Complete: complete, Incomplete: incomplete})
	for i, o := range t.choose(now, p, m.Want) {
		out = append(out, Effect{Kind: Offered, To: o.conn, Offer: i})
	}
	return out
}

// answer passes an answer on to the peer whose offer it is for.
func (t *Tracker) answer(now time.Duration, p *member, m *Message, out []Effect) []Effect {
	why := ""
	to := p.swarm.peers[m.To.ID]
	switch {
	case to == nil:
		why = whyGone
	case to.conn == p.conn:
		why = whySelf
	case !to.conn.knows(p.conn):
		why = whyGone
	default:
		return append(out, Effect{Kind: Answered, To: to.conn})
	}
	return append(out, Effect{Kind: Failed, To: p.conn, Why: why})
}

// scrape counts the peers of info hashes, those of the connection itself if none are named.
func (t *Tracker) scrape(c *Conn, m *Message) []File {
	var files []File
	add := func(h ID) {
		f := File{Hash: h}
		if s := t.swarms[h]; s != nil {
			f.Complete, f.Incomplete = s.counts()
		}
		files = append(files, f)
	}
	for _, h := range m.Scraped {
		add(h.ID)
	}
	if m.Hash.Text == nil && len(m.Scraped) == 0 {
		for _, p := range c.members {
			add(p.swarm.hash)
		}
	}
	return files
}

// Tick lets those go who have announced nothing for two intervals.
func (t *Tracker) Tick(now time.Duration) { t.expire(now) }

// NextDeadline is when Tick is wanted, if nothing comes before; ok is false while nobody is
// there.
func (t *Tracker) NextDeadline() (at time.Duration, ok bool) { return t.due() }

// Peers is how many peers there are in all swarms.
func (t *Tracker) Peers() int { return t.peers }

// Swarms is how many info hashes have a peer.
func (t *Tracker) Swarms() int { return len(t.swarms) }
