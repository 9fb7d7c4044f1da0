package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A PythonRelease is a Python of a Debian release.
type PythonRelease struct{ Suite, Name, version string }

// PythonReleases are the Pythons that stand side by side in one package
// directory, with all that they depend on.
var PythonReleases = []PythonRelease{
	{"bullseye", "python2.7", "2.7.18"}, {"bookworm", "python3.11", "3.11.2"}, {"trixie", "python3.13", "3.13.5"},
}

// PythonSetting makes the directories of a server of the Pythons, and of two scripts
// that begin with #!/usr/bin/python and want different ones. Alice sees the scripts
// and nothing else, Bob and Cid a Python each.
func PythonSetting(t *testing.T, s *Server) {
	t.Helper()
	overrides := map[string]string{}
	for _, p := range PythonReleases {
		overrides[p.Name+".toml"] = fmt.Sprintf("links = { \"/usr/bin/python\" = %q }\nprovides = [\"python (= %s)\"]\n", p.Name, p.version)
	}
	WriteFiles(t, filepath.Join(s.State, "overrides"), overrides)
	WriteFiles(t, s.Contexts, map[string]string{
		fmt.Sprintf("user:%d.toml", AliceUID): "toplevel = [\"old-script\", \"new-script\", \"later\"]\n",
		fmt.Sprintf("user:%d.toml", BobUID):   "toplevel = [\"python2.7\"]\ndependencies = \"visible\"\n",
		fmt.Sprintf("user:%d.toml", CidUID):   "toplevel = [\"python3.13\"]\ndependencies = \"visible\"\n",
	})
}

// Users of the tests, whom no file of the machine needs to know.
const (
	AliceUID = 4601
	BobUID   = 4602
	CidUID   = 4603
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

// ScriptFiles are what a script's package has.
func ScriptFiles(name string) map[string]string {
	return map[string]string{"usr/bin/" + name: fmt.Sprintf(scriptText, name)}
}

// RunAs runs a command as a user without any capability, or as root.
func RunAs(uid uint32, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/", "PACKAGEFS_IDLE=3s"}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// CheckPythons tells the story of the two scripts in alice's context.
func CheckPythons(t *testing.T, s *Server, uid uint32) {
	t.Helper()
	packagefs := func(args ...string) (string, error) {
		return RunAs(uid, append([]string{s.Binary, "-s", s.Listen[0], "-c", fmt.Sprint("user:", AliceUID)}, args...)...)
	}
	check := func(want string, args ...string) {
		t.Helper()
		if out, err := packagefs(args...); err != nil || out != want {
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
	if out, err := packagefs("run", "-p", "no-such-package", "--", "true"); err == nil || !strings.Contains(out, "no-such-package") {
		t.Errorf("a package that is not there: %v: %s", err, out)
	}
}

// PythonRoot fails where the machine has a /usr/bin/python of its own, which every
// context would show.
func PythonRoot(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat("/usr/bin/python"); err == nil {
		t.Fatal("this machine has a /usr/bin/python; the test needs one that has not: remove the package python-is-python3")
	}
}
