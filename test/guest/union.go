package guest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// A context's tree is stacked on the root of the machine, by the kernel's own
// client and overlay, and taken away.
func testUnion(t *testing.T) {
	s := guestServer(t, "package:hello", "package:kinds")
	before := mountTable(t)
	union := func(args ...string) {
		t.Helper()
		if out, err := s.Run(append([]string{"-c", "package:hello+kinds"}, args...)...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	union("mount", "--kernel", "--union", "/usr", "/opt")
	harness.CheckRuns(t, "/", "Hello, world!\n", "/usr/bin/hello")
	if _, err := harness.Command("env", "true"); err != nil {
		t.Errorf("the machine's own programs: %v", err)
	}
	for _, file := range []string{"/opt/kinds/more", "/usr/bin/hello"} {
		checkFileSystem(t, file, unix.OVERLAYFS_SUPER_MAGIC)
	}
	if err := os.WriteFile("/usr/share/new", nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing to a union without an upper directory: %v", err)
	}
	union("umount", "/usr", "/opt")
	if now := mountTable(t); now != before {
		t.Errorf("mounts are left:\n%s\nbefore:\n%s", now, before)
	}

	// The second of two cannot be stacked: the first is not either.
	if out, err := s.Run("-c", "package:hello", "mount", "--kernel", "--union", "/usr", "/srv"); err == nil {
		t.Errorf("a directory that the tree has not was stacked: %s", out)
	}
	if now := mountTable(t); now != before {
		t.Errorf("a union that failed left mounts:\n%s", now)
	}

	// With an upper directory changes are made, and are there the next time.
	changes := filepath.Join(diskDir(t), "changes")
	if err := os.Mkdir(changes, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, was := range []string{"", "changed"} {
		union("mount", "--kernel", "--union", "--upper", changes, "/opt")
		if was != "" {
			if err := harness.Holds("/opt/kinds/more", was); err != nil {
				t.Error(err)
			}
		}
		if err := os.WriteFile("/opt/kinds/more", []byte("changed"), 0o644); err != nil {
			t.Error(err)
		}
		union("umount", "/opt")
	}
	if err := harness.Holds(filepath.Join(changes, "upper/opt/kinds/more"), "changed"); err != nil {
		t.Error(err)
	}
}

func mountTable(t *testing.T) string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(table)
}
