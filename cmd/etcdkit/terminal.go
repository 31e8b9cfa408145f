package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground tells whether our process group is the one that the terminal, if there is one, gives its input and signals.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = tty.Close() }()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
