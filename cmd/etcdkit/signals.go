package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// enders are the signals that ask a process to end.
var enders = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// messages are the signals that mean something to a program that expects them, and end any other.
var messages = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2}

// signalled is the status of a program that a signal ended, as shells tell it. It has no text: whoever sent the signal knows.
func signalled(sig os.Signal) error {
	n, _ := sig.(syscall.Signal)
	return &statusError{status: statusSignal + int(n)}
}

// untilSignal returns a context that ends when a signal asks the program to end. Its cause has the status to end with.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := listen(enders...)
	go func() {
		select {
		case sig := <-signals:
			cancel(signalled(sig))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(context.Canceled)
	}
}

// listen returns a channel with the given signals, without those that are ignored: who started us with nohup, or in the background
// of a script, meant that.
func listen(sigs ...os.Signal) chan os.Signal {
	signals := make(chan os.Signal, 16) // nobody sends more at a time, and one that is not received is dropped
	for _, sig := range sigs {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	return signals
}
