package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

const programsContext = "package:hello+bash+python3.11-minimal"

// Programs that are dynamically linked run from the mount.
func testPrograms(t *testing.T) {
	s := guestServer(t, programsContext)
	for _, cache := range cacheModes {
		for _, msize := range msizes {
			t.Run(fmt.Sprintf("%s %d", cache, msize), func(t *testing.T) {
				harness.CheckPrograms(t, mountUnix(t, s, programsContext, fmt.Sprintf("cache=%s,msize=%d", cache, msize)))
			})
		}
	}
}

func testCalls(t *testing.T) {
	s := guestServer(t, "package:kinds")
	for _, cache := range cacheModes {
		for _, msize := range msizes {
			t.Run(fmt.Sprintf("%s %d", cache, msize), func(t *testing.T) {
				harness.CheckCalls(t, mountUnix(t, s, "package:kinds", fmt.Sprintf("cache=%s,msize=%d", cache, msize)))
			})
		}
	}
}

// A kernel overlay takes the mount as its lower layer.
func testOverlay(t *testing.T) {
	s := guestServer(t, "package:kinds")
	for _, cache := range cacheModes {
		t.Run(cache, func(t *testing.T) {
			checkOverlay(t, mountUnix(t, s, "package:kinds", "cache="+cache))
		})
	}
}

func checkOverlay(t *testing.T, lower string) {
	before, err := harness.WalkDir(lower)
	if err != nil {
		t.Fatal(err)
	}
	layers := runDir(t)
	upper, work, at := filepath.Join(layers, "upper"), filepath.Join(layers, "work"), filepath.Join(layers, "at")
	for _, dir := range []string{upper, work, at} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("overlay", at, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	}()
	got, err := harness.WalkDir(at)
	if err != nil {
		t.Fatal(err)
	}
	// overlayfs does not say which lower files are one, and has a root of its own.
	harness.CheckSame(t, "overlay", harness.WithoutRootAndLinks(before), harness.WithoutRootAndLinks(got))

	in := func(name string) string { return filepath.Join(at, "opt/kinds", name) }
	for what, err := range map[string]error{
		"write (copy-up)": os.WriteFile(in("page"), []byte("new"), 0o644),
		"chmod (copy-up)": os.Chmod(in("more"), 0o600),
		"rename":          os.Rename(in("one"), in("uno")),
		"unlink":          os.Remove(in("empty")),
		"remove all":      os.RemoveAll(in("deep")),
		"create":          os.WriteFile(in("created"), nil, 0o644),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := harness.Holds(in("page"), "new"); err != nil {
		t.Error(err)
	}
	after, err := harness.WalkDir(lower)
	if err != nil {
		t.Fatal(err)
	}
	harness.CheckSame(t, "the layer below", before, after)
}

// A process that is killed while it waits for a reply makes the kernel flush
// the request; the mount must stay good.
func testKill(t *testing.T) {
	s := guestServer(t, "package:kinds")
	at := mountUnix(t, s, "package:kinds", "cache=none,msize=8192")
	big := filepath.Join(at, "opt/kinds/big")
	for i := range 20 {
		cmd := exec.Command("sh", "-c", "while :; do cat "+big+"; done >/dev/null")
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+7*i) * time.Millisecond)
		if err := unix.Kill(-cmd.Process.Pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if err := harness.Holds(filepath.Join(at, "opt/kinds/more"), strings.Repeat("more", 1025)); err != nil {
			t.Fatalf("after %d kills: %v", i+1, err)
		}
	}
}
