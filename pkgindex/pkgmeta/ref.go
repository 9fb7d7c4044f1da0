package pkgmeta

import (
	"cmp"
	"fmt"
	"strings"
)

// A Ref names one version of one package. Written name=version.
type Ref struct {
	Name    string
	Version string // empty in a selector that takes any version
}

// ParseRef reads NAME or NAME=VERSION.
func ParseRef(s string) (Ref, error) {
	name, version, cut := strings.Cut(s, "=")
	if name == "" || cut && version == "" || strings.ContainsAny(s, "/, \t\n\x00") {
		return Ref{}, fmt.Errorf("%q is not a package: want NAME or NAME=VERSION", s)
	}
	return Ref{name, version}, nil
}

func (r Ref) String() string {
	if r.Version == "" {
		return r.Name
	}
	return r.Name + "=" + r.Version
}

// Compare orders by name and then by the text of the version. Scheme.Compare
// orders versions by age.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(strings.Compare(r.Name, o.Name), strings.Compare(r.Version, o.Version))
}
