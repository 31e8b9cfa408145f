package etcdkit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// The tests here read files in this process, never through a child such as go list: the go command sees what a test opens, and so
// does not call it cached after a change to what it holds.

// arrows, read from the top, is the architecture: a package may import those that its line names.
var arrows = map[string]string{
	".":                  "",
	"internal/keyspace":  "",
	"internal/lastgood":  "",
	"internal/retry":     "",
	"internal/paging":    "",
	"internal/stream":    "internal/retry",
	"internal/mirror":    "internal/retry internal/stream",
	"internal/hub":       "internal/keyspace internal/retry internal/stream internal/mirror",
	"session":            "internal/keyspace internal/retry internal/stream internal/mirror internal/hub",
	"internal/claim":     "internal/keyspace internal/retry internal/stream internal/hub session",
	"lock":               "internal/keyspace internal/retry internal/hub internal/claim session",
	"lock/fence":         "session",
	"election":           "internal/keyspace internal/retry internal/stream internal/mirror internal/hub internal/claim session",
	"config":             "internal/keyspace internal/retry internal/paging internal/lastgood internal/mirror internal/hub session",
	"discovery":          "internal/keyspace internal/retry internal/paging internal/lastgood internal/mirror internal/hub session",
	"discovery/grpcdisc": "internal/lastgood discovery session",
	"discovery/httpdisc": "internal/lastgood discovery config session",
	"examples":           "session lock lock/fence election config discovery discovery/grpcdisc discovery/httpdisc", // and all folders below it: what is public, as a program would
}

// foreign lists the modules that the SDK may require directly. Whoever imports it inherits them.
var foreign = []string{
	"go.etcd.io/etcd/api/v3",
	"go.etcd.io/etcd/client/v3",
	"golang.org/x/sync",
	"google.golang.org/grpc",
}

// released lists the folders of the modules that others import or install, besides the root.
var released = []string{"cmd/etcdkit", "etcdtest", "koanfkit"}

const (
	module = "etcdkit"
	advice = "change the table only with the design"
)

func TestArrows(t *testing.T) {
	t.Parallel()
	docs, seen := map[string]int{}, map[string]bool{} // package docs by folder, lines of the table that stand for one
	walk(t, ".", func(name string) {
		file, dir := parse(t, name, parser.ImportsOnly|parser.ParseComments), path.Dir(name)
		line := dir
		if within(dir, "examples") {
			line = "examples"
		}
		allowed, ok := arrows[line]
		if !ok {
			t.Fatalf("%s: the package has no line in the table of arrows; %s", name, advice)
		}
		seen[line] = true
		test := strings.HasSuffix(name, "_test.go")
		if !test {
			docs[dir] += min(len(file.Doc.Text()), 1)
		}
		for _, imported := range imports(file) {
			own := path.Clean(strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
			switch {
			case within(imported, module) && own != dir && !slices.Contains(strings.Fields(allowed), own):
				t.Errorf("%s imports %s, which its line does not name; %s", name, imported, advice)
			case isForeign(imported) && !slices.ContainsFunc(foreign, func(m string) bool { return within(imported, m) }):
				t.Errorf("%s imports %s, which belongs to no module on the list; %s", name, imported, advice)
			case !test && within(imported, "testing"):
				t.Errorf("%s imports %s: programs would link it", name, imported)
			}
		}
	})
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("package %s has %d package docs, want exactly one", dir, n)
		}
	}
	for line := range arrows {
		if !seen[line] {
			t.Errorf("the table has a line for %s, where there is no package", line)
		}
	}
}

func TestGoMod(t *testing.T) {
	t.Parallel()
	for _, d := range directives(t, "go.mod") {
		switch {
		case d.verb == "require" && !d.indirect && !slices.Contains(foreign, d.args[0]):
			t.Errorf("go.mod requires %s directly, which is not on the list; %s", d.args[0], advice)
		case d.verb == "replace":
			t.Errorf("go.mod replaces %s: no one who imports the module would get that", d.args[0])
		}
	}
	for _, dir := range append(released, ".") {
		for _, d := range directives(t, path.Join(dir, "go.mod")) {
			if d.verb == "tool" {
				t.Errorf("%s/go.mod has the tool %s, whose requirements its users would inherit: put it in tools/", dir, d.args[0])
			}
		}
	}
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	var used []string
	for _, d := range directives(t, "go.work") {
		if d.verb == "use" {
			used = append(used, path.Clean(d.args[0]))
		}
	}
	for _, dir := range modules(t) {
		// A linter's requirements, or client-go's, would raise the versions that everything in the workspace is tested with.
		apart := dir == "tools" || dir == "integration/migrate"
		if in := slices.Contains(used, dir); in == apart {
			t.Errorf("module in %s: in go.work is %v, want every module but tools and integration/migrate", dir, in)
		}
	}
	for _, dir := range append(released, "examples") {
		walk(t, dir, func(name string) {
			file := parse(t, name, 0)
			for _, imported := range imports(file) {
				if within(imported, module+"/internal") {
					t.Errorf("%s imports %s: outside the SDK only integration may use its internals", name, imported)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				// Session.Hub has to be exported, since packages of the kit call it. It is no part of the public API.
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Hub" {
					t.Errorf("%s uses a method Hub: it is for the packages of the SDK alone", name)
				}
				return true
			})
		})
	}
}

// walk calls f for each Go file of the module in dir, not for those of modules within it.
func walk(t *testing.T, dir string, f func(name string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != dir && (isModule(name) || strings.HasPrefix(path.Base(name), ".") || path.Base(name) == "testdata") {
			return fs.SkipDir
		}
		if !entry.IsDir() && path.Ext(name) == ".go" {
			f(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// modules returns the folders of the modules below the root.
func modules(t *testing.T) (dirs []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && name != "." && strings.HasPrefix(path.Base(name), ".") {
			return fs.SkipDir
		}
		if name != "go.mod" && path.Base(name) == "go.mod" {
			dirs = append(dirs, path.Dir(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func isModule(dir string) bool {
	_, err := os.Stat(path.Join(dir, "go.mod"))
	return err == nil
}

func parse(t *testing.T, name string, mode parser.Mode) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, mode|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func imports(file *ast.File) (paths []string) {
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "`\""))
	}
	return paths
}

// isForeign tells whether an import is neither ours nor of the standard library, whose paths have no dot in their first element.
func isForeign(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".") && !within(imported, module)
}

// within tells whether an import path is the parent or lies below it.
func within(imported, parent string) bool {
	return imported == parent || strings.HasPrefix(imported, parent+"/")
}

// A directive is one line of a go.mod or go.work, alone or in a block.
type directive struct {
	verb     string
	args     []string
	indirect bool
}

func directives(t *testing.T, name string) (found []directive) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block := ""
	for line := range strings.Lines(string(content)) {
		text, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
		case words[0] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case block != "":
			found = append(found, directive{block, words, strings.TrimSpace(comment) == "indirect"})
		default:
			found = append(found, directive{words[0], words[1:], strings.TrimSpace(comment) == "indirect"})
		}
	}
	return found
}
