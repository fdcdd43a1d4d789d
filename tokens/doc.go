// Package tokens makes and checks every token of the mesh: the operator's own
// viewer tokens, the passes that peers show each other, the segment tokens that
// say which bytes may be shared, and the short-lived TURN credentials. It knows
// nothing of Caddy and serves no HTTP; any server or peer can use it.
//
// # Passes and segment tokens
//
// Both are compact JWS (RFC 7515) signed with Ed25519 (RFC 8037, "alg":"EdDSA").
// The protected header is {"alg","kid","typ"}; the verifier takes the key from
// its own set by "kid", accepts no other algorithm, refuses any "crit", and
// refuses a token of the other type. The claims are JSON; unknown claims are
// ignored, times are NumericDate in whole seconds (RFC 7519 section 2):
//
//	pass, typ "mesh-pass+jwt"
//	sub  string    peer id the pass was given to               required
//	swm  string    swarm id                                    required
//	scp  []string  path prefixes the peer may receive          required, 1 to 16
//	rcv  bool      true: the peer receives and never uploads   absent = false
//	key  string    the peer's session key, Ed25519, base64url unpadded  absent = it gives nothing
//	std  string    sealed by the edge for itself                absent = ""
//	iat  integer   issued at                                   required
//	exp  integer   expires; a pass is dead from this second on required
//
//	segment token, typ "mesh-segment+jwt"
//	pth  string    path of the resource, percent-encoded, no query  required
//	qry  string    the query that names it, percent-encoded         absent = none
//	off  integer   first byte of the range, in bytes                absent = 0
//	siz  integer   length of the range, in bytes, at least 1        required
//	chk  integer   chunk size, in bytes, at least 1                 required
//	rot  string    root digest, 32 bytes, base64url unpadded        required
//	iat  integer   since when the resource has these bytes          absent = unknown
//	exp  integer   expires; dead from this second on                required
//
// Every integer fits a JavaScript number exactly (at most 2^53-1). The vectors
// in testdata/mesh-tokens.json hold keys, tokens and the expected outcome of
// each, for verifiers in other languages: WebCrypto's Ed25519 agrees with them.
//
// # Viewer tokens
//
// A Viewer checks the operator's own entitlement token of one request and says
// what it allows. URISigning does RFC 9246, JWT does plain RFC 7519. Both take
// their keys from a KeySource (a KeySet read from PEM, JWK or JWKS, or
// RemoteKeys, which follows a URL), remember what they verified, and refuse with
// a Reason that is safe to log. ExampleURISigning shows a whole server.
//
// Passes and segment tokens are verified with crypto/ed25519 directly, because
// the form is fixed and peers verify many; viewer tokens, which come in several
// algorithms and encryptions, with go-jose.
//
// # Time and randomness
//
// Nothing here reads a clock: the time is always a parameter or a field. Only
// key generation and encryption draw random bytes, from crypto/rand.
package tokens
