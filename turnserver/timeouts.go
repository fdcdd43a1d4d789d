package turnserver

import "time"

// timeouts bound how long a client may take to do what it should.
type timeouts struct {
	handshake time.Duration // of TLS
	first     time.Duration // for the first message to come
	idle      time.Duration // between messages, without an allocation
	write     time.Duration // for a client to take what is sent to it

	reservation time.Duration // for a reserved port to be allocated
	lifetime    time.Duration // of an allocation, at least
}

var defaultTimeouts = timeouts{
	handshake: 10 * time.Second,
	first:     10 * time.Second,
	idle:      60 * time.Second,
	write:     10 * time.Second,

	reservation: reservationLifetime,
	lifetime:    defaultLifetime,
}
