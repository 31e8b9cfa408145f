//go:build !linux

package main

import "syscall"

// dieWithParent does nothing where the kernel has no such thing.
func dieWithParent(*syscall.SysProcAttr) {}
