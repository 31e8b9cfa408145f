package lastgood

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var errForeign = errors.New("it belongs to somebody else")

// never fails the test if it is asked.
func never(t *testing.T) func([]byte) error {
	return func(old []byte) error {
		t.Errorf("asked about %q", old)
		return errForeign
	}
}

func yes([]byte) error { return nil }

// holds fails the test unless the folder has one file, with that content, for its owner alone.
func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("it holds %q, %v; want %q", got, err, want)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("in the folder: %v, %v", entries, err)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "last")
	if err := Replace(path, []byte("one"), never(t)); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "one")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	asked := ""
	if err := Replace(path, []byte("two"), func(old []byte) error { asked = string(old); return nil }); err != nil || asked != "one" {
		t.Fatalf("asked about %q; %v", asked, err)
	}
	holds(t, path, "two")
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	err = Replace(path, []byte("three"), func([]byte) error { return errForeign })
	if !errors.Is(err, errForeign) || !strings.Contains(err.Error(), path) {
		t.Errorf("over a foreign file: %v", err)
	}
	holds(t, path, "two")

	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("four"), never(t)); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "four")
}

// TestWhatIsNoFile: a folder that has to be there is not, and one stands where the file should.
func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "later", "last")
	if err := Replace(path, nil, yes); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Errorf("without the folder: %v", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, nil, never(t)); !errors.Is(err, ErrNoFile) || !strings.Contains(err.Error(), path) {
		t.Errorf("over a folder: %v", err)
	}
	if _, err := os.ReadDir(path); err != nil {
		t.Errorf("the folder: %v", err)
	}
}

// TestTogether: several at once leave the whole of one.
func TestTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "last")
	const size = 1 << 16
	var group sync.WaitGroup
	for _, letter := range []string{"a", "b", "c", "d"} {
		group.Go(func() {
			for range 5 {
				err := Replace(path, []byte(strings.Repeat(letter, size)), func(old []byte) error {
					if len(old) != size || strings.Trim(string(old), string(old[:1])) != "" {
						return errForeign
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, strings.Repeat(string(got[:1]), size))
}
