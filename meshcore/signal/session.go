package signal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// MaxSession is the largest session request, in bytes.
const MaxSession = 16 << 10

// SessionRequest is the body of POST /mesh/session.
type SessionRequest struct {
	// V is the version of the session protocol: 1.
	V int `json:"v"`
	// Swarm is the opaque id of the Mesh-Bootstrap header.
	Swarm string `json:"swarm"`
	// Manifest is the path and query, without viewer token, of the manifest that the
	// header came with: an edge that does not know the swarm, because it has started
	// since, learns from it what the presentation is. At most 4096 bytes.
	Manifest string `json:"manifest,omitempty"`
	// Token is the viewer token, where the site uses them and it is not in the
	// URL or a cookie.
	Token string `json:"token,omitempty"`
	// Mode is "full" (the default), or "receive_only": take chunks, give none.
	Mode string `json:"mode,omitempty"`
	// Site is the site of an enterprise that the page says the viewer is in, at most 64 bytes.
	Site string `json:"site,omitempty"`
	// Key is the public half of the session key, an Ed25519 key of 32 bytes (base64 in
	// JSON), with which the peer signs what it gives. Without one neighbors ask it for
	// nothing.
	Key []byte `json:"key,omitempty"`
	// Device is what the viewer plays on.
	Device Device `json:"device"`
}

// Device describes what a viewer plays on. Empty and zero mean not known.
type Device struct {
	Kind       string   `json:"kind,omitempty"`       // desktop, mobile, tv or server
	Connection string   `json:"connection,omitempty"` // ethernet, wifi, cellular
	MemoryMiB  int      `json:"memory_mib,omitempty"`
	Battery    *float64 `json:"battery,omitempty"` // 0 to 1; absent on mains power
	SaveData   bool     `json:"save_data,omitempty"`
	Player     string   `json:"player,omitempty"` // such as hls.js
	Label      string   `json:"label,omitempty"`  // what the page says of itself, for the operator's figures
}

// SessionAnswer is what a viewer gets: its identity and its configuration.
type SessionAnswer struct {
	V    int         `json:"v"`
	Peer wire.PeerID `json:"peer"`
	Pass string      `json:"pass"`
	// ExpiresMS is the time until Pass and the credentials of ICEServers expire.
	ExpiresMS int64 `json:"expires_ms"`
	// Keys is the JWKS of the edge's public keys.
	Keys json.RawMessage `json:"keys"`
	// ICEServers are the STUN and TURN servers, as RTCConfiguration has them.
	ICEServers []ICEServer `json:"ice_servers"`
	// RelayOnly forbids direct connections (iceTransportPolicy "relay").
	RelayOnly bool `json:"relay_only,omitempty"`
	// Signal and Segment are the URLs, relative to the session's, of the
	// signaling WebSocket and of the segment statements.
	Signal  string `json:"signal"`
	Segment string `json:"segment"`
	// OriginWaitMS is how long a segment waits at the origin now, in milliseconds, because
	// that cannot serve all who ask; 0 where it can, or where that is unknown.
	OriginWaitMS int64 `json:"origin_wait_ms,omitempty"`
	// Limits are what the peer must keep to.
	Limits Limits `json:"limits"`
	// AnnounceMS and ReportMS are intervals in milliseconds.
	AnnounceMS int64 `json:"announce_ms"`
	ReportMS   int64 `json:"report_ms"`
}

// Limits bound what a peer does. Zero means the peer's own default.
type Limits struct {
	Neighbors   int     `json:"neighbors,omitempty"`    // connections at once
	UploadBPS   int64   `json:"upload_bps,omitempty"`   // bit/s given to peers
	UploadRatio float64 `json:"upload_ratio,omitempty"` // bytes given / bytes received, at most
	RelayBPS    int64   `json:"relay_bps,omitempty"`    // bit/s taken over a relay
	CacheBytes  int64   `json:"cache_bytes,omitempty"`  // bytes of segments kept
	ReceiveOnly bool    `json:"receive_only,omitempty"` // give nothing
}

