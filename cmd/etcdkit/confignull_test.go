package main

import (
	"strings"
	"testing"
)

// TestConfigTreeWithNull: what is read can be written again, and deletes nothing.
func TestConfigTreeWithNull(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	for path, value := range map[string]string{"a": "null", "b": "1", "c/d": "null\n", "e": "\u00a0null", "f": "\xff"} {
		if _, err := shared.client.Put(t.Context(), prefix+"/config/app/"+path, value); err != nil {
			t.Fatal(err)
		}
	}
	got := succeed(t, args("get", "--tree", "app", "-o", "json")...)
	if want := `"value":{"b":1,"e":" null"},"keys_base64":{"f":"/w=="},"keys_null":["a","c/d"]}` + "\n"; !strings.HasSuffix(got, want) {
		t.Errorf("in JSON: %q, want %q", got, want)
	}
	for _, path := range []string{"e", "f"} {
		if _, err := shared.client.Delete(t.Context(), prefix+"/config/app/"+path); err != nil {
			t.Fatal(err)
		}
	}
	before := succeed(t, args("get", "--tree", "app")...)
	for as, want := range map[string]string{"json": "{\n  \"b\": 1\n}\n", "yaml": "b: 1\n"} {
		stdout, stderr, status := etcdkit(t, args("get", "--tree", "app", "--format", as)...)
		if status != 0 || stdout != want || stderr != "etcdkit: config \"app\": left out, since null would delete them: a, c/d\n" {
			t.Errorf("as %s: status %d, %q, %q", as, status, stdout, stderr)
		}
		succeed(t, args("put", "--tree", "app", file(t, "app."+as, stdout))...)
		if after := succeed(t, args("get", "--tree", "app")...); after != before {
			t.Errorf("as %s: from %q to %q", as, before, after)
		}
	}
}
