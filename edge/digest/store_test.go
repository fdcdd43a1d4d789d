package digest_test

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestVersions: one more server with the same bytes and another ETag is no
// variant, and a new version of a segment is no variant either.
func TestVersions(t *testing.T) {
	st := digest.NewStore(nil)
	k := digest.Key{Host: "h", Name: manifest.Name{Path: "/s"}}
	root := func(b byte) [32]byte { return [32]byte{b} }
	now := time.Now()
	learn := func(v string, b byte) string { return st.Learn(k, 10, v, make([]byte, 32), root(b), now) }
	for i, step := range []struct {
		validator string
		bytes     byte
		conflict  bool
	}{
		{`"1"`, 1, false}, {`"1-other-server"`, 1, false}, {`"1"`, 1, false},
		{`"2"`, 2, false}, {`"3"`, 3, false}, {`"3"`, 3, false},
		{`"3"`, 4, true}, {`"1"`, 1, true},
	} {
		if got := learn(step.validator, step.bytes); (got != "") != step.conflict {
			t.Errorf("step %d: conflict %q, want %v", i, got, step.conflict)
		}
	}
}

// TestTimeOfIssue: a statement says since when a segment has its bytes, which stays with
// them, and is later than that of the version before, whatever the clock does.
func TestTimeOfIssue(t *testing.T) {
	st := digest.NewStore(nil)
	k := digest.Key{Host: "h", Name: manifest.Name{Path: "/s"}}
	start := time.Unix(1_700_000_000, 0)
	keys, err := tokens.NewKeyring(start)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		validator string
		bytes     byte
		at, want  time.Duration
	}{
		{`"1"`, 1, 0, 0}, {`"1"`, 1, time.Hour, 0}, {`"2"`, 2, 2 * time.Hour, 2 * time.Hour}, {`"3"`, 3, time.Hour, 2*time.Hour + time.Second},
	} {
		st.Learn(k, 10, step.validator, make([]byte, 32), [32]byte{step.bytes}, start.Add(step.at))
		token, _, ok := st.Newest(k, keys, start)
		if !ok {
			t.Fatal("no statement")
		}
		v, err := keys.Verifier().VerifySegment(token, start)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Issued.Sub(start); got != step.want {
			t.Errorf("step %d: issued after %v, want %v", i, got, step.want)
		}
	}
}

// TestNamesUsedAgain: bytes that come back under a new validator, long after others had
// their name, are the next version of it; under the validator that they had, or while
// other viewers get others, they are a variant. Forgotten, all is new.
func TestNamesUsedAgain(t *testing.T) {
	st := digest.NewStore(nil)
	now := time.Now()
	for i, step := range []struct {
		path, validator string
		bytes           byte
		after           time.Duration
		conflict        bool
	}{
		{"/ring.ts", `"a1"`, 1, 0, false}, {"/ring.ts", `"b1"`, 2, time.Hour, false}, {"/ring.ts", `"a2"`, 1, time.Hour, false}, {"/ring.ts", `"b2"`, 2, time.Hour, false},
		{"/back.ts", `"a"`, 1, 0, false}, {"/back.ts", `"b"`, 2, time.Hour, false}, {"/back.ts", `"a"`, 1, time.Hour, true},
		{"/turns.ts", `"1"`, 1, 0, false}, {"/turns.ts", `"2"`, 2, time.Second, false}, {"/turns.ts", `"3"`, 1, time.Second, true},
		{"/same.ts", `"1"`, 1, 0, false}, {"/same.ts", `"1"`, 2, time.Hour, true},
		{"", "", 0, 0, false}, // all of the host is forgotten
		{"/same.ts", `"1"`, 2, time.Hour, false}, {"/turns.ts", `"3"`, 1, time.Second, false},
	} {
		if step.path == "" {
			st.Forget("h")
			continue
		}
		now = now.Add(step.after)
		k := digest.Key{Host: "h", Name: manifest.Name{Path: step.path}}
		if got := st.Learn(k, 10, step.validator, make([]byte, 32), [32]byte{step.bytes}, now); (got != "") != step.conflict {
			t.Errorf("step %d: conflict %q, want %v", i, got, step.conflict)
		}
	}
}

// TestTokenExpiry: a token is the same for all within half its life, and always
// good for at least digest.TokenLife.
func TestTokenExpiry(t *testing.T) {
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	st := digest.NewStore(nil)
	k := digest.Key{Host: "h", Name: manifest.Name{Path: "/s.ts"}}
	st.Learn(k, 5, "", make([]byte, 32), [32]byte{}, time.Now())
	start := time.Unix(1_800_000_000, 0).Truncate(digest.TokenLife)
	var last string
	changes := 0
	for at := start; at.Before(start.Add(3 * digest.TokenLife)); at = at.Add(10 * time.Minute) {
		token, _, ok := st.Headers(k, 5, "", keys, at)
		if !ok {
			t.Fatal("no token")
		}
		if token != last {
			last = token
			changes++
		}
		s, err := keys.Verifier().VerifySegment(token, at)
		if err != nil || s.Expires.Sub(at) < digest.TokenLife || s.Expires.Sub(at) > 2*digest.TokenLife {
			t.Fatalf("at %s the token is good for %s (%v)", at, s.Expires.Sub(at), err)
		}
	}
	if changes != 3 {
		t.Errorf("%d tokens in three steps", changes)
	}
}
