package main

import (
	"context"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

// configs is what the commands for live configuration share.
type configs struct {
	scope
}

func newConfig(p *program) *cobra.Command {
	c := &configs{scope{program: p}}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Read, edit and follow live configuration",
		Long: `Read and change the values that programs follow with config.Watch, and see who runs what.

A value is JSON under a NAME, such as app/api. A write says which revision it is based on: if somebody else wrote in
between, it changes nothing, shows what they wrote, and ends with status 4. Each write is a version in the history, with
its author, its time and a comment, and can be undone.

With --tree, NAME stands for all keys below it: the values http/timeout and http/retries of the tree app/api are the keys
app/api/http/timeout and app/api/http/retries, and are written together. Give it to each command that is about a tree: it
has a history and a status of its own, which are neither those of its keys nor those of a single value of the same NAME.

If etcd does not tell what became of a write, it may have happened, or may still happen: the error says so, and
"etcdkit config history" tells.

No command here knows which values a program accepts. One that refuses a value goes on with the last good one, and
"etcdkit config status" tells why.`,
		Example: `  etcdkit config put app/api settings.json --comment "slower"
  etcdkit config edit app/api
  etcdkit config status app/api
  etcdkit config history app/api
  etcdkit config rollback app/api 3
  etcdkit config del app/api`,
		Args: cobra.NoArgs,
		RunE: helpOnly,
	}
	c.addFlags(cmd, "values")
	cmd.AddCommand(newConfigGet(c), newConfigPut(c), newConfigEdit(c), newConfigDel(c), newConfigList(c), newConfigHistory(c),
		newConfigDiff(c), newConfigRollback(c), newConfigStatus(c), newConfigWatch(c))
	return cmd
}

const configName = "the name of the value"

// spot is flags that tell what NAME is, and where it stands.
type spot struct {
	tree bool
	key  string
}

const (
	treeFlag  = "tree"
	atKeyFlag = "at-key"
)

func (w *spot) addFlags(cmd *cobra.Command) {
	w.addTree(cmd)
	cmd.Flags().StringVar(&w.key, atKeyFlag, "", "the value stands at this exact `key` in etcd, as with config.WithKey; its history is under NAME all the same")
}

// addTree is for what only looks at the history, which is under NAME wherever the value stands.
func (w *spot) addTree(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.tree, treeFlag, false, "NAME is a tree: all keys below it, as with config.WithTree")
}

// store is where NAME is written. Whether a key was given counts, not whether it is any good: that is found at the first call.
func (w *spot) store(cmd *cobra.Command, s *session.Session, name string) *config.Store {
	return config.NewStore(s, name, w.options(cmd)...)
}

func (w *spot) options(cmd *cobra.Command) []config.Option {
	var opts []config.Option
	if w.tree {
		opts = append(opts, config.WithTree())
	}
	if cmd.Flags().Changed(atKeyFlag) {
		opts = append(opts, config.WithKey(w.key))
	}
	return opts
}

const commentFlag = "comment"

// remark is flags with what the history says of a write.
type remark struct {
	author, comment string
}

func (r *remark) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.author, "author", "", "who the history says wrote it; user@host unless told otherwise")
	flags.StringVar(&r.comment, commentFlag, "", "what the history says of it")
	bindVariables(flags, "author", ourVariables)
}

func (r *remark) options(cmd *cobra.Command) []config.PutOption {
	author := r.author
	if author == "" {
		author = self()
	}
	opts := []config.PutOption{config.WithAuthor(author)}
	if cmd.Flags().Changed(commentFlag) { // a rollback has one of its own
		opts = append(opts, config.WithComment(r.comment))
	}
	return opts
}

// self is the user and the host.
func self() string {
	name, host := os.Getenv("USER"), "localhost"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// content is what stands under a NAME, or what is to stand there: by path, which is "" for a single value.
type content struct {
	values map[string][]byte
	rev    int64 // that a write is based on
}

// there tells whether there is anything. A revision would not: that of a tree is of the moment.
func (c content) there() bool { return len(c.values) > 0 }

// read returns what stands there.
func (w *spot) read(ctx context.Context, st *config.Store) (c content, err error) {
	c.values, c.rev, err = st.GetAll(ctx)
	return c, err
}

// write writes what is to stand there, and in a tree leaves what is not named as it is.
func (w *spot) write(ctx context.Context, st *config.Store, c content, opts []config.PutOption) (int64, error) {
	if w.tree {
		return st.PutAll(ctx, c.rev, c.values, opts...)
	}
	return st.Put(ctx, c.rev, c.values[""], opts...)
}
