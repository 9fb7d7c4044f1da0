// Package walls holds the table of who may import whom, and the test that keeps
// it.
package walls

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/packagefs/packagefs/"

// table says which packages of this module each of its packages imports, outside
// of tests. A new arrow is a decision about the layout: it stands here, or it is
// not made. Test programs below test drive the built program and may use what
// they like, so that they are left out.
var table = map[string]string{
	// Commands. Each family is a package, so that clients do not reach what servers are made of.
	"cmd/packagefs":                "cmd/packagefs/internal/ask cmd/packagefs/internal/check cmd/packagefs/internal/cli cmd/packagefs/internal/demo cmd/packagefs/internal/enter cmd/packagefs/internal/local cmd/packagefs/internal/mount cmd/packagefs/internal/pack cmd/packagefs/internal/serve",
	"cmd/packagefs/internal/ask":   "cmd/packagefs/internal/cli pkgindex/signature pkgindex/staging server/api server/p9l/client",
	"cmd/packagefs/internal/check": "cmd/packagefs/internal/cli context pkgindex/format pkgindex/pkgmeta server/api",
	"cmd/packagefs/internal/cli":   "server/api server/p9l/client",
	"cmd/packagefs/internal/demo":  "cmd/packagefs/internal/ask cmd/packagefs/internal/cli cmd/packagefs/internal/mount pkgindex/format/mkpkg server server/api server/p9l/client",
	"cmd/packagefs/internal/enter": "cmd/packagefs/internal/mount server/p9l/client",
	"cmd/packagefs/internal/local": "cmd/packagefs/internal/cli cmd/packagefs/internal/enter cmd/packagefs/internal/login cmd/packagefs/internal/mount context/attachname",
	"cmd/packagefs/internal/login": "",
	"cmd/packagefs/internal/mount": "server/p9l/client server/p9l/wire",
	"cmd/packagefs/internal/pack":  "cmd/packagefs/internal/cli pkgindex/format pkgindex/pfs pkgindex/pkgmeta pkgindex/signature",
	"cmd/packagefs/internal/serve": "cmd/packagefs/internal/cli pkgindex/format pkgindex/pkgmeta server server/p9l server/p9l/client",

	// What decides who sees what.
	"server":             "context context/attachname context/files context/linediff pkgindex pkgindex/format pkgindex/pkgmeta pkgindex/staging server/api server/generate server/p9l union",
	"server/api":         "",
	"server/generate":    "pkgindex pkgindex/pkgmeta pkgindex/pkgpath union",
	"server/p9l":         "server/p9l/wire",
	"server/p9l/client":  "server/p9l/wire",
	"server/p9l/p9ltest": "server/p9l/wire",
	"server/p9l/wire":    "",

	"context":                   "context/attachname context/files context/solver pkgindex pkgindex/pkgmeta pkgindex/relation",
	"context/attachname":        "pkgindex/pkgmeta",
	"context/files":             "context/attachname context/linediff pkgindex/dirwatch pkgindex/pkgmeta",
	"context/linediff":          "",
	"context/solver":            "pkgindex/pkgmeta pkgindex/relation pkgindex/version",
	"context/solver/solvertest": "pkgindex/pkgmeta pkgindex/relation pkgindex/version",

	"union": "pkgindex pkgindex/pkgmeta pkgindex/pkgpath",

	// The store, the readers of formats, and what a package says of itself.
	"pkgindex":              "pkgindex/dirwatch pkgindex/format pkgindex/pfs pkgindex/pkgmeta pkgindex/pkgpath pkgindex/relation pkgindex/signature pkgindex/staging pkgindex/tomlfile pkgindex/version",
	"pkgindex/dirwatch":     "",
	"pkgindex/format":       "pkgindex/pfs pkgindex/pkgmeta pkgindex/pkgpath pkgindex/relation pkgindex/tomlfile pkgindex/version",
	"pkgindex/format/mkpkg": "pkgindex/pfs",
	"pkgindex/pfs":          "",
	"pkgindex/pkgmeta":      "pkgindex/relation pkgindex/version",
	"pkgindex/pkgpath":      "",
	"pkgindex/relation":     "pkgindex/version",
	"pkgindex/signature":    "",
	"pkgindex/staging":      "",
	"pkgindex/tomlfile":     "",
	"pkgindex/version":      "",
}

