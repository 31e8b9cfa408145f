package process

import "syscall"

// Apart is how children are started: they end with us, however we end, and Ctrl-C on the terminal is for us alone.
func Apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
