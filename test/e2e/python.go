package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// pythonSelection is a Python and all that it needs.
func pythonSelection(p harness.PythonRelease) harness.Selection {
	return harness.Selection{Dir: "python-" + p.Suite, Suite: p.Suite, Sets: [][]string{{p.Name}}}
}

// pythons is all Pythons with what they need, and the scripts that want them.
var pythons = harness.Shared[harness.Stock]{Make: func(t testing.TB) harness.Stock {
	var files []string
	seen := map[string]bool{}
	for _, p := range harness.PythonReleases {
		c, err := pythonSelection(p).Fetch()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range c.Debs {
			if base := filepath.Base(d.File); !seen[base] {
				seen[base] = true
				files = append(files, d.File)
			}
		}
	}
	for name, depends := range map[string]string{"old-script": "python (<< 3)", "new-script": "python (>= 3)"} {
		files = append(files, harness.MakeDeb(t, t.TempDir(), harness.DebSpec{
			Name: name, Control: "Depends: " + depends + "\n",
			Fill: func(tree string) {
				harness.WriteFiles(t, tree, harness.ScriptFiles(name))
				if err := os.Chmod(filepath.Join(tree, "usr/bin", name), 0o755); err != nil {
					t.Fatal(err)
				}
			},
		}))
	}
	return harness.NewStock(t, "pythons", files...)
}}

// openDir makes a directory that every user can come to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		harness.Must(t, os.Chmod(d, 0o755))
	}
	return dir
}

// layPythons makes the directories of a server of the Pythons below dir.
func layPythons(t *testing.T, dir string) *harness.Server {
	t.Helper()
	s := harness.ServerDir(t, harness.Program(t), dir)
	files, err := pythons.Get(t).Files()
	harness.Must(t, err)
	harness.Must(t, pythons.Get(t).Lend(s, files...))
	harness.PythonSetting(t, s)
	return s
}

func pythonServer(t *testing.T, dir string) *harness.Server {
	t.Helper()
	s := layPythons(t, dir)
	s.StartIndexed(t)
	return s
}

// Two Pythons: each script finds its own at /usr/bin/python, with nobody asking
// for it.
func testFUSEPythons(t *testing.T) {
	harness.PythonRoot(t)
	harness.OpenFUSE(t)
	harness.CheckPythons(t, pythonServer(t, openDir(t)), harness.AliceUID)
}
