package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The cases in this file take the directory of any mount that packagefs
// serves, by the kernel's client or by FUSE.

// CheckTree compares a mount with the oracle in three ways: a walk that reads
// everything, find, and tar.
func CheckTree(t *testing.T, at string, want Manifest) {
	t.Helper()
	got, err := WalkDir(at)
	if err != nil {
		t.Fatal(err)
	}
	CheckSame(t, "walk", want, got)
	checkFind(t, at, want)
	checkTar(t, at, want)
}

// checkFind runs find, which trusts the types in a directory's listing.
func checkFind(t *testing.T, at string, want Manifest) {
	t.Helper()
	out, err := Command("find", at, "-printf", `%y %P\0`)
	if err != nil {
		t.Error(err)
		return
	}
	var listed, expected []string
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		listed = append(listed, line)
	}
	for name, e := range want {
		expected = append(expected, string(e.Kind)+" "+name)
	}
	slices.Sort(listed)
	slices.Sort(expected)
	if !slices.Equal(listed, expected) {
		t.Errorf("find lists %d files, want %d; first difference: %s", len(listed), len(expected), firstDifference(expected, listed))
	}
}

func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Sprintf("%q, want %q", g, w)
		}
	}
	return "none"
}

// checkTar packs the mount with tar and compares what is in the archive. tar
// reads in pieces that fit a message: the kernel's client without a cache answers
// larger reads in part, with any server, and tar takes that for a file that
// shrank.
func checkTar(t *testing.T, at string, want Manifest) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		t.Fatal(err)
	}
	piece := int64(largePiece)
	if st.Type == unix.V9FS_MAGIC {
		piece = st.Bsize - 512 // a message, without its head
	}
	cmd := exec.Command("tar", fmt.Sprint("--blocking-factor=", piece/512), "--format=posix", "--numeric-owner", "-C", at, "-cf", "-", ".")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got, readErr := ReadTar(out)
	_, _ = io.Copy(io.Discard, out)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		t.Errorf("tar: %v: %s", err, errOut.String())
		return
	}
	CheckSame(t, "tar", want, got)
}

// CheckRuns runs a program of the mount with the mount as its root.
func CheckRuns(t *testing.T, at, want string, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: at}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != want {
		t.Errorf("%q in the mount: %v: %q, want %q", argv, err, out, want)
	}
}

// CheckPrograms runs dynamically linked programs. The mount's view has hello,
// bash and python3.11-minimal.
func CheckPrograms(t *testing.T, at string) {
	t.Helper()
	CheckRuns(t, at, "Hello, world!\n", "/usr/bin/hello")
	CheckRuns(t, at, "42 usr\n", "/bin/bash", "-c", "for d in /us*; do echo $((6 * 7)) ${d#/}; done")
	CheckRuns(t, at, "(3, 11) 42\n", "/usr/bin/python3.11", "-c", "import sys; print(sys.version_info[:2], 6 * 7)")
}

// CheckCalls makes the calls that programs make of a file system beside
// reading: each must be answered as by a read-only one. The mount's view has
// the package kinds.
func CheckCalls(t *testing.T, at string) {
	file := filepath.Join(at, "opt/kinds/page")
	t.Run("statfs", func(t *testing.T) {
		var st unix.Statfs_t
		if err := unix.Statfs(at, &st); err != nil || st.Bsize == 0 || st.Namelen != 255 {
			t.Errorf("statfs: %v, block size %d, name length %d", err, st.Bsize, st.Namelen)
		}
		if _, err := Command("df", at); err != nil {
			t.Error(err)
		}
	})
	t.Run("xattr", func(t *testing.T) { checkNoXattrs(t, file) })
	t.Run("package xattr", func(t *testing.T) {
		value := make([]byte, 100)
		n, err := unix.Lgetxattr(file, "user.packagefs.package", value)
		if err != nil || !strings.HasPrefix(string(value[:n]), "kinds=") {
			t.Errorf("got %q, %v, want kinds and its version", value[:max(n, 0)], err)
		}
	})
	t.Run("locks", func(t *testing.T) { checkLocks(t, file) })
	t.Run("fsync", func(t *testing.T) {
		withFile(t, file, func(f *os.File) error { return f.Sync() })
	})
	t.Run("mmap", func(t *testing.T) { checkMmap(t, filepath.Join(at, "opt/kinds/big")) })
	t.Run("seek", func(t *testing.T) { checkSeeks(t, filepath.Join(at, "opt/kinds/big")) })
	t.Run("large directory", func(t *testing.T) { checkSmallReads(t, filepath.Join(at, "opt/kinds")) })
	t.Run("missing", func(t *testing.T) {
		for _, name := range []string{"nothing", "opt/kinds/page/below", "opt/kinds/" + strings.Repeat("n", 254)} {
			_, err := os.Lstat(filepath.Join(at, name))
			want := syscall.ENOENT
			if strings.HasSuffix(name, "below") {
				want = syscall.ENOTDIR
			}
			if !errors.Is(err, want) {
				t.Errorf("lstat %s: %v, want %v", name, err, want)
			}
		}
	})
	t.Run("read-only", func(t *testing.T) { checkReadOnly(t, at) })
}

