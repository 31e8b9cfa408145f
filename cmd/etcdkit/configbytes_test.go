package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"etcdkit/config"
)

// TestConfigOfBytes: what is not UTF-8 comes out of "get" as it is, and nowhere else, and is never changed in silence.
func TestConfigOfBytes(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	for name, value := range map[string]string{"bytes": "\xff\n\xfe", "string": "{\"x\":\"\xff\"}"} {
		if _, err := storeIn(prefix, name).Put(t.Context(), 0, []byte(value), config.WithComment("\xff")); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string]string{"text": "5s", "bytes": "\xff", "string": "\"\xfe\""} {
		if _, err := shared.client.Put(t.Context(), prefix+"/config/wood/"+key, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "bytes"}, "\xff\n\xfe\n"},
		{[]string{"get", "string"}, "{\"x\":\"\xff\"}\n"},
		{[]string{"get", "--tree", "wood"}, "KEY     VALUE\nbytes   \"\\xff\"\nstring  \"\\\"\\xfe\\\"\"\ntext    5s\n"},
		{[]string{"diff", "bytes"}, "+\\xff\n+\\xfe\n"},
	} {
		if got := succeed(t, args(c.args...)...); got != c.want {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "bytes"}, `"value_base64":"/wr+"`},
		{[]string{"get", "string"}, `"value_base64":"eyJ4Ijoi/yJ9"`},
		{[]string{"get", "--tree", "wood"}, `"value":{"text":"5s"},"keys_base64":{"bytes":"/w==","string":"Iv4i"}}`},
		{[]string{"diff", "bytes"}, `"diff":"+\\xff\n+\\xfe\n"`},
		{[]string{"history", "bytes"}, `"comment":"`},
	} {
		got := succeed(t, args(append(c.args, "-o", "json")...)...)
		if !strings.Contains(got, c.want) || !utf8.ValidString(got) || !json.Valid([]byte(got)) {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
	for _, format := range []string{"json", "yaml"} {
		shown := strings.ToUpper(format)
		for _, c := range []complaint{
			{"bytes as " + format, args("get", "bytes", "--format", format), statusFailed, []string{`config "bytes": it is not UTF-8, and cannot be shown as ` + shown}},
			{"a string as " + format, args("get", "string", "--format", format), statusFailed, []string{`config "string": it is not UTF-8`}},
			{"a tree as " + format, args("get", "--tree", "wood", "--format", format), statusFailed, []string{`config "wood": the key bytes is not UTF-8`}},
			{"put bytes as " + format, args("put", "bytes", file(t, "a."+format, "\n\"a\xff\"")), statusFailed, []string{"a." + format + ": bad text at line 2, column 3: it is not UTF-8"}},
		} {
			c.check(t, shared.endpoint)
		}
	}
}

// TestConfigPutKeepsWhatCameInAPipe: nobody else may have it.
func TestConfigPutKeepsWhatCameInAPipe(t *testing.T) {
	t.Parallel()
	args := configIn(ownPrefix(t))
	succeed(t, args("put", "--tree", "wood", "--value", `{"a":1,"b":2}`)...)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--create"}, "theirs, a:\n1\netcdkit: theirs, b:\n2\n"},
		{[]string{"--revision", "1"}, "theirs, a:\n1\netcdkit: theirs, b:\n2\n"},
	} {
		p := launch(t, []string{"TMPDIR=" + t.TempDir()}, args(append([]string{"put", "--tree", "wood", "-", "--format", "yaml"}, c.args...)...)...)
		p.say("a: 5 # more")
		if err := p.stdin.Close(); err != nil {
			t.Fatal(err)
		}
		if status := p.wait(); status != statusConflict || !strings.Contains(p.err.all(), c.says) {
			t.Errorf("%v: status %d, %q", c.args, status, p.err.all())
		}
		named := regexp.MustCompile(`your text is kept in (\S+\.yaml)\n`).FindStringSubmatch(p.err.all())
		if named == nil {
			t.Fatalf("no text is kept: %q", p.err.all())
		}
		text, err := os.ReadFile(named[1])
		if info, errStat := os.Stat(named[1]); err != nil || errStat != nil || string(text) != "a: 5 # more\n" || info.Mode().Perm() != 0o600 {
			t.Errorf("kept: %q, %v, %v", text, err, errStat)
		}
	}
}
