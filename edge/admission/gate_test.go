package admission

import (
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/viewmesh/viewmesh/edge/catalog"
)

func TestCleanRequest(t *testing.T) {
	for _, c := range []struct{ asked, clean, inner, want string }{
		{"/a/b.ts?T=x.y.z", "/a/b.ts", "/a/b.ts?T=x.y.z", "/a/b.ts"},
		{"/a/b.ts?v=1&T=x.y.z&w=2", "/a/b.ts?v=1&w=2", "/b.ts?v=1&T=x.y.z&w=2", "/b.ts?v=1&w=2"},
		{"/a/b.ts;T=x.y.z?v=1", "/a/b.ts?v=1", "/b.ts;T=x.y.z?v=1", "/b.ts?v=1"},
		{"/a/b%20c.ts;T=x.y.z", "/a/b%20c.ts", "/b%20c.ts;T=x.y.z", "/b%20c.ts"},
		{"/a/b.ts?T=x.y.z", "/a/b.ts", "/index.php?path=b&T=x.y.z", "/index.php?path=b&"},
		{"/a/b.ts", "/a/b.ts", "/other", "/other"},
	} {
		u, err := url.Parse("http://h" + c.asked)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "http://h"+c.inner, nil)
		v := &Visit{Host: "h", Asked: u, URL: u}
		if err := (&Gate{catalog: catalog.New(nil)}).clean(r, v, "http://h"+c.clean); err != nil {
			t.Fatal(err)
		}
		out := v.URL
		if out.RequestURI() != c.clean || r.URL.RequestURI() != c.want {
			t.Errorf("%s as %s: viewer's %s, upstream's %s, want %s and %s", c.asked, c.inner, out.RequestURI(), r.URL.RequestURI(), c.clean, c.want)
		}
		if c.asked != c.clean && r.RequestURI != c.want {
			t.Errorf("%s: RequestURI %s", c.asked, r.RequestURI)
		}
	}
}
