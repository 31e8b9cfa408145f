package process

import "syscall"

// dieWithParent makes a member end with us, however we end.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
