package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// What is changed through one mount is there at once through the other one of the
// context, which has just looked at it.
func testFUSEAgree(t *testing.T) {
	at, other := workMounts(t)
	harness.Must(t, os.MkdirAll(filepath.Join(at, "srv/dir/sub"), 0o755))
	in := func(name string) string { return filepath.Join(at, name) }
	const file, conf, dir = "srv/file", "etc/layer/a.conf", "srv/dir"
	names := []string{file, conf, "etc/layer/b.conf", dir, dir + "/sub", "srv/link", "srv/new", "etc/layer/new", dir + "/new"}
	for _, c := range []struct {
		what   string
		change func() error
		want   map[string]string // what is not as it was before, by name
	}{
		{"write a new file", func() error { return os.WriteFile(in(file), []byte("one"), 0o640) }, map[string]string{file: "-rw-r----- 1 one"}},
		{"write more", func() error { return appendTo(in(file), " and two") }, map[string]string{file: "-rw-r----- 1 one and two"}},
		{"truncate", func() error { return os.Truncate(in(file), 1) }, map[string]string{file: "-rw-r----- 1 o"}},
		{"extend", func() error { return os.Truncate(in(file), 2) }, map[string]string{file: "-rw-r----- 1 o\x00"}},
		{"chmod", func() error { return os.Chmod(in(file), 0o600) }, map[string]string{file: "-rw------- 1 o\x00"}},
		{"link", func() error { return os.Link(in(file), in("srv/new")) }, map[string]string{file: "-rw------- 2 o\x00", "srv/new": "-rw------- 2 o\x00"}},
		{"unlink", func() error { return os.Remove(in(file)) }, map[string]string{file: "none", "srv/new": "-rw------- 1 o\x00"}},
		{"rename", func() error { return os.Rename(in("srv/new"), in(file)) }, map[string]string{file: "-rw------- 1 o\x00", "srv/new": "none"}},
		{"write a package's file", func() error { return appendTo(in(conf), "and b\n") }, map[string]string{conf: "-rw-r--r-- 1 a\nand b\n"}},
		{"write it again", func() error { return os.WriteFile(in(conf), []byte("c\n"), 0) }, map[string]string{conf: "-rw-r--r-- 1 c\n"}},
		{"replace a package's file", func() error {
			if err := os.WriteFile(in("etc/layer/new"), []byte("other"), 0o600); err != nil {
				return err
			}
			return os.Rename(in("etc/layer/new"), in("etc/layer/b.conf"))
		}, map[string]string{"etc/layer/b.conf": "-rw------- 1 other"}},
		{"unlink a package's file", func() error { return os.Remove(in(conf)) }, map[string]string{conf: "none"}},
		{"make it again", func() error { return os.WriteFile(in(conf), []byte("mine\n"), 0o600) }, map[string]string{conf: "-rw------- 1 mine\n"}},
		{"symlink", func() error { return os.Symlink("one", in("srv/link")) }, map[string]string{"srv/link": "Lrwxrwxrwx 1 one"}},
		{"another target", func() error {
			if err := os.Symlink("two", in("srv/new")); err != nil {
				return err
			}
			return os.Rename(in("srv/new"), in("srv/link"))
		}, map[string]string{"srv/link": "Lrwxrwxrwx 1 two"}},
		{"mkdir", func() error { return os.Mkdir(in(dir+"/new"), 0o700) }, map[string]string{dir: "drwxr-xr-x 4 new sub", dir + "/new": "drwx------ 2 "}},
		{"chmod of a directory", func() error { return os.Chmod(in(dir+"/sub"), 0o710) }, map[string]string{dir + "/sub": "drwx--x--- 2 "}},
		{"rmdir", func() error { return os.Remove(in(dir + "/sub")) }, map[string]string{dir: "drwxr-xr-x 3 new", dir + "/sub": "none"}},
		{"rename of a directory", func() error { return os.Rename(in(dir+"/new"), in(dir+"/sub")) }, map[string]string{
			dir: "drwxr-xr-x 3 sub", dir + "/new": "none", dir + "/sub": "drwx------ 2 ",
		}},
	} {
		want := map[string]string{}
		for _, name := range names {
			want[name] = brief(filepath.Join(other, name))
			_, _ = os.Lstat(filepath.Join(other, name)) // with what is read the kernel forgets attributes
		}
		for name, text := range c.want {
			want[name] = text
		}
		harness.Must(t, c.change())
		for _, name := range names {
			if got := brief(filepath.Join(other, name)); got != want[name] {
				t.Errorf("%s: %s is %q through the other mount, want %q", c.what, name, got, want[name])
			}
		}
	}
}

// brief tells of a name's mode, its number of links, and what it holds or leads to.
func brief(name string) string {
	info, err := os.Lstat(name)
	if os.IsNotExist(err) {
		return "none"
	}
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprint(info.Mode(), " ", info.Sys().(*syscall.Stat_t).Nlink, " ")
	switch {
	case info.IsDir():
		var held []string
		list, err := os.ReadDir(name)
		if err != nil {
			return err.Error()
		}
		for _, e := range list {
			held = append(held, e.Name())
		}
		text += strings.Join(held, " ")
	case info.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return err.Error()
		}
		text += target
	default:
		content, err := os.ReadFile(name)
		if err != nil {
			return err.Error()
		}
		if int64(len(content)) != info.Size() {
			text += fmt.Sprintf("of size %d: ", info.Size())
		}
		text += string(content)
	}
	return text
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
