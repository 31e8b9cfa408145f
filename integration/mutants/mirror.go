package main

// ofMirror are mutants of package mirror.
var ofMirror = []mutant{
	{
		name: "a watch goes on from the last revision", breaks: "P1",
		file: "internal/mirror/watch.go", old: `m.applied()+1`, new: `m.applied()`,
		pkg: "internal/mirror", test: "TestClosedChannelIsResumed",
	},
	{
		name: "events that were applied are applied again", breaks: "P1",
		file: "internal/mirror/state.go", old: `ev.Kv.ModRevision <= base`, new: `ev.Kv.ModRevision <= base-1000`,
		pkg: "internal/mirror", test: "TestApply/old_events",
	},
	{
		name: "a watch goes on after the next revision", breaks: "C3",
		file: "internal/mirror/watch.go", old: `m.applied()+1`, new: `m.applied()+2`,
		pkg: "internal/mirror", test: "TestClosedChannelIsResumed",
	},
	{
		name: "a watch goes on from the last progress", breaks: "C3",
		file: "internal/mirror/watch.go", old: `m.applied()+1`, new: `m.Revision()+1`,
		pkg: "internal/mirror", test: "TestSilentWatchIsReplaced",
	},
	{
		name: "compaction is swallowed", breaks: "C3",
		file: "internal/mirror/watch.go", old: `retry.Of(err) != retry.Never`, new: `retry.Of(err) != retry.OK`,
		pkg: "internal/mirror", test: "TestCompactionIsListed",
	},
	{
		name: "a new list tells of no deletes", breaks: "C3",
		file: "internal/mirror/state.go", old: `between(s.items, items)`, new: `between(nil, items)`,
		pkg: "internal/mirror", test: "TestReplace/missed_delete",
	},
	{
		name: "an error clears the state", breaks: "C3",
		file: "internal/mirror/mirror.go", old: "m.doubt(err)\n", new: "m.doubt(err)\n\t\tm.state.items = map[string]*Item{}\n",
		pkg: "internal/mirror", test: "TestClosedChannelIsResumed",
	},
	{
		name: "a header with events counts as progress", breaks: "C3",
		file: "internal/mirror/watch.go", old: `if resp.IsProgressNotify() {`, new: `if true {`,
		pkg: "internal/mirror", test: "TestHeaderAheadOfItsEvents",
	},
	{
		name: "a closed channel is ignored", breaks: "E2",
		file: "internal/mirror/watch.go", old: `if !ok {`, new: `if !ok && ctx.Err() == nil { <-ctx.Done() } else if !ok {`,
		pkg: "internal/mirror", test: "TestClosedChannelIsResumed",
	},
	{
		name: "the second event of a transaction is dropped", breaks: "C1",
		file: "internal/mirror/state.go", old: `ev.Kv.ModRevision <= base`, new: `ev.Kv.ModRevision <= max(base, s.revision)`,
		pkg: "internal/mirror", test: "TestApply/one_transaction",
	},
	{
		name: "a transaction is told in parts", breaks: "C1",
		file: "internal/mirror/watch.go", old: `events[n].Kv.ModRevision == events[0].Kv.ModRevision`, new: `false`,
		pkg: "integration", test: "TestMirrorNeverSplitsATransaction", hangs: true,
	},
	{
		name: "a snapshot changes", breaks: "C1",
		file: "internal/mirror/state.go", old: `if s.shared {`, new: `if false {`,
		pkg: "internal/mirror", test: "TestSnapshotNeverChanges",
	},
	{
		name: "a revision may fall", breaks: "C2",
		file: "internal/mirror/errors.go", old: `h.GetRevision() < known`, new: `h.GetRevision() < 0`,
		pkg: "internal/mirror", test: "TestRewound",
	},
	{
		name: "any cluster will do", breaks: "C2",
		file: "internal/mirror/errors.go", old: `l.id != 0 && `, new: `false && `,
		pkg: "internal/mirror", test: "TestRewound",
	},
}
