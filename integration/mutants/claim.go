package main

// ofClaim are mutants of package claim: who is granted a line, and what is left behind.
var ofClaim = []mutant{
	{
		name: "whoever comes is the first", breaks: "L3",
		file: "internal/claim/front.go", old: `en.ahead, en.first = ahead, ahead == nil`, new: `en.ahead, en.first = ahead, true`,
		pkg: "integration", test: "TestMutexExcludes",
	},
	{
		name: "TryLock takes a line that is no longer empty", breaks: "L3",
		file: "internal/claim/rule.go", old: `.WithRange(l.end), "=", 0)`, new: `.WithRange(l.end), ">", -1)`,
		pkg: "integration", test: "TestTryLockIsOvertaken",
	},
	{
		name: "a foreign key in a slot is taken for ours", breaks: "L3",
		file: "internal/claim/front.go", old: `ours(kvs, e.ID(), f.claim.Value)`, new: `kvs[0]`,
		pkg: "integration", test: "TestForeignKeysInTheLine", hangs: true,
	},
	{
		name: "a watch that ends is a release", breaks: "L3",
		file: "internal/claim/wait.go", old: `return false, awaitEvent(ctx, watches[0], sights[0].passed)`, new: `_ = awaitEvent(ctx, watches[0], sights[0].passed); return true, nil`,
		pkg: "integration", test: "TestOnlyTheRightDeleteIsARelease", hangs: true,
	},
	{
		name: "a grant after a wait looks at the keys before its own alone", breaks: "L5",
		file: "internal/claim/wait.go", old: `len(kvs) == 0 || kvs[0].CreateRevision != en.rev`, new: `len(kvs) > 1`,
		pkg: "integration", test: "TestDefectPhantom/ours",
	},
	{
		name: "an epoch that is over can be granted", breaks: "X1",
		file: "internal/claim/stake.go", old: `if e.Err() != nil {`, new: `if false {`,
		pkg: "internal/claim", test: "TestNothingIsGrantedInAnEpochThatIsOver",
	},
	{
		name: "Err does not read the clocks", breaks: "X1",
		file: "internal/claim/held.go", old: `return h.stake.epoch.Err()`, new: `return nil`,
		pkg: "internal/claim", test: "TestErrAsksTheEpoch",
	},
	{
		name: "the release is sent before the context ends", breaks: "X1",
		file: "internal/claim/held.go", old: `h.End(session.ErrReleased)`,
		new: `_, _ = h.stake.line.handOver(ctx, h.stake); h.End(session.ErrReleased)`,
		pkg: "integration", test: "TestTheContextEndsBeforeTheRelease",
	},
	{
		name: "a hold does not watch its key", breaks: "X3",
		file: "internal/claim/stake.go", old: `f.hub.Go(s.watch)`, new: `_ = s`,
		pkg: "integration", test: "TestOnlyTheEndOfItsKeyIsALoss", hangs: true,
	},
	{
		name: "the delete of an earlier key is a loss", breaks: "X3",
		file: "internal/claim/rule.go", old: ` && ev.Kv.ModRevision > rev`, new: ``,
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
		file: "internal/claim/wait.go", old: `rev > en.seen`, new: `rev < 0`,
		pkg: "integration", test: "TestAReleaseBeforeTheWatch", hangs: true,
	},
	{
		name: "who has the turn gets it, and the key that was held stays", breaks: "W1",
		file: "internal/claim/turn.go", old: `clientv3.OpDelete(s.key)`, new: `clientv3.OpGet(s.key)`,
		pkg: "integration", test: "TestLocalTurnsCostOneTransaction", hangs: true,
	},
	{
		name: "a turn that comes to a caller who gives up is lost", breaks: "W1",
		file: "internal/claim/line.go", old: `l.decline(<-w.turn)`, new: `<-w.turn`,
		pkg: "internal/claim", test: "TestTheTurnComesToACallerWhoIsLeaving",
	},
	{
		name: "a release deletes nothing", breaks: "X2",
		file: "internal/claim/aside.go", old: `s.line.handOver(ctx, s)`, new: `turn{}, error(nil)`,
		pkg: "integration", test: "TestUnlockUnderAnEndedContext",
	},
	{
		name: "the token is the lease", breaks: "L1",
		file: "internal/claim/held.go", old: `session.Token(h.stake.rev)`, new: `session.Token(h.stake.epoch.ID())`,
		pkg: "integration", test: "TestDefectNoToken/ours",
	},
	{
		name: "a delete looks at the name alone", breaks: "L4",
		file: "internal/claim/settle.go", old: `present(d.key, d.rev)`, new: `clientv3.Compare(clientv3.CreateRevision(d.key), ">", 0)`,
		pkg: "integration", test: "TestDefectLateUnlock/ours",
	},
	{
		name: "one permit more than there are", breaks: "L3",
		file: "internal/claim/permits.go", old: `sum(ahead)+r.n <= size`, new: `sum(ahead)+r.n <= size+1`,
		pkg: "integration", test: "TestSemaphoreNeverGivesOutMoreThanItHas",
	},
	{
		name: "readers look at no writer", breaks: "L3",
		file: "internal/claim/shared.go", old: `string(kv.Value) != shared && (`, new: `string(kv.Value) == "" && (`,
		pkg: "integration", test: "TestReadersTogetherWritersAlone",
	},
	{
		name: "the guard is always true", breaks: "L2",
		file: "internal/claim/held.go", old: `return present(h.stake.key, h.stake.rev)`, new: `return clientv3.Compare(clientv3.CreateRevision(h.stake.key), ">", -1)`,
		pkg: "integration", test: "TestSharedHolderIsCutOff",
	},
	{
		name: "a turn does not look whether its key is there", breaks: "L4",
		file: "internal/claim/turn.go", old: `present(s.key, s.rev), `, new: ``,
		pkg: "integration", test: "TestALateTurnFindsItsKeyGone",
	},
	{
		name: "one too many is told that his permits are free", breaks: "L3",
		file: "internal/claim/rouse.go", old: `sum > size {`, new: `sum > size+1 {`,
		pkg: "internal/claim", test: "TestEachIsToldOnce",
	},
	{
		name: "whatever is written over a waiting key lets it hold", breaks: "L3",
		file: "internal/claim/bell.go", old: ` && string(kv.Value) == en.value`, new: ``,
		pkg: "internal/claim", test: "TestBell",
	},
	{
		name: "a touch of an earlier key counts", breaks: "L3",
		file: "internal/claim/bell.go", old: `return kv != nil && kv.CreateRevision == en.rev && `, new: `return kv != nil && `,
		pkg: "internal/claim", test: "TestBellOfAnEarlierUseOfTheName",
	},
	{
		name: "a touch is taken for the loss of the hold", breaks: "X3",
		file: "internal/claim/stake.go", old: "_, s.touchable = s.rule.(rouser)", new: "_, _ = s.rule.(rouser)",
		pkg: "integration", test: "TestNobodyReliesOnBeingTold",
	},
	{
		name: "a touch is all that a grant needs", breaks: "L5",
		file: "internal/claim/bell.go", old: `return f.stands(ctx)`, new: `return true, nil`,
		pkg: "integration", test: "TestATouchAloneIsNoProof", hangs: true,
	},
	{
		name: "what has the name of a touched key is the hold", breaks: "L2",
		file: "internal/claim/rewrite.go", old: `&& s.isIn(resp.Kvs)`, new: `&& len(resp.Kvs) > 0`,
		pkg: "integration", test: "TestCheckSTMAfterATouch",
	},
	{
		name: "a deaf bell stays", breaks: "X4",
		file: "internal/claim/bell.go", old: `		w.Replace()`, new: `		_ = w`,
		pkg: "integration", test: "TestADeafBellIsReplaced", hangs: true,
	},
	{
		name: "who is not told waits for ever", breaks: "L6",
		file: "internal/claim/bell.go", old: `	case <-enough.C:
`, new: ``,
		pkg: "integration", test: "TestNobodyReliesOnBeingTold", hangs: true,
	},
	{
		name: "a waiter goes on without its lease", breaks: "L6",
		file: "internal/claim/front.go", old: `hub.Either(ctx, e.Context())`, new: `hub.Either(ctx, ctx)`,
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
		file: "internal/claim/stake.go", old: `s.pass(turn{debt: s.remains()})`, new: `s.pass(turn{})`,
		pkg: "integration", test: "TestAnswersAreLost",
	},
}
