package turnserver

import (
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// A request is read and answered here; pion's part is to hand out nonces and to know
// them again, and to admit allocations. As pion knows less than RFC 8489 and RFC 8656
// want (SHA-256, user hashes, two families, lifetimes over an hour), it is asked in
// other words: each request becomes one that this file writes (forPion), under a key
// that only the server has. What pion calls on the way (authenticate,
// AllocatePacketConn) does the work, and pion's answer (answered) becomes ours.

// request is the request that pion is handling.
type request struct {
	active, answered bool
	from             tuple
	alloc            *allocation // the client's, made by this request or before
	cred             credential
	proof            proof
	code             int    // the error code to answer with instead of pion's
	answer           []byte // the success response instead of pion's
	stub             *stub  // what pion has of an allocation that this request made
}

// request answers a request, with pion where that has a part in it.
func (in *intake) request(from tuple, now int64) {
	m, c := &in.msg, &in.s.counters
	in.req = request{from: from, alloc: in.lookup(from)}
	if m.method == methodBinding && !in.mayAnswer(in.s.bindings, now, in.s.policy.Load().BindingRate) ||
		m.method != methodBinding && (!m.signed() || m.unproven) && !in.mayChallenge(now) {
		return
	}
	switch {
	case m.unproven:
		in.refuse(codeBadRequest)
	case m.method != methodBinding:
		if !m.signed() {
			c.challenges.Add(1)
		}
		in.req.active = true
		in.desk.handle(in)
	case len(m.unknown) > 0:
		in.refuse(codeUnknownAttr)
	default:
		c.bindings.Add(1)
		in.reply(bindingAnswer(m, from.addr))
	}
}

// mayAnswer holds the limit on answers to unauthenticated datagrams. Streams need
// none, as nobody can be answered there who has not asked.
func (in *intake) mayAnswer(limit *sourceLimit, now int64, rate int) bool {
	if in.transport != UDP || limit.take(now, in.req.from.addr.Addr(), rate) {
		return true
	}
	in.s.counters.drop(DropUnauthLimit)
	return false
}

// mayChallenge is mayAnswer for all that is not Binding.
func (in *intake) mayChallenge(now int64) bool {
	return in.mayAnswer(in.s.answers, now, in.s.policy.Load().UnauthRate)
}

// forPion writes the current request into p as one that pion can judge: an Allocate
// where there is something to allocate, else a Refresh that deletes nothing. pion
// knows nothing of an allocation once the request is answered.
func (in *intake) forPion(p []byte) int {
	m := &in.msg
	method := methodRefresh
	if m.method == methodAllocate && in.req.alloc == nil {
		method = methodAllocate
	}
	b := appendHeader(p[:0], classRequest, method, m.txid)
	if method == methodAllocate {
		b = appendAttr(b, attrTransport, []byte{transportUDP, 0, 0, 0})
	} else {
		b = appendAttr(b, attrLifetime, []byte{0, 0, 0, 0})
	}
	if m.signed() {
		nonce := []byte("none")
		if n := len(nonceCookie); len(m.nonce) > n && string(m.nonce[:n]) == nonceCookie {
			nonce = m.nonce[n:]
		}
		b = appendAttr(b, attrUsername, []byte("u"))
		b = appendAttr(b, attrRealm, []byte(pionRealm))
		b = appendAttr(b, attrNonce, nonce)
		b = proof{key: in.s.pionKey}.sign(b)
	}
	return len(b)
}

// authenticate is pion's AuthHandler: the nonce of the current request is good. It
// finds who has sent the request, and serves it, but for allocations.
func (in *intake) authenticate() ([]byte, bool) {
	r := &in.req
	if r.code = in.identify(); r.code == 0 {
		r.code = in.admit()
	}
	return in.s.pionKey, r.code == 0
}

// identify finds the key that the current request is signed with, or the error code.
func (in *intake) identify() (code int) {
	r, m := &in.req, &in.msg
	algorithm, ok := m.passwordAlgorithm()
	if !ok {
		return codeBadRequest
	}
	username := string(m.username)
	if m.has&hasUsername == 0 {
		if username, ok = in.s.names.find(m.userhash); !ok {
			return codeUnauthorized
		}
	}
	cred, ok := parseCredential(username)
	if !ok || string(m.realm) != in.s.settings.Load().Realm {
		return codeUnauthorized
	}
	for _, secret := range in.s.policy.Load().Secrets {
		p := proof{longTermKey(algorithm, secret, username, in.s.settings.Load().Realm), m.integrity256 != 0}
		if p.proves(m) {
			r.cred, r.proof = cred, p
			in.s.names.add(username, time.Now())
			return 0
		}
	}
	return codeUnauthorized
}

// admit serves the current request, whose sender is known. It returns 0, with the
// answer where pion has no part in it, or the error code.
func (in *intake) admit() (code int) {
	r, m := &in.req, &in.msg
	p := in.s.policy.Load()
	switch {
	case r.alloc != nil && r.alloc.user.name != r.cred.user:
		return codeWrongUser
	// Credentials live for minutes, allocations for as long as they are used: what
	// was allocated in time may be refreshed.
	case r.alloc == nil && !m.deletes() && !time.Now().Before(r.cred.expires):
		return codeUnauthorized
	case len(m.unknown) > 0:
		return codeUnknownAttr
	case m.wrong:
		return codeBadRequest
	case m.method == methodAllocate:
		return in.admitAllocate()
	case r.alloc == nil:
		return codeMismatch
	case m.method == methodRefresh:
		return in.refresh(p)
	}
	if code := in.permit(p); code != 0 {
		return code
	}
	r.answer = done(m, r.proof)
	return 0
}

// answered takes pion's answer to the current request.
func (in *intake) answered(b []byte) {
	r := &in.req
	if len(b) < stunHeader || !r.active || r.answered {
		return
	}
	class, _ := splitType(binary.BigEndian.Uint16(b))
	switch {
	case r.code != 0:
		in.refuse(r.code)
	case class == classSuccess && r.answer != nil:
		in.reply(r.answer)
	case class == classSuccess:
		in.refuse(codeInsufficient) // pion has not asked
	case findAttr(b, attrNonce) != nil:
		// A challenge, or a stale nonce.
		if !in.msg.signed() || in.mayChallenge(in.s.now()) {
			in.reply(challenge(&in.msg, errorCode(b), in.s.settings.Load().Realm, append([]byte(nonceCookie), findAttr(b, attrNonce)...)))
		}
		r.answered = true
	default:
		in.refuse(errorCode(b))
	}
}

// errorCode reads the ERROR-CODE of a response that pion has made, or returns 400.
func errorCode(b []byte) int {
	if v := findAttr(b, attrErrorCode); len(v) >= 4 {
		return int(v[2])*100 + int(v[3])
	}
	return codeBadRequest
}

// refuse answers the current request with an error.
func (in *intake) refuse(code int) {
	r, c := &in.req, &in.s.counters
	r.answered = true
	known := r.proof.key != nil
	if code == codeUnauthorized || code == codeWrongUser {
		c.authFailures.Add(1)
	}
	if known {
		c.refused[code].Add(1)
	} else if r.active && !in.mayChallenge(in.s.now()) {
		return
	}
	if code == codeUnauthorized {
		in.reply(challenge(&in.msg, code, in.s.settings.Load().Realm, in.msg.nonce)) // pion has found the nonce good
		return
	}
	in.reply(errorAnswer(&in.msg, code, r.proof))
}

func (in *intake) reply(b []byte) {
	in.req.answered = true
	if err := in.client.answer(in.req.from, b); err != nil && !errors.Is(err, net.ErrClosed) {
		in.s.counters.drop(DropSocket)
	}
}

// settle ends the request that pion has handled.
func (in *intake) settle() {
	r := &in.req
	if !r.active {
		return
	}
	if !r.answered {
		in.refuse(codeBadRequest)
	}
	if r.stub != nil {
		<-r.stub.closed // pion has forgotten the allocation
	}
	in.req = request{}
}
