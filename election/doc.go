// Package election makes one process at a time, in a whole fleet, the leader: one that knows in time when it no longer is.
//
//	e := election.New(s, "scheduler", election.WithValue(myAddress))
//	err := e.Run(ctx, func(ctx context.Context, t *election.Term) error {
//		return schedule(ctx, t.Token()) // ctx ends when the lead is lost
//	})
//
// # Guarantees
//
// At most one term of an election is certain at a time (Term.Err is nil, Term.Context lives), in all processes and goroutines together, as
// long as the clock of the etcd server does not run faster than ours by more than the session's allowance. A term ends before its lease
// can, and before its key is let go of. The winner checks its own key before it believes that it leads.
//
// A transaction under Term.Guard changes nothing once the term is over: that is true whatever clocks, schedulers and networks do. Token
// grows with each term, so that systems outside of etcd can do the same check (package lock/fence).
//
// With Run nobody else leads before the function of the last leader has returned, as long as its lease lasts: a term that resigns or hands over
// waits for it. A function that ignores its context keeps the lead for as long as it does, or until what waits for it gives up.
//
// Candidates lead in the order in which they stood, across processes, unless a leader hands over to another one. Campaign goes on
// waiting over outages, compactions and lost leases, and ends with its ctx, also while etcd is unreachable. A candidate's value stands in
// etcd from the start: nobody ever sees a leader without one. A request whose answer was lost is found and used, or undone,
// however late it is applied. Resign gives up the lead also when ctx is over, and also when the store is full.
//
// Observers see every leader, and that nobody leads, from a consistent start, and since when they are cut off.
//
// # Not guaranteed
//
// An election cannot stop a process. One that was frozen past its deadline runs on for a moment before it learns of the loss, and a write that
// it sends then to a system that checks neither guard nor token takes effect. What an observer was told may be outdated when it reads it:
// to act on it as the leader takes the guard.
//
// After a crash nobody leads until the lease has run out. A candidate that waits may be dead for as long, too: who hands over to it hands
// over to its lease.
//
// # Keys in etcd
//
// <prefix>/election/<name>/@/<lease in hex>, with ".1", "-1" and so on behind where one session needs more keys, and then "+" and the
// priority, with the candidate's value, under the session's lease. The oldest create revision leads. Any other key below
// <prefix>/election/<name>/@/ counts as well: `etcdctl elect` and concurrency.NewElection, given Election.Key, are in the same
// line. Beside it, <prefix>/election/<name>/@.request is what somebody asks the leader to do. The user needs read and write permission on
// <prefix>/.
//
// # Cost
//
// One transaction to stand, which wins if nobody else stands, and one to resign. To win after a wait: one watch on the key just before, one read
// to be sure. A term of more than 100 ms opens a watch on its key and one on requests. Leaders costs a watch for each session and election
// observed, WithPreempt one while it leads; a session has four gRPC streams for those at most.
package election
