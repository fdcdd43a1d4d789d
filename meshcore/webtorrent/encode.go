package webtorrent

import "strconv"

// AppendReply appends the reply to an announce: how many seconds to wait for the next, and
// how many peers have all of the torrent or some of it.
func AppendReply(b []byte, m *Message, interval, complete, incomplete int) []byte {
	b = append(b, `{"action":"announce","info_hash":`...)
	b = append(b, m.Hash.Text...)
	b = append(b, `,"interval":`...)
	b = strconv.AppendInt(b, int64(interval), 10)
	b = append(b, `,"complete":`...)
	b = strconv.AppendInt(b, int64(complete), 10)
	b = append(b, `,"incomplete":`...)
	b = strconv.AppendInt(b, int64(incomplete), 10)
	if m.TrackerID != nil {
		b = append(b, `,"tracker id":`...)
		b = append(b, m.TrackerID...)
	}
	return append(b, '}')
}

// AppendOffer appends the offer of m with an index, for the peer that was chosen for it.
func AppendOffer(b []byte, m *Message, offer int) []byte {
	b = appendFrom(b, m, m.Offers[offer].ID)
	b = append(b, `,"offer":`...)
	b = append(b, m.Offers[offer].Description...)
	return append(b, '}')
}

// AppendAnswer appends the answer of m, for the peer that it is to.
func AppendAnswer(b []byte, m *Message) []byte {
	b = appendFrom(b, m, m.OfferID)
	b = append(b, `,"answer":`...)
	b = append(b, m.Answer...)
	return append(b, '}')
}

func appendFrom(b []byte, m *Message, offerID []byte) []byte {
	b = append(b, `{"action":"announce","info_hash":`...)
	b = append(b, m.Hash.Text...)
	b = append(b, `,"peer_id":`...)
	b = append(b, m.Peer.Text...)
	b = append(b, `,"offer_id":`...)
	return append(b, offerID...)
}

// AppendFailure appends why a message was refused. It has an action whatever the message
// was, because clients take a frame without one for an error of the socket, and leave.
func AppendFailure(b []byte, m *Message, why string) []byte {
	b = append(b, `{"action":`...)
	action := m.Action
	if action == "" {
		action = Announce
	}
	b = strconv.AppendQuote(b, string(action))
	if m.Hash.Text != nil && m.Hash.Text[0] == '"' && len(m.Hash.Text) <= maxText {
		b = append(b, `,"info_hash":`...)
		b = append(b, m.Hash.Text...)
	}
	b = append(b, `,"failure reason":`...)
	b = appendText(b, why)
	return append(b, '}')
}

// File is what a scrape says of an info hash.
type File struct {
	Hash                 ID
	Complete, Incomplete int
}

// AppendScrape appends the reply to a scrape.
func AppendScrape(b []byte, interval int, files []File) []byte {
	b = append(b, `{"action":"scrape","files":{`...)
	for i, f := range files {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendID(b, f.Hash)
		b = append(b, `:{"complete":`...)
		b = strconv.AppendInt(b, int64(f.Complete), 10)
		b = append(b, `,"incomplete":`...)
		b = strconv.AppendInt(b, int64(f.Incomplete), 10)
		b = append(b, `,"downloaded":`...) // a lower bound: who has all of it now
		b = strconv.AppendInt(b, int64(f.Complete), 10)
		b = append(b, '}')
	}
	b = append(b, `},"flags":{"min_request_interval":`...)
	b = strconv.AppendInt(b, int64(interval), 10)
	return append(b, `}}`...)
}

// appendID appends an ID as a string.
func appendID(b []byte, id ID) []byte {
	r := make([]rune, len(id))
	for i, c := range id {
		r[i] = rune(c)
	}
	return appendText(b, string(r))
}

// appendText appends a string of JSON.
func appendText(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
