package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// found returns what ldconfig reads in a cache: the paths of each library, in
// their order. On this system all of them are in /usr, whichever path leads there.
func found(t *testing.T, cache string) map[string][]string {
	t.Helper()
	out, err := harness.Command("/sbin/ldconfig", "-p", "-C", cache)
	if err != nil {
		t.Fatal(err)
	}
	libraries := make(map[string][]string)
	for line := range strings.Lines(out) {
		name, path, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if !ok || strings.Contains(name, "hwcap") {
			continue
		}
		if strings.HasPrefix(path, "/lib") {
			path = "/usr" + path
		}
		if !slices.Contains(libraries[name], path) {
			libraries[name] = append(libraries[name], path)
		}
	}
	return libraries
}

// The cache of a tree of Debian's packages says what ldconfig says of the same
// files.
func testLinkerCache(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	s.Generated = true
	root := t.TempDir()
	for from, to := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		harness.Must(t, os.MkdirAll(filepath.Join(root, to), 0o755))
		harness.Must(t, os.Symlink(to, filepath.Join(root, from)))
	}
	for _, d := range harness.FetchCorpus(t).Debs {
		harness.Must(t, corpus.Get(t).Lend(s, d.File))
		_, err := harness.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`, "sh", d.File, root)
		harness.Must(t, err)
	}
	odd := harness.MakeDeb(t, s.Packages, harness.DebSpec{Name: "odd", Fill: func(tree string) {
		harness.WriteFiles(t, tree, map[string]string{"etc/ld.so.conf.d/odd.conf": "/opt/odd/lib\n"})
		harness.Must(t, os.MkdirAll(filepath.Join(tree, "opt/odd/lib"), 0o755))
		buildLibrary(t, filepath.Join(tree, "opt/odd/lib/libodd.so.3.1"), "libodd.so.3")
	}})
	_, err := harness.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`, "sh", odd, root)
	harness.Must(t, err)
	s.StartIndexed(t)

	// Here no package has it, as in a tree that leaves the C library to the machine.
	harness.Must(t, os.WriteFile(filepath.Join(root, "etc/ld.so.conf"), []byte("include /etc/ld.so.conf.d/*.conf\n"), 0o644))
	_, err = harness.Command("/sbin/ldconfig", "-r", root)
	harness.Must(t, err)
	want := found(t, filepath.Join(root, "etc/ld.so.cache"))
	cache, err := s.Run("-c", "all", "cat", "/etc/ld.so.cache")
	harness.Must(t, err)
	mine := filepath.Join(t.TempDir(), "cache")
	harness.Must(t, os.WriteFile(mine, []byte(cache), 0o644))
	got := found(t, mine)
	if len(want) < 20 {
		t.Errorf("ldconfig finds no more than %d libraries", len(want))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if strings.HasPrefix(name, "libodd") {
			// ldconfig made a link, and the server makes none.
			want[name] = []string{"/opt/odd/lib/libodd.so.3.1"}
		}
		if strings.HasPrefix(name, "ld-linux") && len(got[name]) > 1 {
			// Debian's ldconfig does not look into /usr/lib64, where only this is.
			got[name] = got[name][:len(got[name])-1]
		}
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: %q, ldconfig has %q", name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == nil {
			t.Errorf("%s: %q, ldconfig has none", name, got[name])
		}
	}
}

// buildLibrary makes a shared library in whose functions a number is found.
func buildLibrary(t *testing.T, file, soname string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "lib.c")
	harness.Must(t, os.WriteFile(source, []byte("int odd(void) { return 3; }\n"), 0o644))
	_, err := harness.Command("gcc", "-shared", "-fPIC", "-Wl,-soname,"+soname, "-o", file, source)
	harness.Must(t, err)
}

// makeOdd makes a package of a program and a library that lies where nothing but
// the package's ld.so.conf.d leads to.
func makeOdd(t *testing.T, s *harness.Server) {
	t.Helper()
	harness.MakeDeb(t, s.Packages, harness.DebSpec{Name: "odd", Fill: func(tree string) {
		harness.WriteFiles(t, tree, map[string]string{"etc/ld.so.conf.d/odd.conf": "/opt/odd/lib\n"})
		for _, dir := range []string{"opt/odd/lib", "usr/bin"} {
			harness.Must(t, os.MkdirAll(filepath.Join(tree, dir), 0o755))
		}
		library := filepath.Join(tree, "opt/odd/lib/libodd.so.3.1")
		buildLibrary(t, library, "libodd.so.3")
		source := filepath.Join(t.TempDir(), "program.c")
		harness.Must(t, os.WriteFile(source, []byte("#include <stdio.h>\nint odd(void);\nint main(void) { return printf(\"odd is %d\\n\", odd()) < 0; }\n"), 0o644))
		_, err := harness.Command("gcc", "-o", filepath.Join(tree, "usr/bin/odd"), source, library)
		harness.Must(t, err)
	}})
}

// The loader of a C library finds a library that lies where nothing but a package's
// ld.so.conf.d leads to, by the tree's cache alone: that of the tree's own C
// library in the tree, and that of this machine where the tree is stacked on it.
func testFUSELoader(t *testing.T) {
	libc, err := harness.FetchCorpus(t).Find("libc6")
	harness.Must(t, err)
	for _, generated := range []bool{true, false} {
		for _, own := range []bool{true, false} {
			s := harness.ServerDir(t, harness.Program(t), t.TempDir())
			s.Generated = generated
			if own {
				harness.Must(t, corpus.Get(t).Lend(s, libc.File))
			}
			makeOdd(t, s)
			s.StartIndexed(t)
			root := fuseMount(t, s, "all")
			if !own {
				root = stackOnMachine(t, root)
			}
			out, err := harness.Command("chroot", root, "/usr/bin/odd")
			switch {
			case generated && (err != nil || out != "odd is 3\n"):
				t.Errorf("with a cache, own C library %v, the program says %q, %v", own, out, err)
			case !generated && (err == nil || !strings.Contains(err.Error(), "libodd.so.3: cannot open shared object file")):
				t.Errorf("without a cache, own C library %v, the program says %q, %v: what does it find the library by?", own, out, err)
			}
		}
	}
}

// stackOnMachine mounts a tree on the machine's programs and configuration until
// the test ends.
func stackOnMachine(t *testing.T, tree string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr", "etc", "opt"} {
		at := filepath.Join(root, dir)
		harness.Must(t, os.Mkdir(at, 0o755))
		_, err := harness.Command("mount", "-t", "overlay", "-o", "ro,lowerdir="+filepath.Join(tree, dir)+":/"+dir, "overlay", at)
		harness.Must(t, err)
		t.Cleanup(func() {
			_, err := harness.Command("umount", at)
			harness.Must(t, err)
		})
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		harness.Must(t, os.Symlink("usr/"+name, filepath.Join(root, name)))
	}
	return root
}
