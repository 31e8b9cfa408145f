package main

import (
	"cmp"
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// lastWords is a log that keeps only the entry with which etcd gives up, and makes one line of it. What goes wrong usually comes as an
// error; but data that cannot be read makes etcd log and panic, in a goroutine of its own where nobody can recover.
func lastWords(dir string) *zap.Logger {
	end := epitaph{dir: dir}
	return zap.New(zapcore.NewNopCore(), zap.WithPanicHook(end), zap.WithFatalHook(end))
}

// epitaph ends the process in place of a panic of etcd in that directory.
type epitaph struct {
	dir string
}

// OnWrite is called with the entry.
func (e epitaph) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	why := ""
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok {
			why = ": " + err.Error()
		}
	}
	_, _ = fmt.Fprintf(os.Stderr, "etcdkit: etcd in %s: %s\n", e.dir, escape(cmp.Or(entry.Message, "panic")+why))
	os.Exit(statusFailed)
}
