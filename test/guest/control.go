package guest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

// The control mounts a directory that diod serves, to show that the guest and
// the comparison are right before packagefs is judged by them.
func testControl(t *testing.T) {
	dir := t.TempDir()
	const script = "mkdir -p a/b; seq 100000 >a/b/f; ln a/b/f a/g; ln -s b/f a/l; mkfifo a/p; chmod 4711 a/g; chown 8:9 a/b"
	if _, err := harness.Command("sh", "-c", "cd "+dir+" && "+script); err != nil {
		t.Fatal(err)
	}
	socket := "/run/diod.sock"
	diod := exec.Command("diod", "-f", "-n", "-N", "-U", "root", "-l", socket, "-e", dir)
	diod.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := diod.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = diod.Process.Kill(); _ = diod.Wait() }()
	if err := harness.WaitDial("unix:" + socket); err != nil {
		t.Fatal(err)
	}
	want, err := harness.WalkDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, cache := range cacheModes {
		for _, msize := range msizes {
			t.Run(fmt.Sprintf("%s %d", cache, msize), func(t *testing.T) {
				harness.CheckTree(t, mount9P(t, socket, fmt.Sprintf("trans=unix,uname=root,aname=%s,cache=%s,msize=%d", dir, cache, msize)), want)
			})
		}
	}
}

// testHangs and testDies let the outer tests see what becomes of a
// guest that does not end as it should.
func testHangs(t *testing.T) { time.Sleep(time.Hour) }

func testDies(t *testing.T) { panic("as the outer test wants") }
