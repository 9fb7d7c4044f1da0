package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// A launcher that is stacked on the machine's root finds its server by itself, for
// root and for users.
func testFUSEUnionLauncher(t *testing.T) {
	harness.OpenFUSE(t)
	s := harness.ServerDir(t, harness.Program(t), openDir(t))
	program := func(name, depends, text string) {
		harness.MakeDeb(t, s.Packages, harness.DebSpec{Name: name, Control: depends, Fill: func(tree string) {
			harness.WriteFiles(t, tree, map[string]string{"usr/bin/" + name: text})
			harness.Must(t, os.Chmod(filepath.Join(tree, "usr/bin", name), 0o755))
		}})
	}
	program("speaks", "Depends: tongue\n", "#!/usr/bin/tongue\n")
	program("tongue", "", "#!/bin/sh\necho \"$1 speaks to $(id -u)\"\n")
	harness.WriteFiles(t, s.Contexts, map[string]string{"group:root.toml": "toplevel = [\"speaks\"]\n"})
	s.StartIndexed(t)
	const script = `
set -eu
"$1" -s "$2" -c group:root mount --union /usr >/dev/null
test ! -e /usr/bin/tongue
speaks
setpriv --reuid 4601 --regid 4601 --clear-groups --bounding-set=-all env PACKAGEFS_IDLE=2s speaks
"$1" umount /usr
`
	out, err := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c", script, "union", s.Binary, s.Listen[0]).CombinedOutput()
	if want := "/usr/bin/speaks speaks to 0\n/usr/bin/speaks speaks to 4601\n"; err != nil || string(out) != want {
		t.Errorf("%v:\n%s\nwant\n%s", err, out, want)
	}
}
