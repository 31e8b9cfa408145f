package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// startDev starts "etcdkit dev" and returns it with its endpoint.
func startDev(t *testing.T, dir string) (*process, string) {
	t.Helper()
	p := launch(t, nil, "dev", "--data-dir", dir)
	line := p.await("export ETCDKIT_ENDPOINTS=")
	_, endpoint, _ := strings.Cut(line, "=")
	return p, endpoint
}

func TestDevKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	for i, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p, endpoint := startDev(t, dir)
		if i == 0 {
			succeed(t, "--endpoints", endpoint, "kv", "put", "kept", "yes")
		}
		if got := succeed(t, "--endpoints", endpoint, "kv", "get", "kept"); got != "kept\nyes\n" {
			t.Errorf("start %d: found %q", i, got)
		}
		p.signal(sig)
		if status := p.wait(); status != 0 {
			t.Errorf("start %d: status %d after %v: %s", i, status, sig, p.err.all())
		}
	}
}

func TestDevTakesAnotherPort(t *testing.T) {
	t.Parallel()
	_, first := startDev(t, t.TempDir())
	_, second := startDev(t, t.TempDir())
	if first == second {
		t.Fatalf("both are at %s", first)
	}
	for _, endpoint := range []string{first, second} {
		succeed(t, "--endpoints", endpoint, "kv", "put", "at", endpoint)
	}
	if got := succeed(t, "--endpoints", first, "kv", "get", "at"); got != "at\n"+first+"\n" {
		t.Errorf("found %q", got)
	}
}

func TestDevRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startDev(t, dir)
	refused(t, dir)
}

func TestDevRefusesADirectoryOfAnotherEtcd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, _ := startDev(t, dir)
	p.signal(syscall.SIGTERM)
	p.wait()
	db, err := os.OpenFile(filepath.Join(dir, "member", "snap", "db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := syscall.Flock(int(db.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	refused(t, dir)
}

func refused(t *testing.T, dir string) {
	t.Helper()
	_, stderr, status := etcdkit(t, "dev", "--data-dir", dir)
	if want := "etcdkit: data directory " + dir + ": another process is using it\n"; status != statusFailed || stderr != want {
		t.Errorf("status %d, %q, want 1, %q", status, stderr, want)
	}
}

func TestDevCannotMakeTheDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, status := etcdkit(t, "dev", "--data-dir", filepath.Join(file, "data"))
	if status != statusFailed || !strings.HasPrefix(stderr, "etcdkit: data directory: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, %q", status, stderr)
	}
}

func TestDevRefusesWhatIsNotEtcds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "letter"))
	complaint{"not empty", []string{"dev", "--data-dir", dir}, statusFailed, []string{dir, "no member directory"}}.checkAlone(t)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("etcd's files beside others: %v, %v", left, err)
	}
}

func TestDevSaysThatItsDataIsDamaged(t *testing.T) {
	t.Parallel()
	db, wal := t.TempDir(), t.TempDir()
	write(t, filepath.Join(db, "member", "snap", "db"))
	complaint{"database", []string{"dev", "--data-dir", db}, statusFailed, []string{db, "invalid database"}}.checkAlone(t)

	p, _ := startDev(t, wal)
	p.signal(syscall.SIGTERM)
	p.wait()
	write(t, filepath.Join(wal, "member", "wal", "0000000000000000-0000000000000000.wal"))
	complaint{"log", []string{"dev", "--data-dir", wal}, statusFailed, []string{wal, "cannot start"}}.checkAlone(t)
}

// write puts garbage into a file.
func write(t *testing.T, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("garbage", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	p, tmp := startDemo(t, "--demo")
	servers, gateway := p.await("a process of its own:"), p.await("The gateway has started")
	if status := p.wait(); status != 0 {
		t.Fatalf("status %d: %s%s", status, p.out.all(), p.err.all())
	}
	text := p.out.all()
	for _, claim := range []string{
		"dan  answers its first request", "All servers have kept their places in the list", "etcd was down for 4.0 s", "requests 0 failed.",
	} {
		if !strings.Contains(text, claim) {
			t.Errorf("no %q in %s", claim, text)
		}
	}
	forgotten := regexp.MustCompile(`forgotten bob ([0-9.]+) s after the crash`).FindStringSubmatch(text)
	if forgotten == nil {
		t.Fatalf("the list forgets nobody: %s", text)
	}
	if took, err := strconv.ParseFloat(forgotten[1], 64); err != nil || took > demoBound.Seconds() {
		t.Errorf("forgotten after %s s, %v", forgotten[1], err)
	}
	if n := regexp.MustCompile(`Of (\d+) requests`).FindStringSubmatch(text); n == nil || len(n[1]) < 3 {
		t.Errorf("hardly any requests: %q", n)
	}
	if strings.Contains(text, ", failed 0") != !regexp.MustCompile(`, failed [1-9]`).MatchString(text) {
		t.Errorf("failures: %s", text)
	}
	if p.err.all() != "" {
		t.Errorf("it complains: %s", p.err.all())
	}
	nothingLeft(t, tmp, 5, servers, gateway, regexp.MustCompile(`dan  is started \(\d+\)`).FindString(text))
}

func TestDemoOfLockAndElection(t *testing.T) {
	t.Parallel()
	for _, act := range []string{"lock", "election"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			p, tmp := startDemo(t, "--demo="+act)
			crew := p.await("a process of its own:")
			if status := p.wait(); status != 0 {
				t.Fatalf("status %d: %s%s", status, p.out.all(), p.err.all())
			}
			text := p.out.all()
			took := regexp.MustCompile(`takes over, ([0-9.]+) s after the crash`).FindStringSubmatch(text)
			if took == nil || act == "election" && !strings.Contains(text, "ms after that") {
				t.Fatalf("somebody does not take over: %s", text)
			}
			if waited, err := strconv.ParseFloat(took[1], 64); err != nil || waited > demoBound.Seconds() {
				t.Errorf("took over after %s s, %v", took[1], err)
			}
			nothingLeft(t, tmp, 3, crew)
		})
	}
}

func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	for act, during := range map[string]string{"lock": "works, token", "election": "leads, token", "gateway": "etcd is killed", "all": "is killed under load"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			p, tmp := startDemo(t, "--demo="+act)
			crew := p.await("a process of its own:")
			p.await(during)
			p.signal(syscall.SIGINT)
			if status := p.wait(); status != 128+2 || p.err.all() != "" {
				t.Errorf("status %d, %q", status, p.err.all())
			}
			nothingLeft(t, tmp, 3, crew)
		})
	}
}

// startDemo starts it, with a folder of its own for temporary files.
func startDemo(t *testing.T, demo string) (p *process, tmp string) {
	t.Helper()
	tmp = t.TempDir()
	return launch(t, []string{"TMPDIR=" + tmp, "ETCDCTL_CACERT=of another etcd"}, "dev", demo), tmp
}

// nothingLeft checks that the demo left no files behind, nor any of the n processes that these lines name.
func nothingLeft(t *testing.T, tmp string, n int, lines ...string) {
	t.Helper()
	files, err := os.ReadDir(tmp)
	if err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	pids := regexp.MustCompile(`\((\d+)\)`).FindAllStringSubmatch(strings.Join(lines, ""), -1)
	if len(pids) != n {
		t.Fatalf("no %d processes in %q", n, lines)
	}
	for _, match := range pids {
		pid, err := strconv.Atoi(match[1])
		if err != nil || syscall.Kill(pid, 0) == nil {
			t.Errorf("process %s is left, %v", match[1], err)
		}
	}
}
