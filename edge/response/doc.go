// Package response passes bodies on to viewers, byte for byte, and adds what the
// mesh says of them: Mesh-Bootstrap to manifests, Mesh-Segment and Mesh-Digests to
// segments that may be shared.
//
//	segments.go    Segments: serves segments
//	target.go      which listed segment a response carries
//	segmentwriter.go  one response on its way, digested while it passes
//	manifests.go   Manifests: serves manifests and has the catalog learn them
//	shareable.go   which responses may be shared
//	ending.go      which bodies without Content-Length are whole
//	bodyrange.go   which bytes of its resource a response carries
//	encoding.go    encoded manifests
//	sendfile.go    a file's bytes on their way
//
// A response is a manifest if its path ends in .m3u8, .m3u or .mpd, or its
// Content-Type says HLS or DASH. It gets Mesh-Bootstrap (RFC 9651 dictionary), the
// same for every viewer: v, session and swarm, and in token the names of viewer
// tokens in URLs, with spaces between, where there are any. A copy of the body is
// read on the side to learn which URIs are segments.
//
// A response to GET or HEAD is a segment if a manifest listed its path. It gets
// Mesh-Segment, a signed token, and Mesh-Digests (RFC 9651 byte sequence, 32
// bytes a chunk) if it may be shared and its digest is known: of a file before
// the header goes out; of a body from elsewhere once it has passed through
// whole. GET /mesh/segment?path=PATH answers what the headers would have said. One
// that may not be shared has the Mesh-Digests ?0 instead: there is nothing to ask
// for.
package response
