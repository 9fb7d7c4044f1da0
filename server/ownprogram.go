package server

import (
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/union"
)

// ownProgram adds the interpreter of launchers to every tree: this program itself,
// and beside it the directories that it mounts on when it enters a context.
type ownProgram struct {
	log  zerolog.Logger
	file *os.File // stays open: what is installed over it meanwhile is another program

	pkg func() *pkgindex.Package // made once, for reading the whole program takes a while
}

// ownRef names what the server adds to trees.
func ownRef() pkgmeta.Ref { return pkgmeta.Ref{Name: "packagefs", Version: Version()} }

// newOwnProgram opens the program that is running, whatever its path leads to now.
func newOwnProgram(log zerolog.Logger) (*ownProgram, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("open this program, to serve it as /%s: %w", enterPath, err)
	}
	if isDynamic(file) {
		log.Warn().Msg("this program needs the C library, which launchers find in their contexts only by luck; build it with CGO_ENABLED=0")
	}
	g := &ownProgram{log: log, file: file}
	g.pkg = sync.OnceValue(g.make)
	return g, nil
}

// isDynamic says whether a program needs a loader and shared libraries.
func isDynamic(file *os.File) bool {
	f, err := elf.NewFile(file)
	return err == nil && slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// Generate implements union.Generator.
func (g *ownProgram) Generate(*union.Tree) *pkgindex.Package { return g.pkg() }

func (g *ownProgram) make() *pkgindex.Package {
	p, err := g.tree()
	if err != nil {
		g.log.Error().Err(err).Msg("launchers have no interpreter")
		return nil
	}
	return p
}

func (g *ownProgram) tree() (*pkgindex.Package, error) {
	info, err := g.file.Stat()
	if err != nil {
		return nil, err
	}
	dir := pkgmeta.Entry{Type: pkgmeta.Directory, Mode: 0o755, Sec: info.ModTime().Unix()}
	program := pkgmeta.Entry{Type: pkgmeta.Regular, Mode: 0o755, Size: info.Size(), Sec: info.ModTime().Unix()}
	var files []pkgindex.SyntheticFile
	add := func(path string, e pkgmeta.Entry) {
		e.Path = path
		files = append(files, pkgindex.SyntheticFile{Entry: e})
	}
	add("usr/libexec/packagefs", dir)
	add("usr/libexec/packagefs/contexts", dir)
	add("usr/libexec/packagefs/root", dir)
	add(enterPath, program)
	return pkgindex.NewSynthetic(pkgmeta.Meta{Ref: ownRef()}, files, g.file)
}
