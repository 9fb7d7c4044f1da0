package pkgindex

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// TestSynthetic reads a package that stands in no package file.
func TestSynthetic(t *testing.T) {
	content, err := os.Create(filepath.Join(t.TempDir(), "content"))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := content.WriteString("onetwo"); err != nil {
		t.Fatal(err)
	}
	made := func(v string) *Package {
		p, err := NewSynthetic(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "made", Version: v}}, []SyntheticFile{
			{Entry: pkgmeta.Entry{Path: "etc/made", Type: pkgmeta.Directory, Mode: 0o750}},
			{Entry: pkgmeta.Entry{Path: "etc/made/one", Mode: 0o600, Size: 3}},
			{Entry: pkgmeta.Entry{Path: "etc/made/two", Mode: 0o600, Size: 3}, Offset: 3},
		}, content)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := made("1")
	layers, err := p.Layers()
	if err != nil || len(layers) != 1 || !p.Synthetic() || (&Package{}).Synthetic() {
		t.Fatal(layers, err)
	}
	l := layers[0]
	for path, want := range map[string]string{"etc/made/one": "one", "etc/made/two": "two"} {
		ino, ok := l.Lookup(path)
		if !ok {
			t.Fatalf("no %s", path)
		}
		payload, err := p.Payload()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3)
		if _, err := payload.ReadAt(got, l.Offset(ino)); err != nil || string(got) != want {
			t.Errorf("%s reads %q, %v", path, got, err)
		}
		if n, err := payload.ReadNow(got, l.Offset(ino)); err != nil || string(got[:n]) != want {
			t.Errorf("%s reads at once %q, %v", path, got[:max(n, 0)], err)
		}
		if err := payload.Close(); err != nil {
			t.Error(err)
		}
	}
	etc, _ := l.Lookup("etc")
	dir, _ := l.Lookup("etc/made")
	if !l.Inode(etc).Implicit || l.Inode(dir).Implicit || l.Inode(dir).Mode != 0o750 {
		t.Errorf("etc is %+v, etc/made is %+v", l.Inode(etc), l.Inode(dir))
	}
	other := made("2")
	if again := made("1"); again.ID != p.ID || other.ID == p.ID {
		t.Error("a synthetic package's number does not follow its name and version")
	}

	_, err = NewSynthetic(pkgmeta.Meta{}, []SyntheticFile{{Entry: pkgmeta.Entry{Path: "x", HardLink: "y"}}}, nil)
	if err == nil {
		t.Error("a hard link to nothing is taken")
	}
	empty, err := NewSynthetic(pkgmeta.Meta{}, []SyntheticFile{{Entry: pkgmeta.Entry{Path: "x", Type: pkgmeta.Symlink, Target: "y"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Payload(); !errors.Is(err, ErrGone) {
		t.Errorf("a payload of nothing: %v", err)
	}
}

// TestLazy makes a content when it is first asked for, and once.
func TestLazy(t *testing.T) {
	calls := 0
	lazy := NewLazy([32]byte{1}, func() ([]byte, string) { calls++; return []byte("made"), "of this" })
	p, err := NewSynthetic(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "made", Version: "1"}}, []SyntheticFile{
		{Entry: pkgmeta.Entry{Path: "etc/link", Type: pkgmeta.Symlink, Target: "x"}, MadeOf: "because"},
		{Entry: pkgmeta.Entry{Path: "etc/lazy", Mode: 0o644, Mutable: true}, Lazy: lazy},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, _ := p.Layers()
	l := &layers[0]
	link, _ := l.Lookup("etc/link")
	ino, _ := l.Lookup("etc/lazy")
	if l.Lazy(link) != nil || l.MadeOf(link) != "because" || l.MadeOf(ino) != "" || l.Lazy(ino) != lazy || l.Inode(ino).Mutable {
		t.Errorf("%v %q %q %+v", l.Lazy(link), l.MadeOf(link), l.MadeOf(ino), l.Inode(ino))
	}
	if content, ok := lazy.Content(false); ok || content != nil || calls != 0 {
		t.Errorf("who does not wait gets %q, %v after %d calls", content, ok, calls)
	}
	for range 2 {
		if content, ok := lazy.Content(true); !ok || string(content) != "made" || calls != 1 || l.MadeOf(ino) != "of this" {
			t.Errorf("%q, %v after %d calls, because %q", content, ok, calls, l.MadeOf(ino))
		}
	}

	// Inode numbers follow what a file is, and not where it stands in the list.
	other, err := NewSynthetic(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "made", Version: "1"}}, []SyntheticFile{
		{Entry: pkgmeta.Entry{Path: "etc/another", Type: pkgmeta.Symlink, Target: "x"}},
		{Entry: pkgmeta.Entry{Path: "etc/lazy", Mode: 0o644}, Lazy: NewLazy([32]byte{2}, nil)},
		{Entry: pkgmeta.Entry{Path: "etc/link", Type: pkgmeta.Symlink, Target: "x"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	more, _ := other.Layers()
	link2, _ := more[0].Lookup("etc/link")
	lazy2, _ := more[0].Lookup("etc/lazy")
	if more[0].Ino(link2) != l.Ino(link) || more[0].Ino(lazy2) == l.Ino(ino) || more[0].Version(lazy2) == l.Version(ino) {
		t.Error("inode numbers do not follow what files are")
	}
}
