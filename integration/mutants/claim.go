package main

// ofClaim are mutants of package claim: who is granted a line, and what is left behind.
var ofClaim = []mutant{
	{
		name: "whoever comes is the first", breaks: "L3",
		file: "internal/claim/wait.go", old: `first: len(ahead.Kvs) == 0`, new: `first: true`,
		pkg: "integration", test: "TestMutexExcludes",
	},
	{
		name: "TryLock takes a line that is no longer empty", breaks: "L3",
		file: "internal/claim/try.go", old: `.WithRange(l.end), "=", 0)`, new: `.WithRange(l.end), ">", -1)`,
		pkg: "integration", test: "TestTryLockIsOvertaken",
	},
	{
		name: "a foreign key in a slot is taken for ours", breaks: "L3",
		file: "internal/claim/front.go", old: `ours(kvs, e.ID())`, new: `kvs[0]`,
		pkg: "integration", test: "TestForeignKeysInTheLine", hangs: true,
	},
	{
		name: "a watch that ends is a release", breaks: "L3",
		file: "internal/claim/wait.go", old: `return false, awaitDelete(ctx, w, pred.rev)`, new: `_ = awaitDelete(ctx, w, pred.rev); return true, nil`,
		pkg: "integration", test: "TestOnlyTheRightDeleteIsARelease", hangs: true,
	},
	{
		name: "a grant after a wait looks at the keys before its own alone", breaks: "L5",
		file: "internal/claim/wait.go", old: `len(kvs) == 0 || kvs[0].CreateRevision != en.rev`, new: `len(kvs) > 1`,
		pkg: "integration", test: "TestDefectPhantom/ours",
	},
	{
		name: "an epoch that is over can be granted", breaks: "X1",
		file: "internal/claim/held.go", old: `if e.Err() != nil {`, new: `if false {`,
		pkg: "internal/claim", test: "TestNothingIsGrantedInAnEpochThatIsOver",
	},
	{
		name: "Err does not read the clocks", breaks: "X1",
		file: "internal/claim/held.go", old: `return h.epoch.Err()`, new: `return nil`,
		pkg: "internal/claim", test: "TestErrAsksTheEpoch",
	},
	{
		name: "the release is sent before the context ends", breaks: "X1",
		file: "internal/claim/held.go", old: `h.cancel(cause)`, new: `time.AfterFunc(100*time.Millisecond, func() { h.cancel(cause) })`,
		pkg: "integration", test: "TestTheContextEndsBeforeTheRelease",
	},
	{
		name: "a hold does not watch its key", breaks: "X3",
		file: "internal/claim/held.go", old: `l.hub.Go(h.watch)`, new: `_ = l`,
		pkg: "integration", test: "TestOnlyTheEndOfItsKeyIsALoss", hangs: true,
	},
	{
		name: "the delete of an earlier key is a loss", breaks: "X3",
		file: "internal/claim/wait.go", old: ` && ev.Kv.ModRevision > rev`, new: ``,
		pkg: "integration", test: "TestOnlyTheEndOfItsKeyIsALoss",
	},
	{
		name: "a watch that ends without a word is a delete", breaks: "X3",
		file: "internal/claim/wait.go", old: `return errors.New("the watch ended without a word")`, new: `return nil`,
		pkg: "integration", test: "TestOnlyTheEndOfItsKeyIsALoss",
	},
	{
		name: "a watch that is compacted is a delete", breaks: "X3",
		file: "internal/claim/wait.go", old: "case errors.Is(err, rpctypes.ErrCompacted):\n\t\treturn errAgain", new: "case errors.Is(err, rpctypes.ErrCompacted):\n\t\treturn nil",
		pkg: "integration", test: "TestOnlyTheEndOfItsKeyIsALoss",
	},
	{
		name: "a closed channel is ignored", breaks: "E2",
		file: "internal/claim/wait.go", old: `if ctx.Err() != nil {`, new: `if <-ctx.Done(); true {`,
		pkg: "integration", test: "TestOnlyTheEndOfItsKeyIsALoss", hangs: true,
	},
	{
		name: "what happens before the watch begins is not looked at", breaks: "W1",
		file: "internal/claim/wait.go", old: `w.Revision > en.seen`, new: `false`,
		pkg: "integration", test: "TestAReleaseBeforeTheWatch", hangs: true,
	},
	{
		name: "who has the turn gets it, and the key that was held stays", breaks: "W1",
		file: "internal/claim/turn.go", old: `clientv3.OpDelete(h.key)`, new: `clientv3.OpGet(h.key)`,
		pkg: "integration", test: "TestLocalTurnsCostOneTransaction", hangs: true,
	},
	{
		name: "a turn that comes to a caller who gives up is lost", breaks: "W1",
		file: "internal/claim/line.go", old: `l.pass(<-w.turn)`, new: `<-w.turn`,
		pkg: "internal/claim", test: "TestTheTurnComesToACallerWhoIsLeaving",
	},
	{
		name: "a release deletes nothing", breaks: "X2",
		file: "internal/claim/held.go", old: `h.line.handOver(ctx, h)`, new: `turn{}, error(nil)`,
		pkg: "integration", test: "TestUnlockUnderAnEndedContext",
	},
	{
		name: "the token is the lease", breaks: "L1",
		file: "internal/claim/held.go", old: `session.Token(h.rev)`, new: `session.Token(h.epoch.ID())`,
		pkg: "integration", test: "TestDefectNoToken/ours",
	},
	{
		name: "a delete looks at the name alone", breaks: "L4",
		file: "internal/claim/settle.go", old: `present(d.key, d.rev)`, new: `clientv3.Compare(clientv3.CreateRevision(d.key), ">", 0)`,
		pkg: "integration", test: "TestDefectLateUnlock/ours",
	},
	{
		name: "a turn does not look whether its key is there", breaks: "L4",
		file: "internal/claim/turn.go", old: `present(h.key, h.rev), `, new: ``,
		pkg: "integration", test: "TestALateTurnFindsItsKeyGone",
	},
	{
		name: "a waiter goes on without its lease", breaks: "L6",
		file: "internal/claim/front.go", old: `context.AfterFunc(e.Context(),`, new: `context.AfterFunc(ctx,`,
		pkg: "integration", test: "TestDefectDeadSessionWaits/ours", hangs: true,
	},
	{
		name: "a waiter that gives up leaves its key", breaks: "L6",
		file: "internal/claim/line.go", old: `if t == (turn{}) {`, new: `if t.debt == nil {`,
		pkg: "integration", test: "TestAWaiterWhoGivesUpLeavesTheLine",
	},
	{
		name: "a put with a lost answer is forgotten", breaks: "X4",
		file: "internal/claim/front.go", old: `retry.Of(err) == retry.Unknown`, new: `retry.Of(err) == retry.OK`,
		pkg: "integration", test: "TestALateCommitFindsAnotherFence",
	},
	{
		name: "that a put cannot be seen is taken for a proof", breaks: "X4",
		file: "internal/claim/settle.go", old: `err = l.hub.Refence(ctx, d.epoch, d.fence)`, new: `err = nil`,
		pkg: "integration", test: "TestALateCommitFindsAnotherFence",
	},
	{
		name: "no look after the fence was written again", breaks: "X4",
		file: "internal/claim/settle.go", old: "return nil, err\n\t}\n\treturn l.find(ctx, d)", new: "return nil, err\n\t}\n\treturn nil, nil",
		pkg: "integration", test: "TestACommitJustBeforeTheFence",
	},
	{
		name: "the key of a lost hold stays", breaks: "X4",
		file: "internal/claim/held.go", old: `turn{debt: &debt{epoch: h.epoch, key: h.key, rev: h.rev}}`, new: `turn{}`,
		pkg: "integration", test: "TestAnswersAreLost",
	},
}
