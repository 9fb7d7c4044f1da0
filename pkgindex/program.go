package pkgindex

import (
	"fmt"
	"path"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

// Program says whether a file is a program: one that people and programs start by
// its path, so that a launcher can stand in its place. dir, relative and clean, is
// where it has this name. An override file may say which are; else they are the
// executables in the places for programs, but for those whose names say that they
// are libraries or modules. What users may change is none.
func (p *Package) Program(dir, name string, inode Inode) bool {
	switch {
	case inode.Type != pkgmeta.Regular || inode.Mode&0o111 == 0 || inode.Mutable:
		return false
	case p.programs != nil:
		if !p.programs.Match(path.Join(dir, name)) {
			return false
		}
	case !programDir(dir) || isModule(dir, name):
		return false
	}
	return !p.MutableIn(dir, name, inode)
}

// Inner says whether a file is a program, or a symlink in the place of one, that
// the override file of the package does not name as one that users start. Where
// dependencies are hidden it is not shown.
func (p *Package) Inner(dir, name string, inode Inode) bool {
	if p.shown == nil || p.shown.Match(path.Join(dir, name)) {
		return false
	}
	switch inode.Type {
	case pkgmeta.Regular:
		return inode.Mode&0o111 != 0 && programDir(dir) && !isModule(dir, name)
	case pkgmeta.Symlink:
		return programDir(dir) && pathDir(dir)
	}
	return false
}

// programDir says whether dir is below a place for programs. Executables
// elsewhere, such as examples in usr/share/doc and hooks in etc, are read,
// sourced or copied at least as often as they are started.
func programDir(dir string) bool {
	dir = strings.TrimPrefix(strings.TrimPrefix(dir, "usr/"), "local/")
	first, _, _ := strings.Cut(dir, "/")
	switch first {
	case "bin", "sbin", "games", "libexec", "lib", "lib32", "lib64", "libx32", "opt":
		return true
	}
	return false
}

// pathDir says whether dir is one of those that PATH has.
func pathDir(dir string) bool {
	switch path.Base(dir) {
	case "bin", "sbin", "games":
		return true
	}
	return false
}

// isModule says whether a name is that of something that programs load. In the
// directories that PATH has every name but a shared library's is a program's.
func isModule(dir, name string) bool {
	if strings.HasSuffix(name, ".so") || strings.Contains(name, ".so.") {
		return true
	}
	if pathDir(dir) {
		return false
	}
	switch path.Ext(name) {
	case ".a", ".o", ".la", ".ko", ".py", ".pyc", ".pm", ".rb", ".js", ".mjs", ".lua", ".tcl", ".jar", ".dll":
		return true
	}
	return false
}

// parseLaunchers reads the key launchers of an override file: a bool, or globs.
// It returns nil where the file leaves the choice.
func parseLaunchers(v any) (pkgpath.Globs, error) {
	const want = "launchers: want true, false, or a list of globs of absolute paths such as [\"/usr/bin/*\"]"
	switch v := v.(type) {
	case nil:
		return nil, nil
	case bool:
		if v {
			return nil, nil
		}
		return pkgpath.Globs{}, nil
	case []any:
		list := pkgpath.Globs{}
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%s, not %v", want, item)
			}
			g, err := pkgpath.ParseGlob("launchers", text)
			if err != nil {
				return nil, err
			}
			list = append(list, g)
		}
		return list, nil
	}
	return nil, fmt.Errorf("%s, not %v", want, v)
}