// never says what must not be reached, by however many steps, tests included.
var never = []struct{ from, to, why string }{
	{"server/p9l", "context", "the 9P engine serves any p9.File"},
	{"server/p9l", "union", "the 9P engine serves any p9.File"},
	{"server/p9l", "pkgindex", "the 9P engine serves any p9.File"},
	{"server/p9l", "server", "the 9P engine does not know who serves by it"},
	{"cmd/packagefs/internal/ask", "pkgindex", "commands ask the server what there is"},
	{"cmd/packagefs/internal/ask", "union", "commands ask the server what there is"},
	{"cmd/packagefs/internal/ask", "context/solver", "commands ask the server what there is"},
	{"cmd/packagefs/internal/local", "pkgindex", "what runs on a client's machine needs no server there"},
	{"cmd/packagefs/internal/mount", "server", "what runs on a client's machine needs no server there"},
	{"pkgindex/format", "pkgindex", "a reader of a format does not know where its packages are kept"},
	{"context/solver", "context/files", "the solver asks the rules by an interface"},
	{"context/solver", "pkgindex", "the solver knows packages by what they say of themselves"},
	{"union", "context", "the server turns a view into a tree"},
	{"context", "union", "the server turns a view into a tree"},
}

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// packages lists those of this module.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	// What go list reads is not seen by the cache of test results; what is looked at
	// here is.
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("go list: %v\n%s", err, failed.Stderr)
		}
		t.Fatal(err)
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[own(p.ImportPath)] = p
	}
	if len(all) < 20 {
		t.Fatalf("go list tells of %d packages only", len(all))
	}
	return all
}

// own cuts the module from an import path.
func own(path string) string { return strings.TrimPrefix(path, module) }

// ours keeps this module's packages of a list of imports.
func ours(imports []string) (all []string) {
	for _, path := range imports {
		if strings.HasPrefix(path, module) {
			all = append(all, own(path))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestTable(t *testing.T) {
	all := packages(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, "test/") {
			continue
		}
		row, ok := table[name]
		if !ok {
			t.Errorf("%s is not in the table: which packages may it import?", name)
			continue
		}
		may, does := strings.Fields(row), ours(all[name].Imports)
		for _, path := range does {
			if !slices.Contains(may, path) {
				t.Errorf("%s imports %s, which the table does not allow", name, path)
			}
		}
		for _, path := range may {
			if !slices.Contains(does, path) {
				t.Errorf("%s does not import %s, as the table says: take it out", name, path)
			}
		}
	}
	for name := range table {
		if _, ok := all[name]; !ok {
			t.Errorf("the table has %s, which is no package", name)
		}
	}
}

func TestNever(t *testing.T) {
	all := packages(t)
	for _, rule := range never {
		for _, name := range []string{rule.from, rule.to} {
			if _, ok := all[name]; !ok {
				t.Errorf("a rule names %s, which is no package", name)
			}
		}
		p := all[rule.from]
		first := ours(slices.Concat(p.Imports, p.TestImports, p.XTestImports))
		if way := reach(all, first, rule.to, map[string]bool{rule.from: true}); way != nil {
			t.Errorf("%s reaches %s by %s: %s", rule.from, rule.to, strings.Join(way, ", "), rule.why)
		}
	}
}

// reach returns the imports that lead from one of these packages to another one,
// nil if none do.
func reach(all map[string]listed, from []string, to string, seen map[string]bool) []string {
	for _, name := range from {
		if name == to {
			return []string{to}
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if way := reach(all, ours(all[name].Imports), to, seen); way != nil {
			return append([]string{name}, way...)
		}
	}
	return nil
}
