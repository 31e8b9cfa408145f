package main

import "syscall"

// dieWithParent has the kernel kill the process when we are killed: nobody would be left to end it when the lock is lost.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
