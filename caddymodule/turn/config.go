package turn

import "github.com/caddyserver/caddy/v2"

// Config configures the relay. All of it may change over a reload without ending an
// allocation: what is allocated then is made as the new config says, older allocations
// go on and obey its bounds when they are refreshed. A listener that is taken out
// serves what was allocated over it to its end.
type Config struct {
	// Listen are the addresses: "udp/HOST:PORT", "tcp/HOST:PORT" or
	// "tls/HOST:PORT", the last with Caddy's certificates. Default: udp/:3478 and
	// tcp/:3478.
	Listen []string `json:"listen,omitempty"`

	// Advertise is what viewers are told of the listeners, where that is not the
	// default: "HOST" for all of them, or "NETWORK/HOST", "NETWORK/HOST:PORT" for those
	// of one network. HOST is a name or an IP address; behind a CDN, which carries
	// neither UDP nor TURN, it is one that leads here. Default: the relay's public
	// addresses for udp and tcp, the name of the site's certificate for tls; the
	// listener's port.
	Advertise []string `json:"advertise,omitempty"`

	// ProxyProtocol has tcp and tls listeners read the PROXY protocol, versions 1 and 2.
	// Default: they do not.
	ProxyProtocol *ProxyProtocol `json:"proxy_protocol,omitempty"`

	// RelayAddress is the public IP address of the relay, as peers reach it.
	// Required.
	RelayAddress string `json:"relay_address"`

	// RelayAddress6 is a second, IPv6, address of the relay, for clients that ask
	// for one (RFC 8656, section 7.2). Default: none.
	RelayAddress6 string `json:"relay_address6,omitempty"`

	// RelayBind is the local IP address of the relay's sockets, where it is not the
	// public one. Default: RelayAddress while this host has it, else any.
	RelayBind string `json:"relay_bind,omitempty"`

	// RelayBind6 is RelayBind for RelayAddress6. Default: any.
	RelayBind6 string `json:"relay_bind6,omitempty"`

	// RelayPorts is the range of the relay's ports, "MIN-MAX". Default: 49152-65535.
	RelayPorts string `json:"relay_ports,omitempty"`

	// OwnAddresses are further public addresses of this server that its network
	// interfaces do not show, because a router translates them. They are not
	// relayed to, as those of the interfaces never are. Default: none.
	OwnAddresses []string `json:"own_addresses,omitempty"`

	// AllowPeers are prefixes that may be relayed to although they are private,
	// loopback or special. Default: none.
	AllowPeers []string `json:"allow_peers,omitempty"`

	// DenyPeers are prefixes that are not relayed to, also where AllowPeers opens
	// them. Default: none but what is private, loopback or special.
	DenyPeers []string `json:"deny_peers,omitempty"`

	// UserBandwidth bounds what one viewer relays, both directions together, in
	// bytes a second. Default: no bound.
	UserBandwidth int64 `json:"user_bandwidth,omitempty"`

	// UserBytes bounds what one viewer relays in all, both directions together, in
	// bytes. Default: no bound.
	UserBytes int64 `json:"user_bytes,omitempty"`

	// UserAllocations bounds the allocations of one viewer. Default: 64.
	UserAllocations int `json:"user_allocations,omitempty"`

	// TotalBandwidth bounds what all viewers relay, in bytes a second. Default: no
	// bound.
	TotalBandwidth int64 `json:"total_bandwidth,omitempty"`

	// TotalBytes is the relay's budget, in bytes since the server started. Once it
	// is spent, nothing is relayed any more and sessions are told of STUN only.
	// Default: no bound.
	TotalBytes int64 `json:"total_bytes,omitempty"`

	// UnauthRate bounds the answers a second to one source that has not shown
	// credentials; -1 is no bound. Default: 300.
	UnauthRate int `json:"unauth_rate,omitempty"`

	// BindingRate bounds the answers a second to STUN Binding requests of one source; -1
	// is no bound. Default: four times UnauthRate.
	BindingRate int `json:"binding_rate,omitempty"`

	// MaxConnections bounds the open TCP and TLS connections. Default: 16384.
	MaxConnections int `json:"max_connections,omitempty"`

	// MaxConnectionsPerSource bounds those of one source address, or IPv6 /64. Default:
	// 1024.
	MaxConnectionsPerSource int `json:"max_connections_per_source,omitempty"`

	// MaxLifetime bounds the lifetime of an allocation between two refreshes, of which
	// clients ask for one; from 10m. Default: 2h.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	// SharedSecrets let other applications make credentials for the relay
	// (draft-uberti-behave-turn-rest-00); any of them is good, so that they can be
	// rotated. Viewers of the mesh do not need them. They may be placeholders, such
	// as {env.TURN_SECRET}. Default: none.
	SharedSecrets []string `json:"shared_secrets,omitempty"`

	// Realm is the realm of the credentials. Default: viewmesh.
	Realm string `json:"realm,omitempty"`

	// Audit writes a log line for each allocation when it ends: user, transport, relayed
	// port, bytes, duration, and the client where LogAddresses is set. Default: false.
	Audit bool `json:"audit,omitempty"`

	// LogAddresses lets the relay's log lines name addresses of viewers. Default:
	// false.
	LogAddresses bool `json:"log_addresses,omitempty"`
}

// ProxyProtocol says whose PROXY headers are believed, as in Caddy's listener wrapper of
// that name.
type ProxyProtocol struct {
	// Timeout bounds how long a header may take. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Allow are the prefixes that PROXY headers are believed from. Default: none, and
	// what a header says is not used.
	Allow []string `json:"allow,omitempty"`

	// Deny are prefixes from which a PROXY header ends the connection. Default: none.
	Deny []string `json:"deny,omitempty"`
}
