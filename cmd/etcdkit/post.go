package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
)

// post takes the signals of a program that runs a command again and again: while it runs, they are for the command; in between, those
// that ask to end are for us. None gets lost between the two.
type post struct {
	signals chan os.Signal
	ctx     context.Context // ends when we are asked to end; the cause has the status
	end     context.CancelCauseFunc
	quit    chan struct{} // closed to stop the one who reads for us
	done    chan struct{} // closed when he has stopped
}

// openPost takes the signals, for us at first.
func openPost(parent context.Context) *post {
	p := &post{signals: listen(slices.Concat(enders, messages)...)}
	p.ctx, p.end = context.WithCancelCause(parent)
	p.toUs()
	return p
}

// toUs lets signals reach us. Those that mean something to the command alone have nowhere to go.
func (p *post) toUs() {
	quit, done := make(chan struct{}), make(chan struct{})
	p.quit, p.done = quit, done
	go func() {
		defer close(done)
		for {
			select {
			case sig := <-p.signals:
				if slices.Contains(enders, sig) {
					p.end(signalled(sig))
				}
			case <-quit:
				return
			}
		}
	}()
}

// toCommand stops that: whoever reads the signals next gets all that come from here on.
func (p *post) toCommand() {
	close(p.quit)
	<-p.done
}

// close stops taking signals. They have to be for us.
func (p *post) close() {
	signal.Stop(p.signals)
	p.toCommand()
	p.end(context.Canceled)
}
