// Package migrate tests that the Go programs in docs/migrate.md compile. It is a module of its own, outside of the workspace: some of them
// import client-go, and its requirements would raise the versions that everything else is tested with.
package migrate
