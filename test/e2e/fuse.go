package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// fuseMount mounts a context on this machine and makes sure that it is FUSE.
func fuseMount(t *testing.T, s *harness.Server, context string) string {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("%v: the FUSE tests need it; in a container give it with --device /dev/fuse --cap-add SYS_ADMIN", err)
	}
	at := harness.MountCommand(t, s, context, t.TempDir())
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type != unix.FUSE_SUPER_MAGIC {
		t.Fatalf("the file system's type is %#x, want FUSE: this machine has the kernel's 9p", st.Type)
	}
	return at
}

// A FUSE mount shows the trees that the oracle says, twice: the second time
// from what the kernel kept.
func testFUSETrees(t *testing.T) {
	s := corpusServer(t)
	for _, context := range mountContexts {
		t.Run(context, func(t *testing.T) {
			want := wantTree(t, s, context)
			at := fuseMount(t, s, context)
			harness.CheckTree(t, at, want)
			harness.CheckTree(t, at, want)
		})
	}
}

func testFUSEOverTCP(t *testing.T) {
	s := corpusServer(t)
	want := wantTree(t, s, "package:kinds")
	remote := *s
	remote.Listen = s.Listen[1:]
	harness.CheckTree(t, fuseMount(t, &remote, "package:kinds"), want)
}

func testFUSEPrograms(t *testing.T) {
	s := corpusServer(t)
	harness.CheckPrograms(t, fuseMount(t, s, "package:hello+bash+python3.11-minimal"))
}

func testFUSECalls(t *testing.T) {
	s := corpusServer(t)
	harness.CheckCalls(t, fuseMount(t, s, "package:kinds"))
}

func testFUSELive(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	s.Start(t)
	harness.CheckLive(t, s, fuseMount(t, s, "all"), fuseMount(t, s, "all"), livePackages(t, t.TempDir()))
}

// A FUSE mount outlives a restart of its server.
func testFUSERestart(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	file := harness.KindsDeb(t, s.Packages)
	s.StartIndexed(t)
	want, err := oracle.Package(file)
	if err != nil {
		t.Fatal(err)
	}
	at := fuseMount(t, s, "package:kinds")
	open, err := os.Open(filepath.Join(at, "opt/kinds/more"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	harness.WaitFor(t, "the mount to come back", func() error {
		_, err := os.ReadDir(filepath.Join(at, "opt"))
		return err
	})
	harness.CheckTree(t, at, served(t, s, want))
	content := make([]byte, 8)
	if _, err := open.ReadAt(content, 0); err != nil || string(content) != "moremore" {
		t.Errorf("a file that was open over the restart reads %q, %v", content, err)
	}
}

// One path has different content in different contexts.
func testFUSEContexts(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	for _, v := range []string{"1", "2"} {
		harness.MakeDeb(t, s.Packages, harness.DebSpec{Name: "tool", Version: v, Fill: func(tree string) {
			harness.WriteFiles(t, tree, map[string]string{"usr/bin/tool": "version " + v + strings.Repeat("!", int(v[0]-'0'))})
		}})
	}
	s.StartIndexed(t)
	mounts := map[string]string{}
	for _, v := range []string{"1", "2"} {
		mounts[v] = fuseMount(t, s, "package:tool="+v)
	}
	for range 3 {
		for v, at := range mounts {
			want := fmt.Sprint("version ", v, strings.Repeat("!", int(v[0]-'0')))
			if err := harness.Holds(filepath.Join(at, "usr/bin/tool"), want); err != nil {
				t.Error(err)
			}
		}
	}
}

// In one mount a program is itself in one context and a launcher in another, with
// all that the kernel keeps, and follows when that changes.
func testFUSELaunchers(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	const itself = "#!/bin/sh\necho tool\n"
	harness.MakeDeb(t, s.Packages, harness.DebSpec{Name: "tool", Control: "Depends: lib\n", Fill: func(tree string) {
		harness.WriteFiles(t, tree, map[string]string{"usr/bin/tool": itself})
		harness.Must(t, os.Chmod(filepath.Join(tree, "usr/bin/tool"), 0o755|os.ModeSetuid))
		harness.Must(t, os.Link(filepath.Join(tree, "usr/bin/tool"), filepath.Join(tree, "usr/bin/twin")))
		harness.Must(t, os.Symlink("tool", filepath.Join(tree, "usr/bin/alias")))
	}})
	harness.MakeDeb(t, s.Packages, harness.DebSpec{Name: "lib", Fill: func(tree string) {
		harness.WriteFiles(t, tree, map[string]string{"usr/share/lib": "lib"})
	}})
	hides := []byte("toplevel = [\"tool\"]\n")
	harness.Must(t, harness.DropFile(s.Contexts, "user:root.toml", hides))
	s.StartIndexed(t)
	at := fuseMount(t, s, "contexts")
	in := func(context, name string) string { return filepath.Join(at, context, "usr/bin", name) }
	launcher := "#!/usr/libexec/packagefs/enter tool=1.0\n"
	check := func(want string) error {
		var errs []error
		for _, name := range []string{"tool", "twin", "alias"} {
			errs = append(errs, harness.Holds(in("user:root", name), want), harness.Holds(in("package:tool", name), itself))
		}
		return errors.Join(errs...)
	}
	for range 3 {
		harness.Must(t, check(launcher))
	}
	var mine, real unix.Stat_t
	harness.Must(t, errors.Join(unix.Stat(in("user:root", "tool"), &mine), unix.Stat(in("package:tool", "tool"), &real)))
	if mine.Ino == real.Ino || mine.Size != int64(len(launcher)) || mine.Mode != unix.S_IFREG|0o755 || real.Mode != unix.S_IFREG|0o4755 ||
		mine.Nlink != 2 || mine.Mtim != real.Mtim || mine.Uid != real.Uid {
		t.Errorf("the launcher is %+v, the program %+v", mine, real)
	}
	if target, err := os.Readlink(in("user:root", "alias")); target != "tool" {
		t.Errorf("a symlink leads to %q, %v", target, err)
	}
	harness.Must(t, harness.DropFile(s.Contexts, "user:root.toml", append([]byte("dependencies = \"visible\"\n"), hides...)))
	harness.WaitFor(t, "the launcher to become the program", func() error { return check(itself) })
	harness.Must(t, harness.DropFile(s.Contexts, "user:root.toml", hides))
	harness.WaitFor(t, "the program to become a launcher", func() error { return check(launcher) })
}
