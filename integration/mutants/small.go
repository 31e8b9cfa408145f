package main

// ofTheRest are mutants of the small packages, on which the others stand.
var ofTheRest = []mutant{
	{
		name: "an at sign is not escaped", breaks: "L8",
		file: "internal/keyspace/escape.go", old: `return r == '@' && `, new: `return false && `,
		pkg: "internal/keyspace", test: "FuzzStrangers",
	},
	{
		name: "a percent sign is not escaped", breaks: "L8",
		file: "internal/keyspace/escape.go", old: `r == '%' || `, new: ``,
		pkg: "internal/keyspace", test: "FuzzStrangers",
	},
	{
		name: "the keys of a name stand directly below it", breaks: "L8",
		file: "internal/keyspace/space.go", old: `return key + "/" + own, nil`, new: `return key, nil`,
		pkg: "internal/keyspace", test: "TestKeysAreSpelledLikeThis",
	},
	{
		name: "a request that was not answered did not happen", breaks: "R2",
		file: "internal/retry/class.go", old: `codes.DeadlineExceeded:   Unknown`, new: `codes.DeadlineExceeded:   DidNot`,
		pkg: "internal/retry", test: "TestOf",
	},
	{
		name: "what is not known did not happen", breaks: "R2",
		file: "internal/retry/class.go", old: "return class\n\t}\n\treturn Unknown", new: "return class\n\t}\n\treturn DidNot",
		pkg: "internal/retry", test: "TestACodeOfTheFutureIsUnknown",
	},
	{
		name: "the last try speaks for all", breaks: "R2",
		file: "internal/retry/do.go", old: `class == Never && outcome.class == Unknown`, new: `false`,
		pkg: "internal/retry", test: "TestDoRemembersAnUnknownTry",
	},
	{
		name: "gRPC waits as long as it likes", breaks: "R1",
		file: "internal/hub/hub.go", old: `conn.ResetConnectBackoff()`, new: `continue`,
		pkg: "integration", test: "TestAnOutageIsNotStretched",
	},
	{
		name: "a clean-up that failed is not tried again", breaks: "X2",
		file: "internal/hub/janitor.go", old: `level = slog.LevelDebug`, new: `return`,
		pkg: "internal/hub", test: "TestCleanUpIsTriedAgain",
	},
	{
		name: "a watch does not ask for a leader", breaks: "E2",
		file: "internal/stream/stream.go", old: `rpctypes.MetadataRequireLeaderKey`, new: `"not-" + rpctypes.MetadataRequireLeaderKey`,
		pkg: "internal/stream", test: "TestWatchWaitsForCreation",
	},
	{
		name: "a stream that is stuck is used again", breaks: "E2",
		file: "internal/stream/stream.go", old: "w.Replace()\n\t\t}", new: "}",
		pkg: "internal/stream", test: "TestFailedOpenReplacesStream",
	},
}
