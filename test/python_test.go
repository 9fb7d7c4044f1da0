//go:build e2e

package test

import (
	"os"
	"path/filepath"
	"testing"
)

// pythonSelection is a Python and all that it needs.
func pythonSelection(p pythonRelease) selection {
	return selection{"python-" + p.suite, p.suite, [][]string{{p.name}}}
}

// fetchPythons returns the package files of all Pythons and what they need, and of
// the scripts that want them.
func fetchPythons(t *testing.T, dir string) (files []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range pythonReleases {
		c, err := pythonSelection(p).fetch()
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
		files = append(files, MakeDeb(t, dir, DebSpec{
			Name: name, Control: "Depends: " + depends + "\n",
			Fill: func(tree string) {
				writeFiles(t, tree, scriptFiles(name))
				must(t, os.Chmod(filepath.Join(tree, "usr/bin", name), 0o755))
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
		must(t, os.Chmod(d, 0o755))
	}
	return dir
}

// pythonServer serves the Pythons from package files that were fetched.
func pythonServer(t *testing.T, dir string) *Server {
	t.Helper()
	s := ServerDir(t, get(t, program), dir)
	must(t, copyFiles(s.Packages, fetchPythons(t, t.TempDir())...))
	pythonSetting(t, s)
	s.StartIndexed(t)
	return s
}

// Two Pythons: each script finds its own at /usr/bin/python, with nobody asking
// for it.
func TestFUSEPythons(t *testing.T) {
	pythonRoot(t)
	openFUSE(t)
	checkPythons(t, pythonServer(t, openDir(t)), aliceUID)
}
