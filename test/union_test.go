//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A launcher that is stacked on the machine's root finds its server by itself, for
// root and for users.
func TestFUSEUnionLauncher(t *testing.T) {
	openFUSE(t)
	s := ServerDir(t, get(t, program), openDir(t))
	program := func(name, depends, text string) {
		MakeDeb(t, s.Packages, DebSpec{Name: name, Control: depends, Fill: func(tree string) {
			writeFiles(t, tree, map[string]string{"usr/bin/" + name: text})
			must(t, os.Chmod(filepath.Join(tree, "usr/bin", name), 0o755))
		}})
	}
	program("speaks", "Depends: tongue\n", "#!/usr/bin/tongue\n")
	program("tongue", "", "#!/bin/sh\necho \"$1 speaks to $(id -u)\"\n")
	writeFiles(t, s.Contexts, map[string]string{"group:root.toml": "toplevel = [\"speaks\"]\n"})
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
