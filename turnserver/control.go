package turnserver

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"net/netip"
	"time"
)

// request is the request that pion is handling.
type request struct {
	active, answered bool
	from             netip.AddrPort
	alloc            *allocation // the client's, made by this request or before
	made             bool        // by this request
	granted          bool        // permissions or a channel, by authenticate
	ending           bool        // alloc ends when the request is answered
	cred             credential
	key              []byte       // not nil once the request is authenticated
	reserved         *reservation // what the request reserves, until it is answered
	code             int          // the error code to answer with instead of pion's
}

// request looks at a request before pion does, answers those that pion would not
// answer, or not well, and reports whether the request is for pion.
func (in *intake) request(from netip.AddrPort, now int64) bool {
	m, c := &in.msg, &in.s.counters
	in.req = request{from: from, alloc: in.lookup(from)}
	signed := m.has&hasIntegrity != 0
	switch {
	case m.method == methodBinding:
		if !in.mayAnswer(now, 0.25) {
			return false
		}
		if len(m.unknown) > 0 {
			in.refuse(codeUnknownAttr)
			return false
		}
		c.bindings.Add(1)
		in.reply(in.bindingAnswer())
		return false
	case !signed && !in.mayAnswer(now, 1):
		return false
	case m.method == methodCreatePermission || m.method == methodChannelBind:
		if in.req.alloc == nil { // pion would not answer
			if !signed || in.mayAnswer(now, 1) {
				in.refuse(codeMismatch)
			}
			return false
		}
	}
	if signed && len(m.unknown) > 0 {
		if in.mayAnswer(now, 1) {
			in.refuse(codeUnknownAttr)
		}
		return false
	}
	if !signed {
		c.challenges.Add(1)
	}
	in.req.active = true
	return true
}

// mayAnswer holds the limit on answers to unauthenticated datagrams. Streams need
// none, as nobody can be answered there who has not asked.
func (in *intake) mayAnswer(now int64, cost float64) bool {
	if in.transport != UDP || in.s.sources.take(now, in.req.from.Addr(), cost, in.s.policy.Load().UnauthRate) {
		return true
	}
	in.s.counters.drop(DropUnauthLimit)
	return false
}

func (in *intake) bindingAnswer() []byte {
	m := &in.msg
	var v [20]byte
	n := putXORAddress(v[:], in.req.from, m.txid)
	b := appendHeader(make([]byte, 0, 64), classSuccess, methodBinding, m.txid)
	b = appendAttr(b, attrXORMapped, v[:n])
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+8-stunHeader))
	return appendAttr(b, attrFingerprint, binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)^fingerprintXOR))
}

// refuse answers the current request with an error of the server's own.
func (in *intake) refuse(code int) {
	var nonce []byte
	key := in.req.key
	switch {
	case code == codeUnauthorized:
		nonce, key = in.msg.nonce, nil // pion has found the nonce good
	case key != nil:
		in.s.counters.refused[code].Add(1)
	}
	in.reply(errorAnswer(in.msg.method, in.msg.txid, code, in.s.cfg.Realm, nonce, in.msg.unknown, key))
}

func (in *intake) reply(b []byte) {
	in.req.answered = true
	if err := in.client.answer(in.req.from, b); err != nil && !errors.Is(err, net.ErrClosed) {
		in.s.counters.drop(DropSocket)
	}
}

// settle ends the request that pion has handled. pion leaves some unanswered that
// are for an allocation that does not exist.
func (in *intake) settle() {
	r := &in.req
	if !r.active {
		return
	}
	if !r.answered {
		in.refuse(codeMismatch)
	}
	if r.reserved != nil {
		in.s.reservations.drop(r.reserved)
	}
	if r.ending && r.alloc != nil {
		r.alloc.end()
	}
	in.req = request{}
}

