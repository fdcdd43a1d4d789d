package viewertokens

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/tokens"
)

// Config says which viewers are entitled to the site's streams.
type Config struct {
	// Enforce says what becomes of a request without a good token: "require"
	// refuses it, "observe" counts and logs it and lets it through, "off" looks at
	// no token. Default: require.
	Enforce string `json:"enforce,omitempty"`

	// VerifierRaw is the format of the tokens: a module of the namespace
	// mesh.tokens, such as urisigning (RFC 9246) or jwt. Required.
	VerifierRaw json.RawMessage `json:"verifier,omitempty" caddy:"namespace=mesh.tokens inline_key=format"`
}

// Provision loads the module of the format and returns the
// viewer tokens of the edge's policy.
func (c *Config) Provision(ctx caddy.Context) (*edge.ViewerTokens, error) {
	if err := option.Expand(c); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if c.VerifierRaw == nil {
		return nil, errors.New("token has no verifier: name a format, such as urisigning or jwt")
	}
	mod, err := ctx.LoadModule(c, "VerifierRaw")
	if err != nil {
		return nil, fmt.Errorf("load the verifier of token: %w", err)
	}
	v, ok := mod.(tokens.Viewer)
	if !ok {
		return nil, fmt.Errorf("the verifier of token is a %T, which verifies no viewer tokens", mod)
	}
	return &edge.ViewerTokens{Enforce: c.Enforce, Verifier: v}, nil
}
