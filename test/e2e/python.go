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

// fetchPythons returns the package files of all Pythons and what they need, and of
// the scripts that want them.
func fetchPythons(t *testing.T, dir string) (files []string) {
	t.Helper()
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
		files = append(files, harness.MakeDeb(t, dir, harness.DebSpec{
			Name: name, Control: "Depends: " + depends + "\n",
			Fill: func(tree string) {
				harness.WriteFiles(t, tree, harness.ScriptFiles(name))
				harness.Must(t, os.Chmod(filepath.Join(tree, "usr/bin", name), 0o755))
			},
		}))
	}
	return files
}

// openDir makes a directory that every user can come to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		harness.Must(t, os.Chmod(d, 0o755))
	}
	return dir
}

// pythonServer serves the Pythons from package files that were fetched.
func pythonServer(t *testing.T, dir string) *harness.Server {
	t.Helper()
	s := harness.ServerDir(t, harness.Program(t), dir)
	harness.Must(t, harness.CopyFiles(s.Packages, fetchPythons(t, t.TempDir())...))
	harness.PythonSetting(t, s)
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
