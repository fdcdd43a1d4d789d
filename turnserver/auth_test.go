package turnserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"testing"
	"time"

	"github.com/pion/stun"
)

// The vector that tokens and the browser's tests use too.
func TestRESTCredentialVector(t *testing.T) {
	mac := hmac.New(sha1.New, []byte("north"))
	mac.Write([]byte("1700000000:peer-1"))
	password := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if password != "izFBtBN0tC8mfzbn9GsbjcqtfUw=" {
		t.Fatal("the test's own vector is wrong")
	}
	want := stun.NewLongTermIntegrity("1700000000:peer-1", "example.org", password)
	if got := longTermKey(algorithmMD5, []byte("north"), "1700000000:peer-1", "example.org"); string(got) != string(want) {
		t.Errorf("key %x, want %x", got, want)
	}
}

func TestParseCredential(t *testing.T) {
	for name, want := range map[string]string{
		"1700000000:peer-1": "peer-1", "1700000000:a:b": "a:b", "1700000000": "1700000000", "1700000000:": "1700000000:",
		"0:x": "x", "": "", "peer-1": "", ":peer": "", "-5:x": "", "+5:x": "", "1e9:x": "", "99999999999999999999:x": "",
	} {
		c, ok := parseCredential(name)
		if ok != (want != "") || ok && c.user != want {
			t.Errorf("%q: user %q, %v, want %q", name, c.user, ok, want)
		}
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	s := start(t, nil)
	server := listen(t, s, UDP)
	good, goodPassword := mint(secret, "a", time.Minute)
	for name, change := range map[string]func(*rawClient){
		"wrong password": func(c *rawClient) { c.username, c.password = good, goodPassword+"x" },
		"other secret":   func(c *rawClient) { c.username, c.password = mint([]byte("south"), "a", time.Minute) },
		"expired":        func(c *rawClient) { c.username, c.password = mint(secret, "a", -time.Second) },
		"no expiry":      func(c *rawClient) { c.username = "a" },
		"other realm":    func(c *rawClient) { c.realm = stun.NewRealm("example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newRawClient(t, UDP, server, "a")
			c.challenge()
			change(c)
			if code := c.request(stun.MethodAllocate, wantUDP); code != 401 {
				t.Errorf("code %d, want 401", code)
			}
		})
	}
	c := newRawClient(t, UDP, server, "a")
	c.challenge()
	c.nonce = stun.NewNonce("stale")
	if code := c.request(stun.MethodAllocate, wantUDP); code != 438 {
		t.Errorf("code %d for a stale nonce, want 438", code)
	}
	if st := s.Stats(); st.AuthFailures != 5 || st.AllocationsTotal["udp"] != 0 || st.Challenges != 6 {
		t.Errorf("%d failures, %d challenges, %d allocations, want 5, 6 and none", st.AuthFailures, st.Challenges, st.AllocationsTotal["udp"])
	}
}

func TestSecretsAreRotated(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.Secrets = [][]byte{[]byte("new"), secret} })
	server := listen(t, s, UDP)
	old := newRawClient(t, UDP, server, "old")
	old.allocate()
	fresh := newRawClient(t, UDP, server, "fresh")
	fresh.username, fresh.password = mint([]byte("new"), "fresh", time.Minute)
	fresh.allocate()

	p := s.Policy()
	p.Secrets = p.Secrets[:1]
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	if code := fresh.request(stun.MethodRefresh); code != 0 {
		t.Errorf("refresh under the new secret: code %d", code)
	}
	if code := old.request(stun.MethodRefresh); code != 401 {
		t.Errorf("refresh under the secret that was removed: code %d, want 401", code)
	}
}

// Credentials live for minutes, and a call may last longer.
func TestRefreshAfterCredentialsExpired(t *testing.T) {
	s := start(t, nil)
	server := listen(t, s, UDP)
	c := newRawClient(t, UDP, server, "a")
	c.allocate()
	c.username, c.password = mint(secret, "a", -time.Minute)
	if code := c.request(stun.MethodRefresh); code != 0 {
		t.Errorf("refresh: code %d", code)
	}
	if code := c.request(stun.MethodCreatePermission, peer("127.0.0.1:9")); code != 0 {
		t.Errorf("permission: code %d", code)
	}
	if code := c.request(stun.MethodRefresh, attr(attrLifetime, 0, 0, 0, 0)); code != 0 {
		t.Errorf("delete: code %d", code)
	}
	if code := c.request(stun.MethodAllocate, wantUDP); code != 401 {
		t.Errorf("a new allocation: code %d, want 401", code)
	}
}

// Who can send from another's address and has credentials of their own must not reach
// the other's allocation.
func TestAnAllocationIsItsUsersOwn(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, UDP, listen(t, s, UDP), "viewer")
	c.allocate()
	name, password := c.username, c.password
	c.username, c.password = mint(secret, "attacker", time.Minute)
	for what, code := range map[string]int{
		"refresh":    c.request(stun.MethodRefresh),
		"delete":     c.request(stun.MethodRefresh, attr(attrLifetime, 0, 0, 0, 0)),
		"permission": c.request(stun.MethodCreatePermission, peer("127.0.0.1:9")),
		"channel":    c.request(stun.MethodChannelBind, channelAttr(0x4001), peer("127.0.0.1:9")),
	} {
		if code != 441 {
			t.Errorf("%s: code %d, want 441", what, code)
		}
	}
	c.username, c.password = name, password
	if code := c.request(stun.MethodRefresh); code != 0 {
		t.Errorf("the viewer's refresh: code %d", code)
	}
}
