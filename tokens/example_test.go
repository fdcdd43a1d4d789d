package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/viewmesh/viewmesh/tokens"
)

// A server of any kind can check RFC 9246 tokens: turn the HTTP request into a
// tokens.Request, refuse what is refused, and hand the entitlement's URI, which
// holds no token, to whatever serves the bytes.
func ExampleURISigning() {
	// The content provider's key; a real site has only its public half. The same
	// private key lets this server renew tokens.
	keys, err := tokens.ParseKeySet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"csp-1",
		"x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w","d":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}`))
	if err != nil {
		panic(err)
	}
	signer, err := tokens.NewSigner(keys, "csp-1")
	if err != nil {
		panic(err)
	}
	viewers, err := tokens.NewURISigning(tokens.URISigningConfig{
		Trust:    []tokens.Trust{{Keys: keys, Issuers: []string{"csp"}}},
		Required: []string{"exp"},
		Signer:   signer,
	})
	if err != nil {
		panic(err)
	}
	now := time.Unix(1_700_000_000, 0) // a real server uses time.Now

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, _ := netip.ParseAddrPort(r.RemoteAddr)
		entitlement, err := viewers.Verify(r.Context(), tokens.Request{
			Method: r.Method, URI: "https://" + r.Host + r.URL.RequestURI(), Header: r.Header, ClientIP: client.Addr(), Time: now,
		})
		var refusal *tokens.Refusal
		if errors.As(err, &refusal) {
			fmt.Println("refused:", refusal.Reason) // log the reason, never the token
			http.Error(w, "not entitled", refusal.Status)
			return
		} else if err != nil {
			http.Error(w, "cannot check the token", http.StatusInternalServerError)
			return
		}
		if entitlement.Renewal != nil {
			w.Header().Set("Set-Cookie", entitlement.Renewal.SetCookie())
			w.Header().Set("Cache-Control", "private")
		}
		fmt.Println("serving:", entitlement.URI)
	})

	// The content provider signs a URI for one viewer: all of /live/ for a
	// minute, renewed in a cookie with each request.
	container, err := tokens.RegexContainer(`https://video\.example/live/.*`)
	if err != nil {
		panic(err)
	}
	token, err := signer.Sign(map[string]any{
		"iss": "csp", "exp": now.Unix() + 60, "cdniuc": container, "cdnistt": 1, "cdniets": 60, "cdnistd": 1,
	})
	if err != nil {
		panic(err)
	}

	ask := func(uri string, cookies ...*http.Cookie) *http.Response {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, uri, nil)
		for _, cookie := range cookies {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result()
	}
	first := ask(tokens.AddToQuery("https://video.example/live/index.m3u8?v=2", tokens.DefaultAttribute, token))
	ask("https://video.example/live/720p/1.m4s", first.Cookies()...)
	ask("https://video.example/vod/film.m4s", first.Cookies()...)
	fmt.Println(ask("https://video.example/live/720p/1.m4s").StatusCode)

	// Output:
	// serving: https://video.example/live/index.m3u8?v=2
	// serving: https://video.example/live/720p/1.m4s
	// refused: uri
	// refused: missing
	// 403
}

// An edge admits a peer, and another peer checks what it is shown.
func ExampleKeyring() {
	now := time.Unix(1_700_000_000, 0)
	edge, err := tokens.NewKeyring(now)
	if err != nil {
		panic(err)
	}
	pass, err := edge.SignPass(tokens.Pass{
		Peer: "peer-1", Swarm: "swarm-1", Scope: []string{"/live/"}, Issued: now, Expires: now.Add(5 * time.Minute),
	})
	if err != nil {
		panic(err)
	}
	published, err := edge.Public()
	if err != nil {
		panic(err)
	}

	peer, err := tokens.NewVerifier(published)
	if err != nil {
		panic(err)
	}
	shown, err := peer.VerifyPass(pass, now.Add(time.Minute))
	fmt.Println(shown.Peer, shown.Covers("/live/720p/1.m4s"), shown.Covers("/vod/film.m4s"), err)
	_, err = peer.VerifyPass(pass, now.Add(5*time.Minute))
	fmt.Println(errors.Is(err, tokens.ErrExpired))

	// Output:
	// peer-1 true false <nil>
	// true
}
