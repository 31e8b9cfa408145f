package main

import (
	"strings"
	"testing"
	"time"
)

// complaint is a command line that must fail with one line, and soon.
type complaint struct {
	name   string
	args   []string
	status int
	says   []string // all of these
}

func (c complaint) check(t *testing.T, endpoint string) {
	t.Helper()
	c.args = append([]string{"--endpoints", endpoint, "--command-timeout", "2s"}, c.args...)
	c.checkAlone(t)
}

// checkAlone gives it no flags of a connection.
func (c complaint) checkAlone(t *testing.T) {
	t.Helper()
	began := time.Now()
	stdout, stderr, status := etcdkit(t, c.args...)
	if took := time.Since(began); took > patience/3 {
		t.Errorf("%s: took %v", c.name, took)
	}
	if status != c.status || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "etcdkit: ") {
		t.Errorf("%s: status %d, %q, %q", c.name, status, stdout, stderr)
	}
	for _, text := range c.says {
		if !strings.Contains(stderr, text) {
			t.Errorf("%s: %q does not say %q", c.name, stderr, text)
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	for _, c := range []complaint{
		{"no such command", []string{"lokc"}, statusUsage, []string{`command "lokc"`}},
		{"no such flag", []string{"kv", "get", "--rev", "3"}, statusUsage, []string{"--rev", `"etcdkit kv get --help"`}},
		{"no key", []string{"kv", "get"}, statusUsage, []string{"the key is missing"}},
		{"no value", []string{"kv", "put", "a"}, statusUsage, []string{"the value is missing"}},
		{"two keys", []string{"kv", "del", "a", "b"}, statusUsage, []string{`unexpected argument "b"`}},
		{"empty key to put", []string{"kv", "put", "", "b"}, statusUsage, []string{"key", "empty"}},
		{"owners of none", []string{"lock", "owners"}, statusUsage, []string{"the name of the lock is missing"}},
		{"list of one", []string{"lock", "ls", "a"}, statusUsage, []string{`unexpected argument "a"`}},
		{"empty key", []string{"kv", "get", ""}, statusUsage, []string{"key", "empty"}},
		{"output", []string{"kv", "get", "a", "-o", "yaml"}, statusUsage, []string{`--output "yaml"`}},
		{"empty name", []string{"lock", "owners", ""}, statusUsage, []string{`etcdkit: bad lock name "": it is empty`}},
		{"long name", []string{"lock", "owners", long}, statusUsage, []string{`bad lock name "xxx`, `x"...`, "512"}},
		{"empty name to run", []string{"lock", "", "--", "echo"}, statusOwn, []string{`etcdkit: bad lock name "": it is empty`}},
		{"long name to run", []string{"lock", long, "--", "echo"}, statusOwn, []string{`etcdkit: bad lock name "xxx`, `x"...`, "512"}},
		{"bad prefix", []string{"lock", "ls", "--prefix", "a//b"}, statusUsage, []string{"a//b"}},
		{"no name", []string{"lock", "--", "echo"}, statusOwn, []string{"name"}},
		{"two names", []string{"lock", "a", "b", "--", "echo"}, statusOwn, []string{"one name"}},
		{"TTL", []string{"lock", "a", "--ttl", "0s", "--", "echo"}, statusOwn, []string{"TTL 0s"}},
		{"label", []string{"lock", "a", "--label", "x", "--", "echo"}, statusOwn, []string{"x must be formatted as key=value"}},
		{"wait", []string{"lock", "a", "--wait", "-1s", "--", "echo"}, statusOwn, []string{"--wait"}},
		{"label without key", []string{"lock", "a", "--label", "=foo", "--", "echo"}, statusOwn, []string{`"=foo"`, "empty"}},
		{"no dashes", []string{"lock", "run", "a", "sh", "-c", "echo hi"}, statusOwn, []string{"'c' in -c", `put "--" before the command (a -- sh ...)`}},
		{"try and wait", []string{"lock", "a", "--try", "--wait", "1s", "--", "echo"}, statusOwn, []string{"--try and --wait exclude each other"}},
		{"no election", []string{"elect", "--", "echo"}, statusOwn, []string{"the name of the election is missing"}},
		{"nothing to run", []string{"elect", "a"}, statusOwn, []string{"the command is missing: NAME -- COMMAND"}},
		{"nothing after the dashes", []string{"elect", "run", "a", "--"}, statusOwn, []string{"the command after -- is missing"}},
		{"dashes for an election", []string{"elect", "run", "a", "sh", "-c", "echo"}, statusOwn, []string{`put "--" before the command (a -- sh ...)`}},
		{"empty election", []string{"elect", "", "--", "echo"}, statusOwn, []string{`etcdkit: bad election name "": it is empty`}},
		{"empty election to list", []string{"elect", "candidates", ""}, statusUsage, []string{`etcdkit: bad election name "": it is empty`}},
		{"empty election to watch", []string{"elect", "watch", ""}, statusUsage, []string{`etcdkit: bad election name "": it is empty`}},
		{"priority", []string{"elect", "a", "--priority", "101", "--", "echo"}, statusOwn, []string{`election "a": a priority of 101 is not from 0 to 100`}},
		{"negative priority", []string{"elect", "a", "--priority", "-1", "--", "echo"}, statusOwn, []string{"a priority of -1"}},
		{"grace", []string{"elect", "a", "--grace", "-1s", "--", "echo"}, statusOwn, []string{"--grace must not be negative"}},
		{"TTL of a leader", []string{"elect", "a", "--ttl", "0s", "--", "echo"}, statusOwn, []string{"TTL 0s"}},
		{"candidate without label", []string{"elect", "a", "--label", "=x", "--", "echo"}, statusOwn, []string{`"=x"`, "empty"}},
		{"transfer to nobody", []string{"elect", "transfer", "a"}, statusUsage, []string{"the candidate is missing"}},
		{"transfer to nothing", []string{"elect", "transfer", "a", ""}, statusUsage, []string{"the candidate must not be empty"}},
		{"user without password", []string{"--user", "ann", "kv", "get", "a"}, statusUsage, []string{`"ann"`, "ETCDKIT_PASSWORD"}},
		{"password without user", []string{"--password", "p", "kv", "get", "a"}, statusUsage, []string{"no user"}},
		{"empty user", []string{"--user", ":p", "kv", "get", "a"}, statusUsage, []string{"no user"}},
		{"no time to connect", []string{"kv", "get", "a", "--dial-timeout", "-1s"}, statusUsage, []string{"--dial-timeout -1s"}},
		{"no time to answer", []string{"kv", "get", "a", "--command-timeout", "0"}, statusUsage, []string{"--command-timeout 0s"}},
		{"no time to lock", []string{"lock", "a", "--command-timeout", "0", "--", "echo"}, statusOwn, []string{"--command-timeout 0s"}},
		{"no CA file", []string{"--cacert", "no/such", "kv", "get", "a"}, statusUsage, []string{"--cacert", "no/such"}},
		{"no certificate", []string{"--cert", "no/such", "kv", "get", "a"}, statusUsage, []string{"--cert", "no/such"}},
	} {
		c.check(t, shared.endpoint)
	}
}

func TestCommandsThatDoNotConnect(t *testing.T) {
	t.Parallel()
	for _, c := range []complaint{
		{"endpoints of dev", []string{"dev", "--endpoints", "x"}, statusUsage, []string{"unknown flag: --endpoints", `"etcdkit dev --help"`}},
		{"and before it", []string{"--endpoints", "x", "dev"}, statusUsage, []string{"unknown flag: --endpoints"}},
		{"of a completion", []string{"completion", "bash", "--user", "x"}, statusUsage, []string{"unknown flag: --user"}},
		{"dir and demo", []string{"dev", "--demo", "--data-dir", "x"}, statusUsage, []string{"--data-dir and --demo exclude each other"}},
		{"no dir", []string{"dev", "--data-dir", ""}, statusUsage, []string{"--data-dir must not be empty"}},
		{"no such shell", []string{"completion", "bogus"}, statusUsage, []string{`"bogus"`}},
		{"no such topic", []string{"help", "lock", "bogus"}, statusUsage, []string{`"lock bogus"`}},
	} {
		c.checkAlone(t)
	}
	if out := succeed(t, "dev", "--help"); strings.Contains(out, "endpoints") {
		t.Errorf("dev knows of endpoints: %s", out)
	}
	if out := succeed(t, "lock", "ls", "--help"); strings.Count(out, "[$ETCDKIT_PREFIX]") != 1 || strings.Count(out, "[$ETCDKIT_ENDPOINTS]") != 1 {
		t.Errorf("lock ls: %s", out)
	}
}
