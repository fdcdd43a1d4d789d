package reply

import (
	"net/http"
	"strings"
)

// The header fields of the mesh.
const (
	HeaderBootstrap = "Mesh-Bootstrap"
	HeaderSegment   = "Mesh-Segment"
	HeaderDigests   = "Mesh-Digests"
)

// NoDigests is a value of HeaderDigests (RFC 9651, section 3.3.6): there is no
// statement, and there will be none.
const NoDigests = "?0"

// RemoveMeshHeaders takes out what an upstream said in the mesh's name.
func RemoveMeshHeaders(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "Mesh-") {
			delete(h, name)
		}
	}
}

// Expose lets pages of other hosts read header fields (CORS).
func Expose(h http.Header, names ...string) {
	h.Add("Access-Control-Expose-Headers", strings.Join(names, ", "))
}
