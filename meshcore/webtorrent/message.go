package webtorrent

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Bounds of a message.
const (
	MaxMessage = 64 << 10 // bytes of a frame
	MaxOffers  = 16       // of an announce; clients send 5
	MaxScraped = 64       // hashes of a scrape
	maxOfferID = 64       // code points; clients send 20
	maxText    = 512      // bytes of an offer id or tracker id as it stands
)

// ID is an info hash or a peer id. In JSON it is a string of 20 code points, U+0000 to
// U+00FF, each of which is a byte.
type ID [20]byte

// Action says what a client wants.
type Action string

// The actions there are.
const (
	Announce Action = "announce"
	Scrape   Action = "scrape"
)

// Message is a message of a client. What is passed on of it is kept as it stands in the
// frame, which must not change meanwhile: strings with their quotes and escapes, session
// descriptions as the values that they are. None of it is parsed.
type Message struct {
	Action Action
	// Hash and Peer are whom an announce is for and from.
	Hash, Peer Named
	// Event is "", "started", "update", "completed", "stopped" or "paused" (announce).
	Event string
	// Seeds is set if the client has all of the torrent (announce).
	Seeds bool
	// Want is how many of Offers are to be passed on, each to another peer (announce).
	Want int
	// Offers are session descriptions for whoever is chosen (announce).
	Offers []Offer
	// Answer is the session description of an announce that answers an offer, nil for
	// others; To is the peer whose offer that was, and OfferID which.
	Answer, OfferID []byte
	To              Named
	// TrackerID is echoed in the reply, nil for none (announce).
	TrackerID []byte
	// Scraped are the info hashes of a scrape; nil for those of the connection.
	Scraped []Named
}

// Named is an ID, and the string in the frame that it was read from.
type Named struct {
	ID
	Text []byte
}

// Offer is a session description with the name that its answer goes by.
type Offer struct {
	ID, Description []byte
}

// Errors of Decode.
var (
	ErrTooLarge = fmt.Errorf("the message is too large: send %d bytes at most", MaxMessage)
	ErrJSON     = errors.New("the message is no JSON object in UTF-8")
	ErrAction   = errors.New("action is unknown: send announce or scrape")
	ErrEvent    = errors.New("event is unknown: send started, update, completed, stopped, paused or none")
	ErrHash     = errors.New("info_hash is not a string of 20 code points below U+0100")
	ErrPeer     = errors.New("peer_id is not a string of 20 code points below U+0100")
	ErrTo       = errors.New("to_peer_id is not a string of 20 code points below U+0100, which an answer needs")
	ErrOffers   = errors.New("offers is not an array of objects with offer, an object, and offer_id, a string")
	ErrMany     = fmt.Errorf("too many offers or info hashes: send %d offers and %d hashes at most", MaxOffers, MaxScraped)
	ErrOfferID  = fmt.Errorf("offer_id is not a string of 1 to %d code points below U+0100", maxOfferID)
	ErrAnswer   = errors.New("answer is not an object")
	ErrTracker  = fmt.Errorf("trackerid is not a string of at most %d bytes", maxText)
)

// Decode reads a frame into m, whose slices are used again. Unknown fields are ignored. An
// error says what is wrong with the message; m has its action and hash then, if they could
// be read.
func Decode(frame []byte, m *Message) error {
	*m = Message{Offers: m.Offers[:0], Scraped: m.Scraped[:0]}
	if len(frame) > MaxMessage {
		return ErrTooLarge
	}
	if !utf8.Valid(frame) {
		return ErrJSON
	}
	s := scanner{rest: frame}
	var f fields
	if !s.object(func(key []byte) bool { return f.read(&s, key, m) }) {
		return ErrJSON
	}
	if s.space(); len(s.rest) > 0 {
		return ErrJSON
	}
	return f.message(m)
}

// fields are the values of the fields that are known, as they stand; nil for none.
type fields struct {
	action, hash, peer, event, left, want, answer, offerID, to, tracker []byte

	offers error // what is wrong with offers
}

// read reads the value of a field; offers are put into m.
func (f *fields) read(s *scanner, key []byte, m *Message) bool {
	if string(key) == `"offers"` {
		return f.readOffers(s, m)
	}
	v := s.value()
	switch string(key[1 : len(key)-1]) {
	case "action":
		f.action = v
	case "info_hash":
		f.hash = v
	case "peer_id":
		f.peer = v
	case "event":
		f.event = v
	case "left":
		f.left = v
	case "numwant":
		f.want = v
	case "answer":
		f.answer = v
	case "offer_id":
		f.offerID = v
	case "to_peer_id":
		f.to = v
	case "trackerid":
		f.tracker = v
	}
	return v != nil
}