// withFile calls f with an open file, and again with an open directory.
func withFile(t *testing.T, name string, f func(*os.File) error) {
	t.Helper()
	for _, name := range []string{name, filepath.Dir(name)} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f(file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkNoXattrs: exec and overlayfs ask for attributes, and take only certain
// errors for "none".
func checkNoXattrs(t *testing.T, file string) {
	for _, attr := range []string{"security.capability", "user.none", "trusted.overlay.opaque", "system.posix_acl_access"} {
		_, err := unix.Lgetxattr(file, attr, make([]byte, 100))
		if !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("getxattr %s: %v, want ENODATA or EOPNOTSUPP", attr, err)
		}
	}
	n, err := unix.Llistxattr(file, make([]byte, 100))
	if n > 0 || err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("listxattr: %d, %v, want none", n, err)
	}
}

// checkLocks takes, tests and leaves locks of both kinds.
func checkLocks(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	steps := []struct {
		name string
		err  error
	}{
		{"flock shared", unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)},
		{"flock leave", unix.Flock(int(f.Fd()), unix.LOCK_UN)},
		{"fcntl shared", unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Len: 10})},
		{"fcntl leave", unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Len: 10})},
	}
	for _, s := range steps {
		if s.err != nil {
			t.Errorf("%s: %v", s.name, s.err)
		}
	}
	test := unix.Flock_t{Type: unix.F_RDLCK, Len: 10}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &test); err != nil || test.Type != unix.F_UNLCK {
		t.Errorf("fcntl test of a free range: %v, type %d, want %d", err, test.Type, unix.F_UNLCK)
	}
}

func checkMmap(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mapped, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mapped, want) {
		t.Error("mapped and read contents differ")
	}
	if err := unix.Munmap(mapped); err != nil {
		t.Error(err)
	}
}

// checkSeeks reads odd pieces at odd places, at the end and beyond it.
func checkSeeks(t *testing.T, file string) {
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := len(whole)
	for _, at := range []int{0, 1, 4095, 4096, 65535, 524_287, size - 10, size - 1} {
		for _, n := range []int{1, 10, 4096, 5000, 600_000} {
			p := make([]byte, n)
			got, err := f.ReadAt(p, int64(at))
			want := whole[at:min(size, at+n)]
			if !bytes.Equal(p[:got], want) || got < n && err != io.EOF || got == n && err != nil {
				t.Errorf("read %d at %d: %d bytes, %v, want %d", n, at, got, err, len(want))
			}
		}
	}
	if n, err := f.ReadAt(make([]byte, 10), int64(size+100)); n != 0 || err != io.EOF {
		t.Errorf("read beyond the end: %d bytes, %v", n, err)
	}
}

// checkSmallReads lists a directory a few entries at a time, and again from
// its beginning.
func checkSmallReads(t *testing.T, dir string) {
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rounds [2][]string
	for i := range rounds {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 600); ; {
			n, err := unix.Getdents(int(f.Fd()), buf)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			_, _, rounds[i] = unix.ParseDirent(buf[:n], -1, rounds[i])
		}
		slices.Sort(rounds[i])
	}
	if len(rounds[0]) < 15 || !slices.Equal(rounds[0], rounds[1]) {
		t.Errorf("listed %d names, and then %d", len(rounds[0]), len(rounds[1]))
	}
	if unique := slices.Compact(slices.Clone(rounds[0])); len(unique) != len(rounds[0]) {
		t.Errorf("%d names are listed twice", len(rounds[0])-len(unique))
	}
}

// checkReadOnly tries every call that changes something.
func checkReadOnly(t *testing.T, at string) {
	dir := filepath.Join(at, "opt/kinds")
	in := func(name string) string { return filepath.Join(dir, name) }
	open := func(name string, flags int) error {
		f, err := os.OpenFile(in(name), flags, 0o644)
		if err == nil {
			f.Close()
		}
		return err
	}
	tries := map[string]error{
		"open for writing": open("page", os.O_WRONLY),
		"append":           open("page", os.O_RDWR|os.O_APPEND),
		"truncate":         os.Truncate(in("page"), 1),
		"create":           open("new", os.O_CREATE|os.O_WRONLY),
		"mkdir":            os.Mkdir(in("new"), 0o755),
		"symlink":          os.Symlink("one", in("new")),
		"link":             os.Link(in("page"), in("new")),
		"mkfifo":           syscall.Mkfifo(in("new"), 0o644),
		"unlink":           unix.Unlink(in("page")),
		"rmdir":            unix.Rmdir(in("void")),
		"rename":           os.Rename(in("page"), in("new")),
		"chmod":            os.Chmod(in("page"), 0o600),
		"chown":            os.Lchown(in("page"), 1, 1),
		"utimes":           os.Chtimes(in("page"), time.Unix(1, 0), time.Unix(1, 0)),
		"setxattr":         unix.Setxattr(in("page"), "user.x", []byte("x"), 0),
	}
	allowed := []error{unix.EROFS, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP}
	for what, err := range tries {
		if !slices.ContainsFunc(allowed, func(a error) bool { return errors.Is(err, a) }) {
			t.Errorf("%s: %v, want EROFS", what, err)
		}
	}
}
