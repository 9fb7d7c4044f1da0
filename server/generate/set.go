package generate

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/union"
)

// A Set is the generators of a server. Its fields are set before it is used, and
// the zero value of each but Ref works.
type Set struct {
	Ref pkgmeta.Ref // of the packages that are made
	Off []string    // names of generators that are not wanted
	Log zerolog.Logger

	// Failed is told, once for each name and reason, of what could not be made.
	Failed func(name, reason string)

	mu   sync.Mutex // guards what follows
	kept map[[32]byte]weak.Pointer[pkgindex.Package]
	told map[string]bool
}

// maxTold is how many different failures are told of.
const maxTold = 1000

// Names are the generators that there are, in the order in which they run.
func Names() []string {
	var names []string
	for _, g := range (&Set{}).all(nil, nil) {
		names = append(names, g.name)
	}
	return names
}

// all returns every generator. Later ones see what the earlier ones made.
func (s *Set) all(a *pkgindex.Alternatives, preferred []*pkgindex.Package) []*generator {
	return []*generator{
		{s, "alternatives", func(t *union.Tree) ([]file, error) { return alternatives(t, a, preferred) }},
		{s, "services", s.services},
		{s, "shells", shells},
		{s, "info", s.infoDir},
		{s, "ld.so.cache", s.linkerCache},
	}
}

// For returns the generators of the trees of a view, some of whose packages are
// preferred, the first most.
func (s *Set) For(a *pkgindex.Alternatives, preferred []*pkgindex.Package) []union.Generator {
	var out []union.Generator
	for _, g := range s.all(a, preferred) {
		if !slices.Contains(s.Off, g.name) {
			out = append(out, g)
		}
	}
	return out
}

// fail tells of something that could not be made.
func (s *Set) fail(name, reason string) {
	s.mu.Lock()
	known := s.told[name+"\x00"+reason] || len(s.told) >= maxTold
	if !known {
		if s.told == nil {
			s.told = make(map[string]bool)
		}
		s.told[name+"\x00"+reason] = true
	}
	s.mu.Unlock()
	if known {
		return
	}
	s.Log.Warn().Str("generator", name).Str("reason", reason).Msg("a file is not generated")
	if s.Failed != nil {
		s.Failed(name, reason)
	}
}

// rescue keeps a panic in a function of this package from whoever looks at the
// tree.
func (s *Set) rescue(name string) {
	if p := recover(); p != nil {
		s.Log.Error().Str("generator", name).Str("stack", string(debug.Stack())).Msgf("panic: %v", p)
		s.fail(name, fmt.Sprintf("panic: %v", p))
	}
}

// A file is one that a generator adds to a tree: a symlink, a text, or one whose
// content is made when somebody looks.
type file struct {
	path    string // relative and clean
	target  string // of a symlink
	text    string // of a regular file
	mutable bool
	why     string // what it is made of
	sec     int64  // modification time

	late  func() (content []byte, why string, err error)
	stamp [32]byte // with late: tells what it will be made of
}

// A generator is one kind of generated files, for the trees of one view.
type generator struct {
	set   *Set
	name  string
	files func(*union.Tree) ([]file, error)
}

// Generate implements union.Generator.
func (g *generator) Generate(t *union.Tree) *pkgindex.Package {
	defer g.set.rescue(g.name)
	files, err := g.files(t)
	if err == nil && len(files) > 0 {
		var p *pkgindex.Package
		if p, err = g.set.pack(g.name, files); err == nil {
			return p
		}
	}
	if err != nil {
		g.set.fail(g.name, err.Error())
	}
	return nil
}

// pack makes a package of files, or returns one that has the same.
func (s *Set) pack(name string, files []file) (*pkgindex.Package, error) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	key := sumOf(name, files)
	s.mu.Lock()
	p := s.kept[key].Value()
	s.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := s.make(name, files)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.kept[key].Value(); first != nil {
		return first, nil
	}
	if s.kept == nil {
		s.kept = make(map[[32]byte]weak.Pointer[pkgindex.Package])
	}
	for k, w := range s.kept {
		if w.Value() == nil {
			delete(s.kept, k)
		}
	}
	s.kept[key] = weak.Make(p)
	return p, nil
}

// sumOf is the same for files that are the same in all that can be seen of them.
func sumOf(name string, files []file) (sum [32]byte) {
	h := sha256.New()
	put := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		io.WriteString(h, s)
	}
	put(name)
	for _, f := range files {
		for _, s := range []string{f.path, f.target, f.text, f.why, fmt.Sprint(f.mutable, f.sec, f.late != nil), string(f.stamp[:])} {
			put(s)
		}
	}
	return [32]byte(h.Sum(nil))
}

// make makes the package. Texts are kept in memory, as a file without a name.
func (s *Set) make(name string, files []file) (*pkgindex.Package, error) {
	var made []pkgindex.SyntheticFile
	var texts strings.Builder
	for _, f := range files {
		m := pkgindex.SyntheticFile{Entry: pkgmeta.Entry{Path: f.path, Sec: f.sec, Mutable: f.mutable}, MadeOf: f.why}
		switch {
		case f.target != "":
			m.Type, m.Mode, m.Target = pkgmeta.Symlink, 0o777, f.target
		case f.late != nil:
			m.Mode, m.Lazy = 0o644, s.late(name, f)
		default:
			m.Mode, m.Size, m.Offset = 0o644, int64(len(f.text)), int64(texts.Len())
			texts.WriteString(f.text)
		}
		made = append(made, m)
	}
	var content *os.File
	if texts.Len() > 0 {
		fd, err := unix.MemfdCreate("packagefs "+name, unix.MFD_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("keep what was made in memory: %w", err)
		}
		content = os.NewFile(uintptr(fd), name)
		if _, err := content.WriteString(texts.String()); err != nil {
			content.Close()
			return nil, fmt.Errorf("keep what was made in memory: %w", err)
		}
	}
	return pkgindex.NewSynthetic(pkgmeta.Meta{Ref: s.Ref, Format: pkgmeta.Format("made-" + name)}, made, content)
}

// late makes the content of a file that is made when somebody looks.
func (s *Set) late(name string, f file) *pkgindex.Lazy {
	return pkgindex.NewLazy(f.stamp, func() (content []byte, why string) {
		defer s.rescue(name)
		content, why, err := f.late()
		if err != nil {
			s.fail(name, err.Error())
			return nil, ""
		}
		return content, why
	})
}

// sources says in words what something is made of: a list of packages, each once.
type sources struct {
	refs  []string
	named map[*pkgindex.Package]bool
	sec   int64
}

func (s *sources) add(f union.File) {
	s.sec = max(s.sec, f.Layer.Inode(f.Ino).Sec)
	p := f.Package()
	if p.Synthetic() || s.named[p] {
		return
	}
	if s.named == nil {
		s.named = make(map[*pkgindex.Package]bool)
	}
	s.named[p] = true
	s.refs = append(s.refs, p.Ref.String())
}

// maxRefs is how many packages are named.
const maxRefs = 20

func (s *sources) String() string {
	if len(s.refs) == 0 {
		return "nothing"
	}
	if n := len(s.refs) - maxRefs; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(s.refs[:maxRefs], ", "), n)
	}
	return strings.Join(s.refs, ", ")
}

// absolute makes a path of a tree absolute.
func absolute(p string) string { return path.Join("/", p) }
