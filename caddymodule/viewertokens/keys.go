package viewertokens

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/tokens"
)

// TokenKeys says whose signatures on viewer tokens are trusted, and how far. It is part of
// the formats urisigning and jwt.
type TokenKeys struct {
	// JWKSFile are files of keys: JWKS, one JWK, or PEM. They are read anew with
	// each load of the config.
	JWKSFile []string `json:"jwks_file,omitempty"`

	// JWKSURL are https URLs of JWKS. They are fetched with each load of the config,
	// every JWKSRefresh from then on, and, at most every 30 s, for an unknown key id.
	// Keys that cannot be refreshed are used for a day.
	JWKSURL []string `json:"jwks_url,omitempty"`

	// JWKSAllowHTTP permits http in JWKSURL. Whoever sits on that way can then make
	// tokens. Default: false.
	JWKSAllowHTTP bool `json:"jwks_allow_http,omitempty"`

	// JWKSRefresh is the age at which fetched keys are fetched again. Default: 15m.
	JWKSRefresh caddy.Duration `json:"jwks_refresh,omitempty"`

	// Secret is a shared secret for HS256 of at least 32 bytes, best as a
	// placeholder such as {env.TOKEN_SECRET} or {file./run/secrets/token}. Default:
	// none.
	Secret string `json:"secret,omitempty"`

	// Issuer are the issuers (iss) that the keys may sign for. Default: any, and
	// none named.
	Issuer []string `json:"issuer,omitempty"`

	// Narrow refuses tokens that allow every path of the site. Default: false.
	Narrow bool `json:"narrow,omitempty"`

	remote []*tokens.RemoteKeys
	pool   *http.Transport
}

// trust loads the keys that are files and sets up those that are URLs.
func (k *TokenKeys) trust() ([]tokens.Trust, error) {
	var out []tokens.Trust
	add := func(source tokens.KeySource) {
		out = append(out, tokens.Trust{Keys: source, Issuers: k.Issuer})
	}
	for _, file := range k.JWKSFile {
		set, err := readKeySet(file)
		if err != nil {
			return nil, fmt.Errorf("jwks_file: %w", err)
		}
		add(set)
	}
	if k.Secret != "" {
		set, err := tokens.SecretKeySet([]byte(k.Secret), "")
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		add(set)
	}
	if len(k.JWKSURL) > 0 {
		k.pool = &http.Transport{
			Proxy:        http.ProxyFromEnvironment,
			DialContext:  (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConns: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	for _, url := range k.JWKSURL {
		source, err := tokens.NewRemoteKeys(tokens.RemoteKeysConfig{
			URL: url, AllowHTTP: k.JWKSAllowHTTP, Transport: k.pool, Now: time.Now,
			Refresh: time.Duration(k.JWKSRefresh),
		})
		if err != nil {
			return nil, err
		}
		k.remote = append(k.remote, source)
		add(source)
		// The first viewer after a reload should not have to wait for the keys.
		// Close ends the fetch; what it comes to is seen by who asks next.
		go func() { _, _ = source.Keys(context.Background(), "") }()
	}
	if len(out) == 0 {
		return nil, errors.New("no keys: give jwks_file, jwks_url or secret")
	}
	return out, nil
}

// close ends what trust set up.
func (k *TokenKeys) close() {
	for _, source := range k.remote {
		source.Close()
	}
	k.remote = nil
	if k.pool != nil {
		k.pool.CloseIdleConnections()
	}
}

// readKeySet reads a file of keys.
func readKeySet(file string) (*tokens.KeySet, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	set, err := tokens.ParseKeySet(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return set, nil
}

// orNone verifies with v, which is nil before Provision.
func orNone(ctx context.Context, v tokens.Viewer, r tokens.Request) (tokens.Entitlement, error) {
	if v == nil {
		return tokens.Entitlement{}, errors.New("verify viewer token: the module is not provisioned")
	}
	return v.Verify(ctx, r)
}