// WriteTo is pion's answer to the current request.
func (in *intake) WriteTo(b []byte, _ net.Addr) (int, error) {
	r := &in.req
	if len(b) < stunHeader || !r.active || r.answered {
		return len(b), nil
	}
	c, _ := splitType(binary.BigEndian.Uint16(b))
	if c == classSuccess {
		in.adopt(b)
		in.reply(b)
		return len(b), nil
	}
	if r.granted {
		in.reply(appendIntegrity(appendHeader(nil, classSuccess, in.msg.method, in.msg.txid), r.key))
		return len(b), nil
	}
	code := r.code
	if code == 0 {
		code = errorCode(b)
		if r.key == nil {
			// A challenge or a stale nonce: pion's answer has the nonce.
			if in.msg.has&hasIntegrity == 0 || in.mayAnswer(in.s.now(), 1) {
				in.reply(b)
			}
			r.answered = true
			return len(b), nil
		}
	}
	if r.key != nil || in.mayAnswer(in.s.now(), 1) {
		in.refuse(code)
	}
	r.answered = true
	return len(b), nil
}

// errorCode reads the ERROR-CODE of a response that pion has made, or returns 0.
func errorCode(b []byte) int {
	if v := findAttr(b, attrErrorCode); len(v) >= 4 {
		return int(v[2])*100 + int(v[3])
	}
	return 0
}

// adopt takes over into the data plane what pion grants with the response b.
func (in *intake) adopt(b []byte) {
	r, m := &in.req, &in.msg
	a := r.alloc
	if a == nil {
		return // a deletion of nothing
	}
	switch m.method {
	case methodAllocate:
		if r.reserved != nil {
			in.s.reservations.put(string(findAttr(b, attrReservationToken)), r.reserved)
			r.reserved = nil
		}
	case methodRefresh:
		a.policy.Store(in.s.policy.Load())
	}
}

// authenticate is pion's AuthHandler. It finds the key that the request is signed
// with, or refuses it. Permissions and channels are served here as well and never
// become pion's: the data plane has no use for pion's tables, and pion would not
// survive a permission that is added at the moment when the allocation expires.
func (in *intake) authenticate(username, realm string, _ net.Addr) ([]byte, bool) {
	r, m := &in.req, &in.msg
	p := in.s.policy.Load()
	refuse := func(code int) ([]byte, bool) {
		if code == codeUnauthorized || code == codeWrongUser {
			in.s.counters.authFailures.Add(1)
		}
		r.code = code
		return nil, false
	}
	cred, ok := parseCredential(username)
	if !ok || realm != in.s.cfg.Realm {
		return refuse(codeUnauthorized)
	}
	var key []byte
	for _, secret := range p.Secrets {
		if k := longTermKey(secret, username, realm); m.signedBy(k) {
			key = k
			break
		}
	}
	if key == nil {
		return refuse(codeUnauthorized)
	}
	r.key, r.cred = key, cred
	if r.alloc != nil && r.alloc.user.name != cred.user {
		return refuse(codeWrongUser)
	}
	// Credentials live for minutes, allocations for as long as they are used: what
	// was allocated in time may be refreshed.
	if r.alloc == nil && !m.deletes() && !time.Now().Before(cred.expires) {
		return refuse(codeUnauthorized)
	}
	if m.method == methodRefresh && r.alloc != nil && !p.RelayEnabled && !m.deletes() {
		r.ending = true
		return refuse(codeForbidden)
	}
	if m.method == methodCreatePermission || m.method == methodChannelBind {
		if code := in.permit(p); code != 0 {
			return refuse(code)
		}
		r.granted = true // and pion's refusal is turned into a success
		return nil, false
	}
	return key, true
}

// permit serves the current CreatePermission or ChannelBind: it grants all of its peers
// or none, and tells the error code.
func (in *intake) permit(p *Policy) (code int) {
	a, m := in.req.alloc, &in.msg
	binds := m.method == methodChannelBind
	if len(m.peers) == 0 || binds && (m.has&hasChannel == 0 || m.channel < minChannel || m.channel > maxChannel) {
		return codeBadRequest
	}
	for _, peer := range m.peers {
		switch p.checkPeer(peer.Addr(), a.addr.Addr(), in.s.own.has) {
		case peerFamily:
			return codePeerFamily
		case peerDenied:
			return codeForbidden
		}
	}
	if binds {
		return a.bind(m.channel, m.peers[0])
	}
	return a.allow(m.peers)
}
