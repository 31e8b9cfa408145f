//go:build !linux

package process

import "syscall"

// Apart is how children are started. Here they would outlive us in a process group of their own, so Ctrl-C ends them too.
func Apart() *syscall.SysProcAttr { return nil }
