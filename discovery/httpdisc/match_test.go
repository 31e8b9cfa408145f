package httpdisc

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	t.Parallel()
	routes := Routes{Routes: []Route{
		{Service: "any"},
		{Service: "api", PathPrefix: "/api"},
		{Service: "v2", PathPrefix: "/api/v2/"},
		{Service: "shop", Host: "Shop.Example.com", PathPrefix: "/"},
		{Service: "shop-api", Host: "shop.example.com", PathPrefix: "/api"},
		{Service: "six", Host: "::1", PathPrefix: "/only"},
	}}
	if err := routes.Validate(); err != nil {
		t.Fatal(err)
	}
	table := newTable(routes, func(*path) {})
	for _, test := range []struct{ host, path, want string }{
		{"", "/", "any"},
		{"", "", "any"},
		{"", "*", "any"},
		{"x", "/apix", "any"},
		{"x", "/apix/y", "any"},
		{"x", "/api", "api"},
		{"x", "/api/", "api"},
		{"x", "/api/x", "api"},
		{"x", "/api/v2", "v2"},
		{"x", "/api/v2/", "v2"},
		{"x", "/api/v2/deep/er", "v2"},
		{"x", "/api/v22", "api"},
		{"x", "//api", "any"},
		{"x", "/API", "any"},
		{"shop.example.com", "/", "shop"},
		{"SHOP.example.COM:8080", "/x", "shop"},
		{"shop.example.com.", "/api/v2", "shop-api"},
		{"shop.example.com.evil", "/", "any"},
		{"[::1]:80", "/only/x", "six"},
		{"[::1]", "/only", "six"},
		{"[::1]:80", "/api", "api"},
		{"x", strings.Repeat("/", 1<<16), "any"},
	} {
		if got := table.find(test.host, test.path); got == nil || got.Service != test.want {
			t.Errorf("%q %.40q: %+v, want %q", test.host, test.path, got, test.want)
		}
	}
	none := newTable(Routes{Routes: routes.Routes[1:2]}, func(*path) {})
	for _, path := range []string{"/", "", "/apix", "*"} {
		if got := none.find("x", path); got != nil {
			t.Errorf("%q: %+v, want none", path, got)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) { // and so it cannot run in parallel
	table := newTable(Routes{Routes: []Route{{Service: "shop", Host: "shop.example.com", PathPrefix: "/api"}}}, func(*path) {})
	if n := testing.AllocsPerRun(100, func() { table.find("shop.example.com:8080", "/api/v2/x") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStrip(t *testing.T) {
	t.Parallel()
	p := newTable(Routes{Routes: []Route{{PathPrefix: "/a b/", StripPrefix: true}}}, func(*path) {}).hosts[""].byPrefix["/a b"]
	for _, test := range []struct{ in, want string }{
		{"/a%20b", "/"},
		{"/a%20b/", "/"},
		{"/a%20b/x/y", "/x/y"},
		{"/a%20b/x%2Fy", "/x%2Fy"},
		{"/a%20b//x", "//x"},
		{"/%61%20b/x%2Fy", ""},
		{"/a%20b%2Fx", ""},
	} {
		u, err := url.Parse("http://host" + test.in)
		if err != nil {
			t.Fatal(err)
		}
		if ok := p.strip(u); ok != (test.want != "") || ok && u.EscapedPath() != test.want {
			t.Errorf("%q: %q, %v", test.in, u.EscapedPath(), ok)
		}
	}
}

func TestCutEscaped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, prefix, want string }{
		{"/a(b)/x", "/a(b)", "/x"},
		{"/a%28b%29/x", "/a(b)", "/x"},
		{"/%C3%a9/x", "/\u00e9", "/x"},
		{"/%61/x", "/a", ""},
		{"/a%2Fb/x", "/a/b", ""},
		{"/a%2", "/a(", ""},
		{"/a", "/a/b", ""},
		{"/b/x", "/a", ""},
	} {
		if rest, ok := cutEscaped(test.path, test.prefix); rest != test.want || ok != (test.want != "") {
			t.Errorf("%q without %q: %q, %v", test.path, test.prefix, rest, ok)
		}
	}
}

func TestHasDots(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/": false, "/a.b": false, "/..a": false, "/a..": false, "/...": false, "/a.b/c.d.e": false, "/.well-known/x": false,
		"/a;b/c": false, "/..a;b": false, "/..;": true, "/a/.;b/c": true, `/a\..\b`: true, `..\a`: true, "/;..": false, "/...;": false,
		"/.": true, "/..": true, "/a/../b": true, "/a/./b": true, "/a/..": true, "..": true, "/a.b/..": true,
	} {
		if got := hasDots(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, good := range []Routes{
		{},
		{Routes: []Route{{Service: "team/api", Host: "api.example.com", PathPrefix: "/api/", StripPrefix: true, Timeout: -1}}},
		{Routes: []Route{{Service: "a"}, {Service: "a", PathPrefix: "/a"}}, Health: map[string]string{"a": "/healthz?deep=1"}},
		{Routes: []Route{{Service: "a", Host: "2001:db8::1"}}},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, test := range []struct {
		why string
		Routes
	}{
		{"service: must not be empty", Routes{Routes: []Route{{}}}},
		{"routes[1]", Routes{Routes: []Route{{Service: "a"}, {Service: "a/"}}}},
		{"512 bytes", Routes{Routes: []Route{{Service: strings.Repeat("x", 513)}}}},
		{"those of routes[0]", Routes{Routes: []Route{{Service: "a"}, {Service: "b", PathPrefix: "/"}}}},
		{"those of routes[0]", Routes{Routes: []Route{{Service: "a", Host: "X", PathPrefix: "/a"}, {Service: "b", Host: "x.", PathPrefix: "/a/"}}}},
		{"begin with a slash", Routes{Routes: []Route{{Service: "a", PathPrefix: "api"}}}},
		{"clean path", Routes{Routes: []Route{{Service: "a", PathPrefix: "/api/../x"}}}},
		{"clean path", Routes{Routes: []Route{{Service: "a", PathPrefix: "//"}}}},
		{"clean path", Routes{Routes: []Route{{Service: "a", PathPrefix: "/a//b"}}}},
		{"clean path", Routes{Routes: []Route{{Service: "a", PathPrefix: "/a%20b"}}}},
		{"without a port", Routes{Routes: []Route{{Service: "a", Host: "x:80"}}}},
		{"host name alone", Routes{Routes: []Route{{Service: "a", Host: "*.x"}}}},
		{"host name alone", Routes{Routes: []Route{{Service: "a", Host: "http://x"}}}},
		{"no path_prefix to strip", Routes{Routes: []Route{{Service: "a", StripPrefix: true, PathPrefix: "/"}}}},
		{"no route leads", Routes{Health: map[string]string{"a": "/x"}}},
		{"and not two", Routes{Routes: []Route{{Service: "a"}}, Health: map[string]string{"a": "//evil/x"}}},
		{"begins with a slash", Routes{Routes: []Route{{Service: "a"}}, Health: map[string]string{"a": "x"}}},
	} {
		if err := test.Validate(); err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%+v: %v, want %q", test.Routes, err, test.why)
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		b := &budget{share: 0.2, perSecond: 1}
		spend := func() (n int) {
			for b.retry() {
				n++
			}
			return n
		}
		if n := spend(); n != 10 {
			t.Errorf("%d retries at the start, want those of ten seconds", n)
		}
		for range 100 {
			b.request()
		}
		if n := spend(); n != 20 {
			t.Errorf("%d retries for 100 requests more, want a fifth of them", n)
		}
		total := 0
		for range 600 { // a minute of a hundred requests a second, all of which fail
			for range 10 {
				b.request()
			}
			time.Sleep(100 * time.Millisecond)
			total += spend()
		}
		if want := 60 * 21; total < want-60 || total > want+250 {
			t.Errorf("%d retries in a minute with 6000 requests, want about %d", total, want)
		}
		for range 1000 {
			b.request()
		}
		time.Sleep(time.Hour)
		if n := spend(); n > 11 {
			t.Errorf("%d retries after an hour without requests", n)
		}
	})
}