// ICEServer is RTCIceServer.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// SegmentStatement is the body of GET /mesh/segment?path=PATH: what the
// headers Mesh-Segment and Mesh-Digests of a segment say, or why they say nothing.
type SegmentStatement struct {
	Token  string `json:"token,omitempty"`
	Hashes []byte `json:"hashes,omitempty"` // base64 in JSON; 32 bytes a chunk
	// Code is NotKnown or NotShared where there is no Token, else empty; Detail is
	// for people.
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Why an edge makes no statement about a listed segment.
const (
	NotKnown  = "not_known"  // the digest is not known yet: ask again soon
	NotShared = "not_shared" // it may not be shared; that stays
)

// FieldError says which field of a session request is wrong, and how.
type FieldError struct {
	Field  string // as in the JSON, for example "device.battery"
	Detail string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Detail }

// ErrRequest is wrapped by each error of DecodeSession that is no *FieldError.
var ErrRequest = errors.New("session request is not a JSON object")

// DecodeSession reads and checks a session request. Where one field is wrong
// the error is a *FieldError; otherwise it wraps ErrRequest or ErrTooLarge.
func DecodeSession(b []byte) (SessionRequest, error) {
	var r SessionRequest
	if len(b) > MaxSession {
		return r, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxSession)
	}
	if err := unmarshalObject(b, &r, ErrRequest); err != nil {
		return r, err
	}
	return r, r.check()
}

// unmarshalObject reads one JSON object into v. A field of the wrong JSON type is
// a *FieldError; what is no object wraps notObject.
func unmarshalObject(b []byte, v any, notObject error) error {
	if t := bytes.TrimSpace(b); len(t) == 0 || t[0] != '{' {
		return notObject
	}
	err := json.Unmarshal(b, v)
	var (
		syntax *json.SyntaxError
		wrong  *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %w", notObject, err)
	case errors.As(err, &wrong) && wrong.Field != "":
		return &FieldError{wrong.Field, fmt.Sprintf("is a JSON %.40s, want %s", wrong.Value, jsonType(wrong.Type))}
	}
	return err
}

// jsonType says what a field of type t looks like in JSON.
func jsonType(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64, reflect.Uint16:
		return "a whole number in range"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "an array"
	case reflect.Uint64:
		return "a string of 16 hexadecimal digits"
	default:
		return "an object"
	}
}

// maxManifest is the longest SessionRequest.Manifest, in bytes.
const maxManifest = 4096

// maxLabel is the longest Device.Player or Label, in bytes.
const maxLabel = 64

func (r *SessionRequest) check() error {
	if m := r.Manifest; m != "" && (m[0] != '/' || len(m) > maxManifest || strings.ContainsAny(m, " #")) {
		return &FieldError{"manifest", "must be an escaped path, from the first slash, with its query"}
	}
	oneOf := func(field, value string, allowed ...string) error {
		if value == "" {
			return nil
		}
		for _, a := range allowed {
			if value == a {
				return nil
			}
		}
		return &FieldError{field, fmt.Sprintf("is %.32q, want one of %s", value, strings.Join(allowed, ", "))}
	}
	switch {
	case r.V != 1:
		return &FieldError{"v", fmt.Sprintf("is %d, this edge speaks version 1", r.V)}
	case r.Swarm == "":
		return &FieldError{"swarm", "is missing; take it from the Mesh-Bootstrap header of the manifest"}
	case len(r.Swarm) > MaxText:
		return &FieldError{"swarm", fmt.Sprintf("has %d bytes, at most %d", len(r.Swarm), MaxText)}
	case len(r.Key) != 0 && len(r.Key) != 32:
		return &FieldError{"key", fmt.Sprintf("has %d bytes, an Ed25519 key has 32", len(r.Key))}
	case len(r.Site) > 64:
		return &FieldError{"site", fmt.Sprintf("has %d bytes, at most 64", len(r.Site))}
	case len(r.Token) > 8<<10:
		return &FieldError{"token", fmt.Sprintf("has %d bytes, at most %d", len(r.Token), 8<<10)}
	case r.Device.MemoryMiB < 0:
		return &FieldError{"device.memory_mib", "is negative"}
	case len(r.Device.Player) > maxLabel:
		return &FieldError{"device.player", fmt.Sprintf("has %d bytes, at most %d", len(r.Device.Player), maxLabel)}
	case len(r.Device.Label) > maxLabel:
		return &FieldError{"device.label", fmt.Sprintf("has %d bytes, at most %d", len(r.Device.Label), maxLabel)}
	case r.Device.Battery != nil && !(*r.Device.Battery >= 0 && *r.Device.Battery <= 1):
		return &FieldError{"device.battery", fmt.Sprintf("is %v, want 0 to 1", *r.Device.Battery)}
	}
	if err := oneOf("mode", r.Mode, "full", "receive_only"); err != nil {
		return err
	}
	if err := oneOf("device.kind", r.Device.Kind, "desktop", "mobile", "tv", "server"); err != nil {
		return err
	}
	return oneOf("device.connection", r.Device.Connection, "ethernet", "wifi", "cellular", "unknown")
}
