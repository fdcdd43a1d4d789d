package response

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
)

// decoded undoes a Content-Encoding that it knows, up to maxManifest bytes.
func decoded(encoding string, body []byte) ([]byte, bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, true
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, false
		}
		out, err := io.ReadAll(io.LimitReader(z, maxManifest+1))
		return out, err == nil && len(out) <= maxManifest
	}
	return nil, false
}
