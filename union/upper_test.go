package union

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// app has a configuration file that users may change.
var app = mkpkg.Spec{Name: "app", Version: "1", Files: []mkpkg.File{
	{Path: "etc/app/app.conf", Body: "default", Conffile: true},
	{Path: "usr/bin/app", Body: "program", Mode: 0o755},
	{Path: "usr/share/app/data", Body: "data"},
}}

// layered is a site with a mutable layer.
type layered struct {
	*site
	dir     string
	layer   *Mutable
	files   *OpenFiles
	stacker *live
	root    p9.File
}

func newLayered(t *testing.T, specs ...mkpkg.Spec) *layered {
	t.Helper()
	l := &layered{site: newSite(t, specs...), dir: filepath.Join(t.TempDir(), "user:alice")}
	l.reopen()
	return l
}

// reopen is what a server that starts anew does.
func (l *layered) reopen() {
	l.t.Helper()
	if l.layer != nil {
		l.layer.Close()
	}
	var err error
	if l.layer, err = OpenMutable(l.dir, nil, l.files, zerolog.Nop()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(l.layer.Close)
	var names []string
	for _, p := range l.store.Set().Packages {
		names = append(names, p.Name)
	}
	l.stacker = &live{tree: NewTree(l.named(names...), nil), layers: []*Mutable{l.layer}}
	l.root = attach(l.t, l.stacker)
}

func (l *layered) at(path string) p9.File { return walk(l.t, l.root, path) }

// write replaces or makes a file.
func (l *layered) write(path, content string) {
	l.t.Helper()
	dir, name := filepath.Split(path)
	d := l.root
	if dir != "" {
		d = l.at(strings.TrimSuffix(dir, "/"))
	}
	_, c, err := d.Walk(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	f, _, _, err := c.Create(name, p9.WriteOnly|unix.O_TRUNC, 0o644, p9.NoUID, p9.NoGID)
	if err != nil {
		l.t.Fatalf("create %s: %v", path, err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		l.t.Fatalf("write %s: %v", path, err)
	}
}

func (l *layered) wants(path, content string) {
	l.t.Helper()
	f := l.at(path)
	defer f.Close()
	if got := contentOf(l.t, f); got != content {
		l.t.Errorf("%s is %q, want %q", path, got, content)
	}
}

func contentOf(t *testing.T, f p9.File) string { t.Helper(); return content(t, f) }

func (l *layered) gone(path string) {
	l.t.Helper()
	if _, f, err := l.root.Walk(strings.Split(path, "/")); !notThere(err) {
		l.t.Errorf("%s is there (%v)", path, err)
		if f != nil {
			f.Close()
		}
	}
}

// disk describes a path of the layer's directory.
func (l *layered) disk(path string) string {
	info, err := os.Lstat(filepath.Join(l.dir, "upper", path))
	if err != nil {
		return "nothing"
	}
	return info.Mode().Type().String()[:1]
}

func TestCopyUp(t *testing.T) {
	l := newLayered(t, app)
	conf := l.at("etc/app/app.conf")
	before, _, attr, err := conf.GetAttr(p9.AttrMaskAll)
	if err != nil || before.Version == 0 || attr.DataVersion != 0 {
		t.Fatal(before, attr.DataVersion, err)
	}
	reader := l.at("etc/app/app.conf")
	if _, _, err := reader.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	l.write("etc/app/app.conf", "edited")
	after, _, attr, err := conf.GetAttr(p9.AttrMaskAll)
	if err != nil || after.Path != before.Path || after.Version != 0 || attr.DataVersion != 0 || attr.Size != 6 {
		t.Errorf("%v became %v with data version %d, %d bytes, %v", before, after, attr.DataVersion, attr.Size, err)
	}
	if got := read(t, reader); got != "edited" {
		t.Errorf("who had the file open reads %q", got)
	}
	l.wants("etc/app/app.conf", "edited")
	l.reopen()
	l.wants("etc/app/app.conf", "edited")
	if now, _, _, err := l.at("etc/app/app.conf").GetAttr(p9.AttrMaskAll); err != nil || now.Path != before.Path {
		t.Errorf("after a restart %v is %v, %v", before, now, err)
	}
}

// TestDataVersion shows what clients may change without another qid.
func TestDataVersion(t *testing.T) {
	l := newLayered(t, app)
	if _, err := l.at("usr/share").Mkdir("own", 0o755, 0, 0); err != nil {
		t.Fatal(err)
	}
	plain := attach(t, &live{tree: l.stacker.tree})
	for _, c := range []struct {
		root    p9.File
		path    string
		changes bool
	}{
		{l.root, "etc/app/app.conf", true},
		{plain, "etc/app/app.conf", false},
		{l.root, "usr/bin/app", false},
		{l.root, "usr/share/own", true},
		{l.root, "usr/share/app", false}, // a package has it
		{l.root, "usr/share", false},     // a package and the layer have it
	} {
		q, _, attr, err := walk(t, c.root, c.path).GetAttr(p9.AttrMaskAll)
		want := uint64(q.Version)
		if c.changes {
			want = 0
		}
		if err != nil || attr.DataVersion != want {
			t.Errorf("%s: data version %d, want %d, %v", c.path, attr.DataVersion, want, err)
		}
	}
}

func TestImmutable(t *testing.T) {
	l := newLayered(t, app)
	bin := l.at("usr/bin")
	for what, err := range map[string]error{
		"open":   second(l.at("usr/bin/app").Open(p9.WriteOnly)),
		"chmod":  l.at("usr/bin/app").SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{}),
		"unlink": bin.UnlinkAt("app", 0),
		"rename": bin.RenameAt("app", bin, "app2"),
		"link":   bin.Link(l.at("usr/bin/app"), "app2"),
		"rmdir":  l.at("usr/share").UnlinkAt("app", unix.AT_REMOVEDIR),
		"move":   l.at("usr").RenameAt("share", l.at("usr"), "other"),
		"over":   l.at("etc/app").RenameAt("app.conf", bin, "app"),
	} {
		want := syscall.EPERM
		if what == "rmdir" {
			want = syscall.ENOTEMPTY
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	l.wants("etc/app/app.conf", "default")
}

func second(_ p9.QID, _ uint32, err error) error { return err }

// TestLayerChanges changes names, and looks at what is on disk.
func TestLayerChanges(t *testing.T) {
	l := newLayered(t, app)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.at("etc").Mkdir("new", 0o755, p9.NoUID, p9.NoGID)
	must(err)
	l.write("etc/new/file", "1")
	must(l.at("etc/new").Link(l.at("etc/new/file"), "other"))
	_, err = l.at("etc/new").Symlink("file", "link", p9.NoUID, p9.NoGID)
	must(err)
	held := l.at("etc/new/file")
	must(l.at("etc").RenameAt("new", l.at("usr"), "moved"))
	l.gone("etc/new")
	l.wants("usr/moved/other", "1")
	if got := content(t, held); got != "1" {
		t.Errorf("a handle below a directory that was renamed reads %q", got)
	}
	must(l.at("usr/moved").RenameAt("file", l.at("etc/app"), "app.conf"))
	l.wants("etc/app/app.conf", "1")
	must(l.at("etc/app").UnlinkAt("app.conf", 0))
	l.gone("etc/app/app.conf")
	if got := l.disk("etc/app/app.conf"); got != "D" {
		t.Errorf("on disk the deleted file is %s", got)
	}
	must(l.at("etc").UnlinkAt("app", unix.AT_REMOVEDIR))
	l.gone("etc/app")
	_, err = l.at("etc").Mkdir("app", 0o755, p9.NoUID, p9.NoGID)
	must(err)
	l.gone("etc/app/app.conf")
	l.write("etc/app/app.conf", "own")
	l.reopen()
	l.wants("etc/app/app.conf", "own")
	l.wants("usr/moved/other", "1")
	l.gone("etc/new")
	if list, _ := os.ReadDir(filepath.Join(l.dir, "work")); len(list) > 0 {
		t.Errorf("work has %v", list)
	}
}

// TestLayerGenerations changes the packages under a layer.
func TestLayerGenerations(t *testing.T) {
	l := newLayered(t, app)
	bin := l.at("usr/bin")
	l.install(mkpkg.Spec{Name: "more", Version: "1", Files: []mkpkg.File{{Path: "usr/bin/more", Body: "m"}}})
	l.settle()
	l.stacker.tree = NewTree(l.named("app", "more"), l.stacker.tree)
	l.wants("usr/bin/more", "m")
	if _, _, err := bin.Walk([]string{"more"}); err != nil {
		t.Errorf("an old handle: %v", err)
	}
}

// TestBaseStays edits a file again and again while somebody lists the edits: what
// it was copied from must be kept whenever the copy is there.
func TestBaseStays(t *testing.T) {
	l := newLayered(t, app)
	l.write("etc/app/app.conf", "first") // the layer is there
	stack, err := l.stacker.Stack(true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var listing sync.WaitGroup
	listing.Go(func() {
		for ctx.Err() == nil {
			if _, err := stack.Edits(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer listing.Wait()
	defer cancel()
	for range 50 {
		if err := stack.ResetEdit("/etc/app/app.conf"); err != nil {
			t.Fatal(err)
		}
		l.write("etc/app/app.conf", "edited")
		if list, err := os.ReadDir(filepath.Join(l.dir, "base")); err != nil || len(list) != 1 {
			t.Fatalf("base has %v, %v", list, err)
		}
	}
}

// TestRenameIntoItself renames directories of packages to names below them, as
// clients without a kernel can: that is refused before anything is copied up.
func TestRenameIntoItself(t *testing.T) {
	l := newLayered(t, app)
	for _, c := range []struct{ name, to string }{{"etc", "etc"}, {"etc", "etc/app"}, {"usr", "usr/share"}} {
		if err := l.root.RenameAt(c.name, l.at(c.to), "new"); err != syscall.EINVAL {
			t.Errorf("%s to %s/new: %v, want EINVAL", c.name, c.to, err)
		}
	}
	if got := l.disk("etc"); got != "nothing" {
		t.Errorf("on disk etc is %s", got)
	}
	if err := l.root.RenameAt("etc", l.root, "etcetera"); err != nil { // a longer name is not below
		t.Error(err)
	}
}

// TestRenameByFile renames what a handle stands for, wherever that is by now.
func TestRenameByFile(t *testing.T) {
	l := newLayered(t, app)
	dir := l.at("etc/app")
	l.write("etc/app/new", "text")
	f, gone := l.at("etc/app/new"), l.at("etc/app/new")
	if err := f.Rename(dir, strings.Repeat("n", 256)); err != syscall.ENAMETOOLONG {
		t.Errorf("a name of 256 bytes: %v", err)
	}
	if err := f.Rename(l.at("etc"), strings.Repeat("n", 255)); err != nil {
		t.Errorf("a name of 255 bytes: %v", err)
	}
	if err := f.Rename(dir, "moved"); err != nil {
		t.Error(err)
	}
	l.wants("etc/app/moved", "text")
	if err := dir.UnlinkAt("moved", 0); err != nil {
		t.Fatal(err)
	}
	if err := gone.Rename(dir, "back"); !notThere(err) {
		t.Errorf("what was removed: %v", err)
	}
	if err := l.root.Rename(dir, "root"); err != syscall.EBUSY {
		t.Errorf("the root: %v", err)
	}
	if err := l.at("usr/bin/app").Rename(dir, "app"); err == nil {
		t.Error("the program of a package got another name")
	}
	l.wants("usr/bin/app", "program")
}

// TestRewind: as mallory, read a large directory from its beginning again and again. It
// is listed once, and again after it changed, in a directory that a layer has and in
// one with a file that may be edited.
func TestRewind(t *testing.T) {
	spec := mkpkg.Spec{Name: "many", Version: "1", Files: []mkpkg.File{{Path: "etc/many/conf", Conffile: true}}}
	for i := range largeDir {
		for _, dir := range []string{"etc/many", "usr/plain"} {
			spec.Files = append(spec.Files, mkpkg.File{Path: fmt.Sprintf("%s/%04d", dir, i)})
		}
	}
	l := newLayered(t, spec)
	list := func(path string) p9.Dirents {
		t.Helper()
		d := l.at(path)
		defer d.Close()
		if _, _, err := d.Open(p9.ReadOnly); err != nil {
			t.Fatal(err)
		}
		all, err := d.Readdir(0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	again := func(path string, want int) {
		t.Helper()
		a, b := list(path), list(path)
		if len(a) != want || &a[0] != &b[0] {
			t.Errorf("%s has %d entries, want %d; listed once: %v", path, len(a), want, &a[0] == &b[0])
		}
	}
	again("usr/plain", largeDir)
	again("etc/many", largeDir+1)
	l.write("etc/many/conf", "edited")
	again("etc/many", largeDir+1)
	l.write("etc/many/new", "text")
	again("etc/many", largeDir+2)
	if err := l.at("etc/many").UnlinkAt("new", 0); err != nil {
		t.Fatal(err)
	}
	again("etc/many", largeDir+1)
	for i := range keptListings + 1 {
		l.stacker.last.large.keep(&listedFrom{ups: []upVersion{{nil, uint32(i)}}}, &direntList{all: make(p9.Dirents, largeDir)})
	}
	if n := len(l.stacker.last.large.kept); n != keptListings {
		t.Errorf("%d lists are kept", n)
	}
}

// TestOpenFilesLimit: as mallory, open edited files until the server has no descriptor
// left. There is a limit for each user, one for all, and more for root; what is closed
// counts no more.
func TestOpenFilesLimit(t *testing.T) {
	spec := app
	spec.Files = append(slices.Clone(app.Files), mkpkg.File{Path: "etc/app/open.conf", Mode: 0o666, Conffile: true})
	l := newLayered(t, spec)
	l.write("etc/app/open.conf", "edited")
	l.files = &OpenFiles{PerUser: 3, Users: 5, All: 7}
	l.reopen()
	var opened []p9.File
	open := func(uid uint32, want error) {
		t.Helper()
		root, err := Attach(l.stacker, &Cred{UID: uid})
		if err != nil {
			t.Fatal(err)
		}
		f := walk(t, root, "etc/app/open.conf")
		if _, _, err := f.Open(p9.ReadWrite); err != want {
			t.Errorf("user %d: %v, want %v", uid, err, want)
		}
		opened = append(opened, f)
	}
	closeAll := func() {
		for _, f := range opened {
			f.Close()
		}
		opened = nil
	}
	for range 2 {
		for range 3 {
			open(5, nil)
		}
		open(5, syscall.EMFILE)
		open(6, nil)
		open(6, nil)
		open(6, syscall.ENFILE)
		open(7, syscall.ENFILE)
		open(0, nil)
		open(0, nil)
		open(0, syscall.ENFILE)
		_, d, err := l.at("etc/app").Walk(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := d.Create("new", p9.WriteOnly, 0o644, p9.NoUID, p9.NoGID); err != syscall.ENFILE {
			t.Errorf("a new file: %v", err)
		}
		l.gone("etc/app/new")
		closeAll()
	}
	if o := l.files; len(o.open) != 0 || o.sum != 0 || o.root != 0 {
		t.Errorf("left are %v, %d, %d of root", o.open, o.sum, o.root)
	}
	l.write("etc/app/new", "text")
}

// TestReadsOfNewCopy reads a file that somebody else has just copied up, at once by
// many: it is opened once.
func TestReadsOfNewCopy(t *testing.T) {
	l := newLayered(t, app)
	l.files = &OpenFiles{PerUser: 1, Users: 1, All: 100}
	l.reopen()
	for i := range 50 {
		f := l.at("etc/app/app.conf")
		if _, _, err := f.Open(p9.ReadOnly); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint("edited ", i)
		l.write("etc/app/app.conf", want)
		var reads sync.WaitGroup
		for range 4 {
			reads.Go(func() {
				p := make([]byte, 100)
				if n, err := f.ReadAt(p, 0); err != nil && err != io.EOF || string(p[:n]) != want {
					t.Errorf("%q, %v, want %q", p[:n], err, want)
				}
			})
		}
		reads.Wait()
		f.Close()
		if n := l.files.root; n != 0 {
			t.Fatalf("%d files stay open", n)
		}
		if err := l.at("etc/app").UnlinkAt("app.conf", 0); err != nil {
			t.Fatal(err)
		}
		if err := (&Stack{Tree: l.stacker.tree, Layers: l.stacker.layers, Own: true}).ResetEdit("/etc/app/app.conf"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUsageGivenBack changes names at random, with a limit in the way of some, and
// compares what the layer counts with what is on disk.
func TestUsageGivenBack(t *testing.T) {
	l := newLayered(t, app)
	quota := Quota{Files: 12, Bytes: 100}
	l.layer.limit = func() Quota { return quota }
	rng := rand.New(rand.NewSource(7))
	dirs := []string{"etc/app", "etc/app/sub", "etc"}
	names := []string{"app.conf", "a", "b", "sub", "deep"}
	dir := func() p9.File {
		_, f, err := l.root.Walk(strings.Split(dirs[rng.Intn(len(dirs))], "/"))
		if err != nil {
			return l.at("etc/app")
		}
		return f
	}
	done := map[string]int{}
	for range 3000 {
		d, name := dir(), names[rng.Intn(len(names))]
		var what string
		var err error
		switch rng.Intn(7) {
		case 0, 1:
			what = "create"
			_, c, _ := d.Walk(nil)
			var f p9.File
			if f, _, _, err = c.Create(name, p9.WriteOnly|unix.O_TRUNC, 0o644, p9.NoUID, p9.NoGID); err == nil {
				f.WriteAt(make([]byte, rng.Intn(40)), 0)
				f.Close()
			}
			c.Close()
		case 2:
			what = "mkdir"
			_, err = d.Mkdir(name, 0o755, p9.NoUID, p9.NoGID)
		case 3:
			what, err = "unlink", d.UnlinkAt(name, 0)
		case 4:
			what, err = "rmdir", d.UnlinkAt(name, unix.AT_REMOVEDIR)
		case 5:
			what = "rename"
			to := dir()
			err = d.RenameAt(name, to, names[rng.Intn(len(names))])
			to.Close()
		case 6:
			what = "link"
			if _, f, missing := d.Walk([]string{name}); missing == nil {
				err = d.Link(f, names[rng.Intn(len(names))])
				f.Close()
			}
		}
		if d.Close(); err != nil {
			what += " in vain"
		}
		if err == unix.EDQUOT {
			what = "over the limit"
		}
		done[what]++
		have, _, err := l.layer.Usage()
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := OpenMutable(l.dir, nil, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := fresh.Usage()
		fresh.Close()
		if err != nil || have != want {
			t.Fatalf("after %s of %s the layer counts %+v, on disk is %+v, %v", what, name, have, want, err)
		}
	}
	for _, what := range []string{"create", "mkdir", "unlink", "rmdir", "rename", "link", "over the limit"} {
		if done[what] < 10 {
			t.Errorf("%d times %s proves nothing: %v", done[what], what, done)
		}
	}
}

// TestStickyOfPackages removes what is in a sticky directory of a package: only who
// owns it, or the directory, may.
func TestStickyOfPackages(t *testing.T) {
	l := newLayered(t, mkpkg.Spec{Name: "drop", Version: "1", Files: []mkpkg.File{
		{Path: "srv/drop/", Mode: 0o1777}, {Path: "srv/drop/theirs", UID: 7, Conffile: true},
		{Path: "srv/drop/sub/", UID: 7, Mode: 0o755}, {Path: "srv/drop/sub/file"},
	}})
	as := func(uid uint32) p9.File {
		root, err := Attach(l.stacker, &Cred{UID: uid})
		if err != nil {
			t.Fatal(err)
		}
		return walk(t, root, "srv/drop")
	}
	for _, step := range []struct {
		uid   uint32
		name  string
		flags uint32
		want  error
	}{
		{5, "theirs", 0, syscall.EPERM},
		{5, "sub", unix.AT_REMOVEDIR, syscall.EPERM},
		{7, "sub", unix.AT_REMOVEDIR, syscall.ENOTEMPTY},
		{7, "theirs", 0, nil},
	} {
		if err := as(step.uid).UnlinkAt(step.name, step.flags); err != step.want {
			t.Errorf("user %d removes %s: %v, want %v", step.uid, step.name, err, step.want)
		}
	}
}

// TestReadOnlyByFile removes and renames what a handle stands for where no layer takes
// changes, and the root.
func TestReadOnlyByFile(t *testing.T) {
	l := newLayered(t, app)
	l.write("etc/app/new", "text")
	if err := l.root.(interface{ Remove() error }).Remove(); err != syscall.EBUSY {
		t.Errorf("the root is removed: %v", err)
	}
	root, err := Attach(unchanging{&Stack{Tree: l.stacker.tree, Layers: l.stacker.layers}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := walk(t, root, "etc/app/new")
	if err := f.(interface{ Remove() error }).Remove(); err != syscall.EROFS {
		t.Errorf("remove: %v", err)
	}
	if err := f.Rename(walk(t, root, "etc"), "new"); err != syscall.EROFS {
		t.Errorf("rename: %v", err)
	}
	l.wants("etc/app/new", "text")
}

type unchanging struct{ s *Stack }

func (f unchanging) Stack(bool) (*Stack, error) { return f.s, nil }
