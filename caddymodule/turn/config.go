package turn

// Config configures the relay. Listen, the relay addresses, RelayPorts and Realm make
// the sockets: a config that changes one of them gets another server, and the old
// one's allocations end. As both are there for a moment, a tcp or tls listener that
// stays the same beside such a change needs a restart; a reload says so and changes
// nothing. The rest may change over a reload: new allocations obey it at once,
// older ones when they are refreshed.
type Config struct {
	// Listen are the addresses: "udp/HOST:PORT", "tcp/HOST:PORT" or
	// "tls/HOST:PORT", the last with Caddy's certificates. Default: udp/:3478 and
	// tcp/:3478.
	Listen []string `json:"listen,omitempty"`

	// RelayAddress is the public IP address of the relay, as peers reach it.
	// Required.
	RelayAddress string `json:"relay_address"`

	// RelayAddress6 is a second, IPv6, address of the relay, for clients that ask
	// for one (RFC 8656, section 7.2). Default: none.
	RelayAddress6 string `json:"relay_address6,omitempty"`

	// RelayBind is the local IP address of the relay's sockets, where it is not the
	// public one. Default: any.
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
	// credentials; -1 is no bound. Default: 100.
	UnauthRate int `json:"unauth_rate,omitempty"`

	// SharedSecrets let other applications make credentials for the relay
	// (draft-uberti-behave-turn-rest-00); any of them is good, so that they can be
	// rotated. Viewers of the mesh do not need them. They may be placeholders, such
	// as {env.TURN_SECRET}. Default: none.
	SharedSecrets []string `json:"shared_secrets,omitempty"`

	// Realm is the realm of the credentials. Default: viewmesh.
	Realm string `json:"realm,omitempty"`

	// LogAddresses lets the relay's log lines name addresses of viewers. Default:
	// false.
	LogAddresses bool `json:"log_addresses,omitempty"`
}
