package admission

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestIntersect(t *testing.T) {
	for _, c := range []struct{ a, b, want []string }{
		{[]string{"/live/"}, []string{"/"}, []string{"/live/"}},
		{[]string{"/live/", "/live/v0/"}, []string{"/live/v0/"}, []string{"/live/v0/"}},
		{[]string{"/live/"}, []string{"/vod/"}, nil},
		{[]string{"/live/"}, []string{"/liv"}, nil},
	} {
		if got := intersect(c.a, c.b); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestSeal: what a pass carries for the edge is read by one with the same secret, for the
// peer that it was made for, and by nobody else.
func TestSeal(t *testing.T) {
	e := entitlement{scope: []string{"/a/", "/b/"}, until: time.Unix(1_700_000_000, 0), viewer: Viewer{1}, key: [32]byte{2}}
	of := basis{&e, device{"tv", "ethernet"}, siteID{"campus", true}}
	text, err := newSeal([]byte("secret")).close(of, "peer")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newSeal([]byte("secret")).open(text, "peer"); err != nil || !reflect.DeepEqual(got, of) {
		t.Errorf("%+v, want %+v: %v", got, of, err)
	}
	for name, open := range map[string]func() (basis, error){
		"another secret": func() (basis, error) { return newSeal([]byte("other")).open(text, "peer") },
		"another peer":   func() (basis, error) { return newSeal([]byte("secret")).open(text, "other") },
		"cut":            func() (basis, error) { return newSeal([]byte("secret")).open(text[:len(text)-4], "peer") },
		"nothing":        func() (basis, error) { return newSeal([]byte("secret")).open("", "peer") },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s opens it", name)
		}
	}
}
