package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// loginScript runs in namespaces, with a copy of /etc that can be changed: it
// installs the recipe, and logs users in by su -l. No process outlives it.
const loginScript = `
set -eu
packagefs=$1 server=$2 etc=$3 alice=$4 bob=$5 cid=$6 later=$7 packages=$8
mount -t tmpfs tmpfs "$etc"
mkdir "$etc/upper" "$etc/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$etc/upper,workdir=$etc/work" /etc
mount -t tmpfs tmpfs /run
useradd -M -d / -s /bin/sh -u "$alice" pfs-alice
useradd -M -d / -s /bin/sh -u "$bob" pfs-bob
useradd -M -d / -s /bin/sh -u "$cid" pfs-cid
sum=$(cat /etc/pam.d/su-l | sha256sum)

export TMPDIR=/nowhere # where packagefs shall not be
"$packagefs" -s "$server" login install --dry-run --service su-l >/dev/null
[ "$sum" = "$(cat /etc/pam.d/su-l | sha256sum)" ] || echo "a dry run changed something"
"$packagefs" -s "$server" login install --service su-l
"$packagefs" -s "$server" login install --service su-l | grep -qx 'nothing to do' || echo "it is installed twice"

echo "== sessions"
su -l pfs-alice -c 'old-script new-script'
su -l pfs-alice -c 'test -e /usr/bin/python || echo no python'
su -l root -c 'test -e /usr/bin/python || echo no python'
su -l pfs-bob -c '/usr/bin/python -c "import os, sys; print(\"%d %d %d\" % (sys.version_info[:2] + (os.getuid(),)))"; env | grep PACKAGEFS_SERVER'

echo "== side by side"
loop='n=0; while [ $n -lt 25 ]; do /usr/bin/python -c "import sys, hashlib, json; print(sys.version_info[0])"; n=$((n+1)); done | sort | uniq -c'
su -l pfs-bob -c "$loop" >"$etc/bob" 2>&1 &
su -l pfs-cid -c "$loop" >"$etc/cid" 2>&1
wait $!
cat "$etc/bob" "$etc/cid"

echo "== a package comes"
mark=$(mktemp -u /tmp/pfs-XXXXXX)
su -l pfs-alice -c "! later 2>/dev/null; touch $mark; for i in \$(seq 50); do later 2>/dev/null && break; sleep 0.2; done" &
while ! test -e "$mark"; do sleep 0.1; done
rm "$mark"
cp "$later" "$packages"
wait $!

echo "== without a server"
echo >&3 # the test ends the server
read -r _ <&4 || true
su -l pfs-alice -c 'echo here' 2>&1

echo "== removed"
"$packagefs" login remove >/dev/null
[ "$sum" = "$(cat /etc/pam.d/su-l | sha256sum)" ] || echo "su-l is not as it was"
ls /etc/security/namespace.d/packagefs* /etc/profile.d/packagefs* 2>/dev/null || echo nothing
`

// Sessions of users begin in their contexts; two users at once find two different
// Pythons at one path.
func testFUSELogin(t *testing.T) {
	harness.PythonRoot(t)
	harness.OpenFUSE(t)
	dir := openDir(t)
	s := pythonServer(t, dir)
	etc := filepath.Join(dir, "etc")
	harness.Must(t, os.Mkdir(etc, 0o755))
	later := harness.MakeDeb(t, t.TempDir(), harness.DebSpec{Name: "later", Fill: func(tree string) {
		harness.WriteFiles(t, tree, map[string]string{"usr/bin/later": "#!/bin/sh\necho it is there\n"})
		harness.Must(t, os.Chmod(filepath.Join(tree, "usr/bin/later"), 0o755))
	}})
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--kill-child", "--mount-proc", "bash", "-c", loginScript, "login",
		s.Binary, s.Listen[0], etc, fmt.Sprint(harness.AliceUID), fmt.Sprint(harness.BobUID), fmt.Sprint(harness.CidUID), later, s.Packages)
	asked, ask, err := os.Pipe()
	harness.Must(t, err)
	told, tell, err := os.Pipe()
	harness.Must(t, err)
	defer asked.Close()
	defer told.Close()
	cmd.ExtraFiles = []*os.File{ask, told}
	stopped := make(chan error, 1)
	go func() {
		_, err := asked.Read(make([]byte, 1))
		stopped <- errors.Join(err, s.Stop())
		tell.Close()
	}()
	text, err := cmd.CombinedOutput()
	ask.Close() // it may have ended before it asked
	if err := errors.Join(err, <-stopped); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	_, out, _ := strings.Cut(string(text), "== sessions\n")
	want := fmt.Sprintf(`old-script runs in Python 2.7
new-script runs in Python 3.13
no python
no python
2 7 %d
PACKAGEFS_SERVER=%s
== side by side
     25 2
     25 3
== a package comes
it is there
== without a server
packagefs: this session has the plain root, not your context: no server at %[2]s; start it with: packagefs serve --packages DIR, or name another one with --server
here
== removed
nothing
`, harness.BobUID, s.Listen[0])
	if out != want {
		t.Errorf("sessions print\n%s\nwant\n%s\nall:\n%s", out, want, text)
	}
}
