//go:build e2e || guest

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A pythonRelease is a Python of a Debian release.
type pythonRelease struct{ suite, name, version string }

// pythonReleases are the Pythons that stand side by side in one package
// directory, with all that they depend on.
var pythonReleases = []pythonRelease{
	{"bullseye", "python2.7", "2.7.18"}, {"bookworm", "python3.11", "3.11.2"}, {"trixie", "python3.13", "3.13.5"},
}

// pythonServer serves the Pythons, and two scripts that begin with
// #!/usr/bin/python and want different ones. Alice sees the scripts and nothing
// else.
func pythonServer(t *testing.T, binary, dir string, files []string) *Server {
	t.Helper()
	s := ServerDir(t, binary, dir)
	must(t, copyFiles(s.Packages, files...))
	overrides := map[string]string{}
	for _, p := range pythonReleases {
		overrides[p.name+".toml"] = fmt.Sprintf("links = { \"/usr/bin/python\" = %q }\nprovides = [\"python (= %s)\"]\n", p.name, p.version)
	}
	writeFiles(t, filepath.Join(s.State, "overrides"), overrides)
	writeFiles(t, s.Contexts, map[string]string{
		fmt.Sprintf("user:%d.toml", aliceUID): "toplevel = [\"old-script\", \"new-script\", \"later\"]\n",
		fmt.Sprintf("user:%d.toml", bobUID):   "toplevel = [\"python2.7\"]\ndependencies = \"visible\"\n",
		fmt.Sprintf("user:%d.toml", cidUID):   "toplevel = [\"python3.13\"]\ndependencies = \"visible\"\n",
	})
	s.StartIndexed(t)
	return s
}

// Users of the tests, whom no file of the machine needs to know.
const (
	aliceUID = 4601
	bobUID   = 4602
	cidUID   = 4603
)

// scriptText is a Python program of either version that tells which one runs it,
// and then starts another program.
const scriptText = `#!/usr/bin/python
import os, subprocess, sys
print("%%s runs in Python %%d.%%d" %% (%q, sys.version_info[0], sys.version_info[1]))
sys.stdout.flush()
if len(sys.argv) > 1:
    sys.exit(subprocess.call(sys.argv[1:]))
`

// scriptFiles are what a script's package has.
func scriptFiles(name string) map[string]string {
	return map[string]string{"usr/bin/" + name: fmt.Sprintf(scriptText, name)}
}

// checkPythons tells the story of two Pythons: in alice's context, as she may be.
func checkPythons(t *testing.T, s *Server, run func(uid uint32, args ...string) (string, error)) {
	t.Helper()
	packagefs := func(args ...string) []string { return append([]string{s.Binary, "-s", s.Listen[0]}, args...) }
	check := func(want string, args ...string) {
		t.Helper()
		out, err := run(aliceUID, packagefs(args...)...)
		if err != nil || out != want {
			t.Errorf("packagefs %s\nprints %q, %v\nwant   %q", strings.Join(args, " "), out, err, want)
		}
	}
	const oldRuns, newRuns = "old-script runs in Python 2.7\n", "new-script runs in Python 3.13\n"
	check(oldRuns, "run", "--", "old-script")
	check(newRuns, "run", "--", "new-script")
	check(oldRuns+newRuns, "run", "--", "old-script", "new-script")
	check(newRuns+oldRuns+newRuns, "shell", "--", "new-script", "old-script", "/usr/bin/new-script")
	check("none\n", "shell", "--", "sh", "-c", "command -v python || test -e /usr/bin/python || echo none")
	check("3.13\n", "shell", "python3.13", "--", "/usr/bin/python", "-c", "import sys, ssl, ctypes; print('%d.%d' % sys.version_info[:2])")
	check("2.7\n", "run", "-p", "python2.7", "--", "python", "-c", "import sys, hashlib; print('%d.%d' % sys.version_info[:2])")
	if out, err := run(aliceUID, packagefs("run", "-p", "no-such-package", "--", "true")...); err == nil || !strings.Contains(out, "no-such-package") {
		t.Errorf("a package that is not there: %v: %s", err, out)
	}
}

// pythonRoot fails where the machine has a /usr/bin/python of its own, which every
// context would show.
func pythonRoot(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat("/usr/bin/python"); err == nil {
		t.Fatal("this machine has a /usr/bin/python; the test needs one that has not: remove the package python-is-python3")
	}
}
