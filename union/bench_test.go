package union

import (
	"fmt"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// sharing installs n packages that share directories.
func sharing(b *testing.B, n int) []*pkgindex.Package {
	s := &site{t: &testing.T{}, dir: b.TempDir()}
	for i := range n {
		name := fmt.Sprintf("p%04d", i)
		s.install(mkpkg.Spec{Name: name, Version: "1", Compression: mkpkg.Plain, Files: []mkpkg.File{
			{Path: "usr/bin/" + name, Body: name, Mode: 0o755}, {Path: "usr/bin/common", Body: name}, {Path: "usr/share/doc/" + name + "/copyright", Body: name},
		}})
	}
	stop := s.open(b.TempDir())
	b.Cleanup(stop)
	return s.store.Set().Packages
}

// BenchmarkWalk walks three names to a program that is there, and to none.
func BenchmarkWalk(b *testing.B) {
	packages := sharing(b, 500)
	root, err := Attach(&live{tree: NewTree(packages, nil)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	launching, err := Attach(&live{tree: Extras{Launchers: launch("p0250")}.NewTree(packages, nil)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	qids := make([]p9.QID, 0, 16)
	for _, c := range []struct {
		name string
		root p9.File
		path []string
	}{
		{"hit", root, []string{"usr", "bin", "p0250"}},
		{"miss", root, []string{"usr", "bin", "p0250x"}},
		{"launcher", launching, []string{"usr", "bin", "p0250"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := c.root.(*dirFile).WalkPart(qids, c.path, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMerge merges /usr/bin of 500 packages.
func BenchmarkMerge(b *testing.B) {
	packages := sharing(b, 500)
	for b.Loop() {
		if _, _, err := NewTree(packages, nil).find("usr/bin/common", true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNextGeneration looks at a directory that the change does not touch.
func BenchmarkNextGeneration(b *testing.B) {
	packages := sharing(b, 500)
	tree := NewTree(packages[:499], nil)
	if _, _, err := tree.find("usr/share/doc/p0100/copyright", true); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := NewTree(packages, tree).find("usr/share/doc/p0100/copyright", true); err != nil {
			b.Fatal(err)
		}
	}
}
