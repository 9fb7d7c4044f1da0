package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// guestUsers are users that the machine does not have; the tests add them.
var guestUsers = map[string]int{"alice": 4001, "bob": 4002}

// addUsers makes the users known for the length of the test. The guest's /etc
// is that of the machine outside, so a copy of the file is mounted over it.
func addUsers(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for name, uid := range guestUsers {
		data = fmt.Appendf(data, "%s:x:%d:%d::/nonexistent:/bin/false\n", name, uid, uid)
	}
	file := filepath.Join(runDir(t), "passwd")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(file, "/etc/passwd", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/etc/passwd", 0); err != nil {
			t.Error(err)
		}
	})
}

// as runs f as a user of file systems.
func as(uid int, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Setfsuid(uid)
	defer func() { _ = unix.Setfsuid(0) }()
	f()
}

// Two users of one mount, made with an empty attach name, see the trees of
// their own contexts.
func testUsers(t *testing.T) {
	addUsers(t)
	s := guestServer(t, "package:hello", "package:coreutils")
	for user, pkg := range map[string]string{"alice": "hello", "bob": "coreutils"} {
		file := filepath.Join(s.Contexts, "user:"+user+".toml")
		text := fmt.Sprintf("toplevel = [%q]\ndependencies = \"visible\"\n", pkg)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		harness.WaitFor(t, user+"'s context to be live", func() error {
			_, err := s.Run("-c", "user:"+user, "ls", "/usr/share/doc/"+pkg)
			return err
		})
	}
	for _, access := range []string{"user", "client"} {
		t.Run(access, func(t *testing.T) {
			at := mountUnix(t, s, "", "cache=none,access="+access)
			for range 3 { // in turns
				checkUser(t, "alice", at, wanted(t, "package:hello"))
				checkUser(t, "bob", at, wanted(t, "package:coreutils"))
			}
		})
	}
	t.Run("own mounts", func(t *testing.T) {
		alice := mountUnix(t, s, "user:alice", "cache=loose")
		bob := mountUnix(t, s, fmt.Sprint("user:", guestUsers["bob"]), "cache=loose")
		harness.CheckTree(t, alice, wanted(t, "package:hello"))
		harness.CheckTree(t, bob, wanted(t, "package:coreutils"))
	})
}

// checkUser compares names, types and sizes: a user who is not root cannot
// read everything.
func checkUser(t *testing.T, user, at string, want harness.Manifest) {
	t.Helper()
	as(guestUsers[user], func() {
		seen := 0
		err := filepath.WalkDir(at, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrPermission) {
				return fs.SkipDir
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(at, name)
			if err != nil {
				return err
			}
			if rel == "." {
				rel = ""
			}
			seen++
			info, err := d.Info()
			e, ok := want[rel]
			switch {
			case !ok:
				t.Errorf("%s sees /%s, which is not theirs", user, rel)
			case err != nil:
				t.Errorf("%s: %v", user, err)
			case e.Kind == harness.File && info.Size() != e.Size:
				t.Errorf("%s: /%s has %d bytes, want %d", user, rel, info.Size(), e.Size)
			}
			return nil
		})
		if err != nil || seen != len(want) {
			t.Errorf("%s sees %d files, want %d: %v", user, seen, len(want), err)
		}
	})
}

// Packages come and go under a mount.
func testLive(t *testing.T) {
	data := guestData(t)
	for _, options := range []string{"cache=none", "cache=mmap"} {
		t.Run(options, func(t *testing.T) {
			s := harness.ServerDir(t, data.Program, runDir(t))
			if err := harness.CopyFiles(s.Packages, data.Contexts["package:kinds"].Files...); err != nil {
				t.Fatal(err)
			}
			s.StartIndexed(t)
			harness.CheckLive(t, s, mountUnix(t, s, "all", options), mountUnix(t, s, "all", options), data.Live)
		})
	}
}

// The kernel's client does not reconnect. A server that goes away must leave
// its mounts with errors and not with processes that hang, and the next server
// must serve at once from what the first one indexed.
func testRestart(t *testing.T) {
	s := guestServer(t, "package:kinds")
	want := wanted(t, "package:kinds")
	old := map[string]string{
		"unix": mountUnix(t, s, "package:kinds", "cache=none"),
		"tcp":  mountTCP(t, "package:kinds", "cache=none"),
	}
	for _, at := range old {
		harness.CheckTree(t, at, want)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, at := range old {
		if err := soon(func() error { _, err := os.ReadDir(filepath.Join(at, "opt")); return err }); err == nil {
			t.Errorf("%s: a mount without a server lists a directory", name)
		}
	}
	s.StartIndexed(t)
	harness.CheckTree(t, mountUnix(t, s, "package:kinds", "cache=none"), want)
	harness.CheckTree(t, mountTCP(t, "package:kinds", "cache=none"), want)
	for name, at := range old {
		if err := soon(func() error { _, err := os.ReadDir(filepath.Join(at, "opt")); return err }); err == nil {
			t.Errorf("%s: an old mount came back to life", name)
		}
	}
}

// soon calls f and gives up waiting for it after patience.
func soon(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(harness.Patience):
		panic("a call on a mount whose server is gone hangs")
	}
}
