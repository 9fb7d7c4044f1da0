package guest

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// Root enters a context through the kernel's own client, with no process in the
// background, and nothing is left.
func testRun(t *testing.T) {
	s := guestServer(t, "package:hello", "package:kinds")
	before := mountTable(t)
	out, err := s.Run("run", "-p", "hello", "--", "hello")
	if err != nil || out != "Hello, world!\n" {
		t.Errorf("hello says %q, %v", out, err)
	}
	out, err = s.Run("run", "-p", "kinds", "--", "sh", "-c", "cat /opt/kinds/one && cat /proc/self/mountinfo")
	if err != nil || !strings.HasPrefix(out, "1") {
		t.Errorf("in the context of kinds: %q, %v", out, err)
	}
	if !strings.Contains(out, " /usr/libexec/packagefs/contexts ro,nosuid,nodev,relatime - 9p ") {
		t.Errorf("the directory of contexts is not mounted with the kernel's client:\n%s", out)
	}
	// From one context into another one, at which the first is seen no more.
	out, err = s.Run("run", "-p", "kinds", "--", "/usr/libexec/packagefs/enter", "hello", "/usr/bin/hello")
	if err != nil || out != "Hello, world!\n" {
		t.Errorf("hello, from the context of kinds, says %q, %v", out, err)
	}
	var exit *exec.ExitError
	if _, err := s.Run("run", "-p", "hello", "--", "sh", "-c", "exit 9"); !errors.As(err, &exit) || exit.ExitCode() != 9 {
		t.Errorf("want status 9: %v", err)
	}
	if out, err := s.Run("doctor"); err != nil || !strings.Contains(out, "kernel 9p") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if after := mountTable(t); after != before {
		t.Errorf("mounts are left behind:\n%s", after)
	}
	if err := harness.NoProcess("packagefs-keeper"); err != nil {
		t.Error(err)
	}
}