// message fills m in.
func (f *fields) message(m *Message) error {
	switch string(f.action) {
	case `"announce"`:
		m.Action = Announce
		return f.announce(m)
	case `"scrape"`:
		m.Action = Scrape
		return f.scrape(m)
	}
	return ErrAction
}

func (f *fields) announce(m *Message) error {
	switch {
	case !m.Hash.read(f.hash):
		return ErrHash
	case !m.Peer.read(f.peer):
		return ErrPeer
	}
	switch e := string(f.event); e {
	case "", "null", `""`, `"empty"`:
	case `"started"`, `"update"`, `"completed"`, `"stopped"`, `"paused"`:
		m.Event = e[1 : len(e)-1]
	default:
		return ErrEvent
	}
	m.Seeds = string(f.left) == "0"
	if absent(f.tracker) {
		f.tracker = nil
	}
	if m.TrackerID = f.tracker; m.TrackerID != nil && (m.TrackerID[0] != '"' || len(m.TrackerID) > maxText) {
		return ErrTracker
	}
	if f.offers != nil {
		return f.offers
	}
	m.Want = len(m.Offers)
	if n, err := strconv.Atoi(string(f.want)); err == nil {
		m.Want = min(m.Want, max(n, 0))
	}
	if absent(f.answer) {
		return nil
	}
	switch {
	case f.answer[0] != '{':
		return ErrAnswer
	case !m.To.read(f.to):
		return ErrTo
	case !isOfferID(f.offerID):
		return ErrOfferID
	}
	m.Answer, m.OfferID = f.answer, f.offerID
	return nil
}

// readOffers reads the value of offers. It returns false if that is no JSON.
func (f *fields) readOffers(s *scanner, m *Message) bool {
	m.Offers, f.offers = m.Offers[:0], nil
	if s.space(); len(s.rest) == 0 || s.rest[0] != '[' {
		v := s.value()
		if !absent(v) {
			f.offers = ErrOffers
		}
		return v != nil
	}
	return s.array(func() bool {
		var o Offer
		if s.space(); len(s.rest) == 0 || s.rest[0] != '{' {
			f.offers = ErrOffers
			return s.value() != nil
		}
		ok := s.object(func(key []byte) bool {
			v := s.value()
			switch string(key) {
			case `"offer"`:
				o.Description = v
			case `"offer_id"`:
				o.ID = v
			}
			return v != nil
		})
		switch {
		case o.Description == nil || o.Description[0] != '{':
			f.offers = ErrOffers
		case !isOfferID(o.ID):
			f.offers = ErrOfferID
		case len(m.Offers) == MaxOffers:
			f.offers = ErrMany
		default:
			m.Offers = append(m.Offers, o)
		}
		return ok
	})
}

// scrape reads info_hash: a string, an array of them, or nothing.
func (f *fields) scrape(m *Message) (err error) {
	switch {
	case absent(f.hash):
		m.Scraped = nil
		return nil
	case f.hash[0] != '[':
		if !m.Hash.read(f.hash) {
			return ErrHash
		}
		m.Scraped = append(m.Scraped, m.Hash)
		return nil
	}
	s := scanner{rest: f.hash}
	ok := s.array(func() bool {
		var h Named
		if !h.read(s.value()) {
			return false
		}
		if len(m.Scraped) == MaxScraped {
			err = ErrMany
		}
		m.Scraped = append(m.Scraped, h)
		return err == nil
	})
	if err == nil && !ok {
		err = ErrHash
	}
	return err
}

// read reads an ID from a value.
func (n *Named) read(text []byte) bool {
	n.Text = text
	return binaryText(n.ID[:], text) == len(n.ID)
}

// isOfferID reports whether a value can be an offer id: clients draw 20 bytes or as many
// letters and digits.
func isOfferID(text []byte) bool {
	var b [maxOfferID]byte
	return len(text) <= maxText && binaryText(b[:], text) > 0
}

// absent reports whether there is no value, or null.
func absent(v []byte) bool { return v == nil || string(v) == "null" }
