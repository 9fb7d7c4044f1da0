package pkgindex

import (
	"slices"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

func TestSetOrder(t *testing.T) {
	pkg := func(name, v string, provides ...string) *Package {
		p := &Package{Meta: pkgmeta.Meta{Ref: pkgmeta.Ref{Name: name, Version: v}, Scheme: version.Debian, Architecture: "amd64"}}
		for _, name := range provides {
			p.Provides = append(p.Provides, relation.Term{Name: name})
		}
		return p
	}
	refs := func(ps []*Package) (out []string) {
		for _, p := range ps {
			out = append(out, p.Ref.String())
		}
		return out
	}
	a, b9, b10, c := pkg("a", "1", "virt"), pkg("b", "9"), pkg("b", "10", "virt", "virt"), pkg("c", "1~rc1", "other")
	s := NewSet(1, []*Package{c, b9, a, b10}, nil)
	if got := refs(s.Packages); !slices.Equal(got, []string{"a=1", "b=10", "b=9", "c=1~rc1"}) {
		t.Errorf("got %v", got)
	}
	next := s.with([]*Package{pkg("b", "11"), pkg("0", "1", "virt")}, []*Package{a, b9})
	if got := refs(next.Packages); !slices.Equal(got, []string{"0=1", "b=11", "b=10", "c=1~rc1"}) {
		t.Errorf("got %v", got)
	}
	if got := refs(next.Providing("virt")); !slices.Equal(got, []string{"0=1", "b=10"}) {
		t.Errorf("got %v", got)
	}
	if got := refs(next.Named("b")); !slices.Equal(got, []string{"b=11", "b=10"}) {
		t.Errorf("got %v", got)
	}
	if len(s.Packages) != 4 || next.Generation != 2 || len(next.Named("zz")) != 0 {
		t.Error("the earlier generation changed")
	}
}
