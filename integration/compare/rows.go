package main

import "slices"

// rows are all rows, in the order in which they are measured.
func rows() []row {
	return slices.Concat(
		uncontended(), handoff(), handoffUnderLoad(), history(), turns(), trylock(), wakeup(), lateness(), waiters(),
		resign(), transfer(), observe(), roles(), crash(), rwmutex(), semaphore(),
		get(), propagate(), fanout(), boot(), heal(),
		instances(), pick(), join(), churn(), reopen(), overhead(), kill(), roll(),
	)
}
