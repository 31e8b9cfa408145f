package main

// ofSession are mutants of package session: the clock that everything held stands on.
var ofSession = []mutant{
	{
		name: "a renewal counts from its answer", breaks: "X1",
		file: "session/keeper.go", old: `l.renewed(sent, ttl)`, new: `l.renewed(now(), ttl)`,
		pkg: "session", test: "TestLateAnswersCountFromTheirSending",
	},
	{
		name: "a grant counts from its answer", breaks: "X1",
		file: "session/wire.go", old: `g.id, g.ttl, s.term =`, new: `g.sent, g.id, g.ttl, s.term = now(),`,
		pkg: "integration", test: "TestTheFirstDeadlineCountsFromTheRequest",
	},
	{
		name: "a lease that is alive after all counts from that answer", breaks: "X1",
		file: "session/keeper.go", old: `g.sent, g.ttl = sent, ttl`, new: `_, g.sent, g.ttl = sent, now(), ttl`,
		pkg: "session", test: "TestANewEpochCountsFromTheQuestion",
	},
	{
		name: "no allowance for the rate of clocks", breaks: "X1",
		file: "session/window.go", old: `float64(ttl)*a.rate`, new: `0*float64(ttl)*a.rate`,
		pkg: "session", test: "TestRateAllowance",
	},
	{
		name: "no margin", breaks: "X1",
		file: "session/window.go", old: `*a.rate) - margin`, new: `*a.rate) - 0*margin`,
		pkg: "session", test: "TestSpan",
	},
	{
		name: "Err does not read the clocks", breaks: "X1",
		file: "session/lease.go", old: `if l.left() <= 0 {`, new: `if false {`,
		pkg: "session", test: "TestALateAnswerRevivesNothing",
	},
	{
		name: "a suspended machine does not age", breaks: "X1",
		file: "session/window.go", old: `max(later.mono-i.mono, later.wall.Sub(i.wall))`, new: `later.mono - i.mono`,
		pkg: "session", test: "TestWindowLeft",
	},
	{
		name: "a wall clock that is set back keeps the lease", breaks: "X1",
		file: "session/window.go", old: `max(later.mono-i.mono, later.wall.Sub(i.wall))`, new: `later.wall.Sub(i.wall)`,
		pkg: "session", test: "TestWindowLeft",
	},
	{
		name: "a late answer revives what has ended", breaks: "X1",
		file: "session/window.go", old: `!w.open(at) || by.left`, new: `by.left`,
		pkg: "session", test: "TestWindowExtend",
	},
	{
		name: "the lease is given up after an outage", breaks: "R1",
		file: "session/keeper.go", old: `!k.revive(ctx, &g)`, new: `true`,
		pkg: "session", test: "TestAnOutageEndsAnEpochAndNotTheLease",
	},
	{
		name: "nobody asks for a lease after a failure", breaks: "R1",
		file: "session/keeper.go", old: `k.needed = !refusal || k.current != nil`, new: `k.needed = false`,
		pkg: "session", test: "TestARightThatComesBack",
	},
	{
		name: "the answer of an old raft term prolongs the lease", breaks: "X1",
		file: "session/wire.go", old: `resp.RaftTerm < s.term`, new: `false`,
		pkg: "integration", test: "TestAFallingRaftTermIsSurvived", hangs: true,
	},
	{
		name: "a fence compares nothing", breaks: "X4",
		file: "session/wire.go", old: `ModRevision(self.key), "=", rev`, new: `ModRevision(self.key), "!=", -rev`,
		pkg: "integration", test: "TestALateCommitFindsAnotherFence",
	},
}
