package union

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// site is a package directory with a store that follows it.
type site struct {
	t     *testing.T
	dir   string
	state string
	store *pkgindex.Store
}

func newSite(t *testing.T, specs ...mkpkg.Spec) *site {
	s := &site{t: t, dir: t.TempDir()}
	for _, spec := range specs {
		s.install(spec)
	}
	s.open(t.TempDir())
	return s
}

// open starts a store with its state in dir, and returns when it has settled.
func (s *site) open(state string) (stop func()) {
	s.t.Helper()
	s.state = state
	store, err := pkgindex.Open(pkgindex.Config{Packages: []string{s.dir}, State: state})
	if err != nil {
		s.t.Fatal(err)
	}
	s.store = store
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { store.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	s.t.Cleanup(stop)
	s.settle()
	return stop
}

func (s *site) settle() *pkgindex.Set {
	s.t.Helper()
	if err := s.store.Settle(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	set := s.store.Set()
	for _, r := range set.Rejected {
		s.t.Fatalf("%s: %s", r.File, r.Reason)
	}
	return set
}

func (s *site) install(spec mkpkg.Spec) {
	s.t.Helper()
	f, err := os.CreateTemp(s.t.TempDir(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := mkpkg.Deb(f, spec); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(f.Name(), filepath.Join(s.dir, spec.Name+"_"+spec.Version+".deb")); err != nil {
		s.t.Fatal(err)
	}
}

// override writes an override file and waits until it is live.
func (s *site) override(name, text string) {
	s.t.Helper()
	file := filepath.Join(s.state, "overrides", name+".toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	for s.store.Set().Named(name)[0].Override == "" {
		time.Sleep(time.Millisecond)
	}
}

func (s *site) remove(name string) {
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// named returns packages of the current set in the order of the names.
func (s *site) named(names ...string) []*pkgindex.Package {
	s.t.Helper()
	var out []*pkgindex.Package
	for _, name := range names {
		ps := s.store.Set().Named(name)
		if len(ps) == 0 {
			s.t.Fatalf("%s is not installed", name)
		}
		out = append(out, ps...)
	}
	return out
}

// live is a Source whose tree a test changes.
type live struct {
	tree   *Tree
	layers []*Mutable // the first takes changes
	err    error

	mu   sync.Mutex // guards last
	last *Stack
}

func (l *live) Stack(bool) (*Stack, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || l.last.Tree != l.tree {
		l.last = &Stack{Tree: l.tree, Layers: l.layers, Own: len(l.layers) > 0}
	}
	return l.last, l.err
}

// text lists a tree, a line a file.
func text(t *testing.T, f p9.File, path string) string {
	t.Helper()
	var b strings.Builder
	_, _, attr, err := f.GetAttr(p9.AttrMaskAll)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if path != "" {
		fmt.Fprintf(&b, "%s %v %04o", path, map[p9.FileMode]string{p9.ModeDirectory: "dir", p9.ModeRegular: "file", p9.ModeSymlink: "link", p9.ModeNamedPipe: "fifo"}[attr.Mode.FileType()], attr.Mode.Permissions()|attr.Mode&0o7000)
	}
	switch attr.Mode.FileType() {
	case p9.ModeSymlink:
		target, err := f.Readlink()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		fmt.Fprintf(&b, " -> %s\n", target)
	case p9.ModeRegular:
		fmt.Fprintf(&b, " %q\n", content(t, f))
	case p9.ModeDirectory:
		if path != "" {
			b.WriteByte('\n')
		}
		for _, e := range list(t, f) {
			_, to, err := f.Walk([]string{e.Name})
			if err != nil {
				t.Fatalf("%s/%s: %v", path, e.Name, err)
			}
			qid, _, _, err := to.GetAttr(p9.AttrMaskAll)
			if err != nil || qid != e.QID || qid.Version == 0 {
				t.Errorf("%s/%s: qid %v, Readdir says %v (%v)", path, e.Name, qid, e.QID, err)
			}
			b.WriteString(text(t, to, path+"/"+e.Name))
			to.Close()
		}
	default:
		b.WriteByte('\n')
	}
	return b.String()
}

// list reads a directory, two entries at a time.
func list(t *testing.T, f p9.File) p9.Dirents {
	t.Helper()
	_, d, err := f.Walk(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, err := d.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	var all p9.Dirents
	for offset := uint64(0); ; {
		some, err := d.Readdir(offset, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
		offset = some[len(some)-1].Offset
	}
}

func content(t *testing.T, f p9.File) string {
	t.Helper()
	_, r, err := f.Walk(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, _, err := r.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	return read(t, r)
}

// read reads an open file in small pieces.
func read(t *testing.T, r p9.File) string {
	t.Helper()
	var out []byte
	p := make([]byte, 3)
	for {
		n, err := r.ReadAt(p, int64(len(out)))
		out = append(out, p[:n]...)
		if err == io.EOF {
			return string(out)
		}
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
}

func attach(t *testing.T, s Stacker) p9.File {
	t.Helper()
	f, err := Attach(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func walk(t *testing.T, f p9.File, path string) p9.File {
	t.Helper()
	_, to, err := f.Walk(strings.Split(path, "/"))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return to
}

var (
	one = mkpkg.Spec{Name: "one", Version: "1", Files: []mkpkg.File{
		{Path: "etc/", Mode: 0o700}, {Path: "etc/conf", Body: "one"}, {Path: "usr/bin/tool", Body: "tool of one", Mode: 0o755},
		{Path: "usr/share/thing/x", Body: "x"}, {Path: "usr/same", Body: "same"}, {Path: "usr/fifo", Fifo: true},
	}}
	two = mkpkg.Spec{Name: "two", Version: "1", Files: []mkpkg.File{
		{Path: "etc/conf", Body: "two"}, {Path: "bin/tool", Body: "tool of two", Mode: 0o4755}, {Path: "usr/share/thing", Body: "a file"},
		{Path: "usr/same", Body: "same"}, {Path: "usr/bin/other", HardLink: "bin/tool"}, {Path: "usr/bin/t", Target: "tool"},
	}}
)

func TestMerge(t *testing.T) {
	s := newSite(t, one, two)
	for _, c := range []struct{ order, want string }{
		{"one two", `
/bin link 0777 -> usr/bin
/etc dir 0755
/etc/conf file 0644 "one"
/usr dir 0755
/usr/bin dir 0755
/usr/bin/other file 4755 "tool of two"
/usr/bin/t link 0777 -> tool
/usr/bin/tool file 0755 "tool of one"
/usr/fifo fifo 0644
/usr/same file 0644 "same"
/usr/share dir 0755
/usr/share/thing dir 0755
/usr/share/thing/x file 0644 "x"
`},
		{"two one", `
/bin link 0777 -> usr/bin
/etc dir 0755
/etc/conf file 0644 "two"
/usr dir 0755
/usr/bin dir 0755
/usr/bin/other file 4755 "tool of two"
/usr/bin/t link 0777 -> tool
/usr/bin/tool file 4755 "tool of two"
/usr/fifo fifo 0644
/usr/same file 0644 "same"
/usr/share dir 0755
/usr/share/thing file 0644 "a file"
`},
		{"", ""},
	} {
		tree := NewTree(s.named(strings.Fields(c.order)...), nil)
		if got := text(t, attach(t, &live{tree: tree}), ""); got != strings.TrimPrefix(c.want, "\n") {
			t.Errorf("%s: got\n%s", c.order, got)
		}
	}
}

func TestConflictsAndLookup(t *testing.T) {
	s := newSite(t, one, two)
	tree := NewTree(s.named("one", "two"), nil)
	var got []string
	for c, err := range tree.Conflicts() {
		if err != nil || len(c.Losers) != 1 || c.Losers[0].Package.Name != "two" || c.Winner.Package.Name != "one" {
			t.Errorf("got %+v, %v", c, err)
		}
		got = append(got, c.Path)
	}
	if want := []string{"/etc/conf", "/usr/bin/tool", "/usr/share/thing"}; !slices.Equal(got, want) {
		t.Errorf("got conflicts %q, want %q", got, want)
	}
	for _, c := range []struct {
		path, served, hidden string
		err                  error
	}{
		{"/etc/conf", "one", "two", nil},
		{"usr/bin/other", "two", "", nil},
		{"/usr/share/thing/", "one", "two", nil},
		{"/usr/bin", "one two", "", nil},
		{"/", "one two", "", nil},
		{"/bin", "two", "", nil},
		{"/nope", "", "", syscall.ENOENT},
		{"/etc/conf/x", "", "", syscall.ENOTDIR},
		{"/../../etc/conf", "one", "two", nil},
	} {
		served, hidden, err := tree.Lookup(c.path)
		if !errors.Is(err, c.err) || names(served) != c.served || names(hidden) != c.hidden {
			t.Errorf("%s: got %q, %q, %v", c.path, names(served), names(hidden), err)
		}
	}
}

func names(cs []Candidate) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Package.Name)
	}
	return strings.Join(out, " ")
}

// TestPermissions looks at files of several modes as several people.
func TestPermissions(t *testing.T) {
	s := newSite(t, mkpkg.Spec{Name: "one", Version: "1", Files: []mkpkg.File{
		{Path: "open/", Mode: 0o755}, {Path: "open/all", Mode: 0o644, Body: "x"}, {Path: "open/owner", Mode: 0o600, UID: 7, Body: "x"},
		{Path: "open/group", Mode: 0o640, GID: 8, Body: "x"}, {Path: "open/notowner", Mode: 0o044, UID: 7, Body: "x"},
		{Path: "open/exec", Mode: 0o711, Body: "x"},
		{Path: "drop/", Mode: 0o711}, {Path: "drop/known", Mode: 0o644, Body: "x"},
		{Path: "look/", Mode: 0o744}, {Path: "look/at", Mode: 0o644, Body: "x"},
		{Path: "shut/", Mode: 0o700}, {Path: "shut/in", Mode: 0o644, Body: "x"},
	}})
	stacker := &live{tree: NewTree(s.named("one"), nil)}
	for _, c := range []struct {
		who  string
		cred *Cred
		want string // what can be opened
	}{
		{"nobody to be checked", nil, "open open/all open/owner open/group open/notowner open/exec drop drop/known look look/at shut shut/in"},
		{"root", &Cred{UID: 0}, "open open/all open/owner open/group open/notowner open/exec drop drop/known look look/at shut shut/in"},
		{"a stranger", &Cred{UID: 9, GIDs: []uint32{9}}, "open open/all open/notowner open/exec drop/known look"},
		{"the owner", &Cred{UID: 7, GIDs: []uint32{9}}, "open open/all open/owner open/exec drop/known look"},
		{"in the group", &Cred{UID: 9, GIDs: []uint32{9, 8}}, "open open/all open/group open/notowner open/exec drop/known look"},
	} {
		root, err := Attach(stacker, c.cred)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, path := range strings.Fields("open open/all open/owner open/group open/notowner open/exec drop drop/known look look/at shut shut/in") {
			_, f, err := root.Walk(strings.Split(path, "/"))
			if err == nil {
				_, _, err = f.Open(p9.ReadOnly)
				f.Close()
			}
			if err == nil {
				got = append(got, path)
			} else if !errors.Is(err, syscall.EACCES) {
				t.Errorf("%s, %s: %v", c.who, path, err)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s opens %v", c.who, got)
		}
	}
}

func TestWalkPart(t *testing.T) {
	s := newSite(t, one)
	root := attach(t, &live{tree: NewTree(s.named("one"), nil)}).(*dirFile)
	for _, c := range []struct {
		names string
		qids  int
		found bool
		err   error
	}{
		{"", 0, true, nil},
		{"usr bin tool", 3, true, nil},
		{"usr bin nope deeper", 2, false, nil},
		{"nope", 0, false, syscall.ENOENT},
		{"etc conf x", 2, false, nil},
		{".. .. etc", 3, true, nil},
		{"usr bin .. same", 4, true, nil},
		{"usr .. .. etc conf", 5, true, nil},
	} {
		qids, f, err := root.WalkPart(nil, strings.Fields(c.names), true)
		if len(qids) != c.qids || (f != nil) != c.found || !errors.Is(err, c.err) {
			t.Errorf("%s: got %d qids, %v, %v", c.names, len(qids), f, err)
		}
	}
	fresh := attach(t, &live{tree: NewTree(s.named("one"), nil)}).(*dirFile)
	if fresh.Ready() {
		t.Error("a directory is ready before it was merged")
	}
	if _, _, err := fresh.WalkPart(nil, []string{"usr"}, false); err != nil {
		t.Errorf("walking where the index is read: %v", err)
	}
	if !fresh.Ready() {
		t.Error("a directory is not ready after it was merged")
	}
}

// TestReadOnly tries everything that would change something.
func TestReadOnly(t *testing.T) {
	s := newSite(t, one)
	root := attach(t, &live{tree: NewTree(s.named("one"), nil)})
	file := walk(t, root, "usr/same")
	_, _, openErr := file.Open(p9.ReadWrite)
	_, _, _, createErr := root.Create("x", p9.ReadWrite, 0o644, 0, 0)
	_, mkdirErr := root.Mkdir("x", 0o755, 0, 0)
	_, symlinkErr := root.Symlink("a", "b", 0, 0)
	_, mknodErr := root.Mknod("x", 0, 0, 0, 0, 0)
	for what, err := range map[string]error{
		"open": openErr, "create": createErr, "mkdir": mkdirErr, "symlink": symlinkErr, "mknod": mknodErr,
		"link": root.Link(file, "x"), "unlink": root.UnlinkAt("usr", 0), "rename": root.RenameAt("usr", root, "x"),
		"setattr": file.SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{}), "setxattr": file.SetXattr("user.x", nil, 0),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if v, err := file.GetXattr(packageXattr); err != nil || string(v) != "one=1" {
		t.Errorf("package xattr: %q %v", v, err)
	}
	if _, err := file.GetXattr("security.capability"); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("missing xattr: %v", err)
	}
}
