package main

import (
	"strings"
	"testing"
)

func TestBadConfigCommands(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	bad, twice := file(t, "bad.json", "{\n \"x\" 1}"), file(t, "twice.yaml", "x: 1\nx: 2")
	long := strings.Repeat("x", 600)
	succeed(t, args("put", "a", "--value", "{}")...)
	for _, c := range []complaint{
		{"no such verb", args("delete", "a"), statusUsage, []string{`"delete"`}},
		{"get nothing", args("get"), statusUsage, []string{"the name of the value is missing"}},
		{"get two", args("get", "a", "b"), statusUsage, []string{`unexpected argument "b"`}},
		{"get an empty name", args("get", ""), statusUsage, []string{`etcdkit: bad config name "": it is empty`}},
		{"get a long name", args("get", long), statusUsage, []string{`bad config name "xxx`, `x"...`, "512"}},
		{"get at no key", args("get", "a", "--at-key", ""), statusUsage, []string{"key", "empty"}},
		{"get as XML", args("get", "a", "--format", "xml"), statusUsage, []string{`--format "xml": must be json or yaml`}},
		{"get twice coded", args("get", "a", "--format", "yaml", "-o", "json"), statusUsage, []string{"--format", "-o json"}},
		{"put nothing", args("put"), statusUsage, []string{"the name of the value is missing"}},
		{"put no value", args("put", "a"), statusUsage, []string{"the value is missing: FILE, - for standard input, or --value"}},
		{"put two values", args("put", "a", "-", "--value", "1"), statusUsage, []string{"FILE and --value exclude each other"}},
		{"put three", args("put", "a", "b", "c"), statusUsage, []string{`unexpected argument "c"`}},
		{"put with two bases", args("put", "a", "--value", "1", "--create", "--revision", "1"), statusUsage, []string{"--revision and --create exclude each other"}},
		{"put below zero", args("put", "a", "--value", "1", "--revision", "-1"), statusUsage, []string{"--revision -1: must not be negative"}},
		{"put at no number", args("put", "a", "--value", "1", "--revision", "x"), statusUsage, []string{`"x"`, "--revision"}},
		{"put no file", args("put", "a", "no/such.json"), statusFailed, []string{`put "a": open no/such.json: `}},
		{"put bad JSON", args("put", "a", bad), statusFailed, []string{`put "a": ` + bad + ": bad JSON at line 2, column 6: "}},
		{"put bad YAML", args("put", "a", twice), statusFailed, []string{`put "a": ` + twice + `: bad YAML at line 2, column 1: "x" is there twice`}},
		{"put a field twice", args("put", "a", "--value", `{"b":[{"x":1,"\u0078":2}]}`), statusFailed, []string{`put "a": --value: bad JSON at line 1, column 21: "x" is there twice`}},
		{"put a key of a tree twice", args("put", "--tree", "a", "--value", `{"x":1,"x":2}`), statusFailed, []string{`put "a": --value: bad JSON at line 1, column 10: "x" is there twice`}},
		{"put no JSON", args("put", "a", "--value", "5s"), statusFailed, []string{`put "a": --value: bad JSON at line 1, column 2: `}},
		{"put nothing at all", args("put", "a", "-"), statusFailed, []string{`put "a": standard input: it is empty`}},
		{"put too much", args("put", "a", file(t, "big", `"`+strings.Repeat("x", 1<<20)+`"`)), statusFailed, []string{`config "a": too large: 1048578 bytes`}},
		{"put a long comment", args("put", "a", "--value", "1", "--comment", strings.Repeat("x", 5000)), statusFailed, []string{`config "a": too large: author or comment`}},
		{"put no tree", args("put", "--tree", "a", "--value", "5"), statusFailed, []string{`put "a": --value: it is no object whose fields are the keys`}},
		{"put an empty tree", args("put", "--tree", "a", "--value", "{}"), statusFailed, []string{`config "a": there is nothing to write`}},
		{"put a bad path", args("put", "--tree", "a", "--value", `{"b//c":1}`), statusUsage, []string{"b//c"}},
		{"edit nothing", args("edit"), statusUsage, []string{"the name of the value is missing"}},
		{"edit an empty name", args("edit", ""), statusUsage, []string{`bad config name ""`}},
		{"edit as XML", args("edit", "a", "--format", "xml"), statusUsage, []string{`--format "xml"`}},
		{"del nothing", args("del"), statusUsage, []string{"the name of the value is missing"}},
		{"del two", args("del", "a", "b"), statusUsage, []string{`unexpected argument "b"`}},
		{"del an empty name", args("del", ""), statusUsage, []string{`bad config name ""`}},
		{"del at zero", args("del", "a", "--revision", "0"), statusUsage, []string{"--revision 0: must be a number from 1 on"}},
		{"del with a value", args("del", "a", "--value", "1"), statusUsage, []string{"--value"}},
		{"ls two", args("ls", "a", "b"), statusUsage, []string{`unexpected argument "b"`}},
		{"ls a bad name", args("ls", "a//b"), statusUsage, []string{"a//b"}},
		{"history of nothing", args("history"), statusUsage, []string{"the name of the value is missing"}},
		{"history of an empty name", args("history", ""), statusUsage, []string{`bad config name ""`}},
		{"history at a key", args("history", "a", "--at-key", "k"), statusUsage, []string{"--at-key"}},
		{"diff at a key of two", args("diff", "a", "1", "1", "--at-key", "k"), statusUsage, []string{"--at-key is for NAME A"}},
		{"diff at a key of none", args("diff", "a", "--at-key", "k"), statusUsage, []string{"--at-key is for NAME A"}},
		{"ls of a tree", args("ls", "--tree"), statusUsage, []string{"--tree"}},
		{"status in a format", args("status", "a", "--format", "yaml"), statusUsage, []string{"--format"}},
		{"diff of nothing", args("diff"), statusUsage, []string{"the name of the value is missing"}},
		{"diff of three", args("diff", "a", "1", "2", "3"), statusUsage, []string{`unexpected argument "3"`}},
		{"diff of no number", args("diff", "a", "x"), statusUsage, []string{`version "x": must be a number from 1 on`}},
		{"diff of zero", args("diff", "a", "1", "0"), statusUsage, []string{`version "0": must be a number from 1 on`}},
		{"diff of what is not", args("diff", "a", "9"), statusFailed, []string{`config "a": diff: there is no version 9: the history has 1 to 1`}},
		{"diff without history", args("diff", "none"), statusFailed, []string{`config "none": the history is empty`}},
		{"rollback to nothing", args("rollback", "a"), statusUsage, []string{"the version is missing"}},
		{"rollback to no number", args("rollback", "a", "one"), statusUsage, []string{`version "one"`}},
		{"rollback to what is not", args("rollback", "a", "7"), statusFailed, []string{"there is no version 7: the history has 1 to 1"}},
		{"rollback without history", args("rollback", "none", "1"), statusFailed, []string{"there is no version 1: the history is empty"}},
		{"status of nothing", args("status"), statusUsage, []string{"the name of the value is missing"}},
		{"status of an empty name", args("status", ""), statusUsage, []string{`bad config name ""`}},
		{"watch nothing", args("watch"), statusUsage, []string{"the name of the value is missing"}},
		{"watch an empty name", args("watch", ""), statusUsage, []string{`bad config name ""`}},
	} {
		c.check(t, shared.endpoint)
	}
	if value, _ := stands(t, prefix, "a"); value != "{}" {
		t.Errorf("%s stands there", value)
	}
}

// TestConfigWithoutEtcd: each verb says what is in the way, and where.
func TestConfigWithoutEtcd(t *testing.T) {
	t.Parallel()
	mute := newMute(t)
	for _, args := range [][]string{
		{"get", "a"},
		{"put", "a", "--value", "1"},
		{"edit", "a"},
		{"del", "a"},
		{"ls"},
		{"history", "a"},
		{"diff", "a"},
		{"rollback", "a", "1"},
		{"status", "a"},
		{"watch", "a"},
	} {
		args = append([]string{"config"}, args...)
		complaint{args[1] + " of nobody", args, statusFailed, []string{"etcd at 127.0.0.1:1: ", "connection refused"}}.check(t, "127.0.0.1:1")
		args = append(args, "--command-timeout", "300ms")
		complaint{args[1] + " of one who is silent", args, statusFailed, []string{"no answer from etcd at " + mute + " within 300ms"}}.check(t, mute)
	}
}
