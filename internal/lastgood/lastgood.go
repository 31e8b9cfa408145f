// Package lastgood writes files that must be whole whenever a program starts: what was last known to be good. What stands in them is
// the business of the packages that keep them.
package lastgood

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Replace makes a file hold data: the whole of it or what was there before, also when the machine stops. Only its owner can read it. The
// folder has to be there. If there is a file that is not empty, mine is asked about its content first, and an error of it means that it
// stays as it is; so does what is no regular file. Every error names the path, or that of a file beside it, which is gone by then.
//
// Two programs that replace one file at the same time do not harm it, and one of them is last. But what somebody puts there between
// the question and the rename, a moment later, is lost.
func Replace(path string, data []byte, mine func(old []byte) error) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // readable by its owner alone
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = cmp.Or(err, temp.Sync()) // before the rename: else that can outlive a crash without the data
	err = cmp.Or(err, temp.Close())
	if err == nil {
		err = ask(path, mine) // last, since somebody may put a file there at any time
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // what is left of it does no harm
		return err
	}
	return syncDir(dir)
}

// ask returns why what stands at a path must stay.
func ask(path string, mine func(old []byte) error) error {
	old, err := Read(path)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return err
	case len(old) == 0:
		return nil
	}
	if err := mine(old); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Read returns what a file holds. What is no regular file is an error: a pipe would block, and a device has no end.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNoFile}
	}
	return os.ReadFile(path)
}

// ErrNoFile says that what stands at a path is a folder, a device or the like.
var ErrNoFile = errors.New("it is no regular file")

// syncDir makes a rename last. Windows has no such thing for folders.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return cmp.Or(d.Sync(), d.Close())
}
