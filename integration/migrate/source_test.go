package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// source has packages from their source, as the type checker sees them. The bodies of their functions are left out: to build the more than
// 700 packages that client-go brings along takes minutes where nothing is cached, and their exported names are all that is asked for.
type source struct {
	listed  map[string]*listed
	checked map[string]*types.Package
}

// listed is a package as go list describes it.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string // what the standard library calls a package that it has vendored
}

// load finds packages, and all that they import, with the versions of this module.
func load(ctx context.Context, paths []string) (*source, error) {
	s := &source{listed: map[string]*listed{}, checked: map[string]*types.Package{"unsafe": types.Unsafe}}
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap"}, paths...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0") // no cgo: all of it is Go that can be parsed
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return s, nil
		} else if err != nil {
			return nil, err
		}
		s.listed[p.ImportPath] = p
	}
}

// compiles tells what the compiler has against a program.
func (s *source) compiles(program *ast.File) error {
	config := s.config(&listed{})
	_, err := config.Check("main", fset, []*ast.File{program}, nil)
	return err
}

// pkg returns the package of that path.
func (s *source) pkg(path string) (*types.Package, error) {
	if p := s.checked[path]; p != nil {
		return p, nil
	}
	l := s.listed[path]
	if l == nil {
		return nil, fmt.Errorf("no package %q", path)
	}
	var files []*ast.File
	for _, name := range l.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	config := s.config(l)
	config.IgnoreFuncBodies = true
	p, err := config.Check(path, fset, files, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.checked[path] = p
	return p, nil
}

// config is how a package is checked that imports others.
func (s *source) config(l *listed) types.Config {
	return types.Config{
		Sizes: types.SizesFor("gc", runtime.GOARCH),
		Importer: importer(func(path string) (*types.Package, error) {
			if vendored, ok := l.ImportMap[path]; ok {
				path = vendored
			}
			return s.pkg(path)
		}),
	}
}

type importer func(path string) (*types.Package, error)

// Import makes a function an importer.
func (f importer) Import(path string) (*types.Package, error) { return f(path) }
