package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

const rpmSpec = `Name: sample
Version: 1.2
Release: 3
Epoch: 1
Summary: made by a test
License: MIT
URL: https://example.com/
Requires: bash >= 5, /bin/env
Provides: virtual = 2
%description
made by a test
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/sample %{buildroot}/etc %{buildroot}/bin
echo 'echo one' >%{buildroot}/usr/bin/sample
ln %{buildroot}/usr/bin/sample %{buildroot}/usr/bin/again
ln -s sample %{buildroot}/usr/bin/symlink
echo conf >%{buildroot}/etc/sample.conf
echo old >%{buildroot}/bin/sample-old
seq 100000 >%{buildroot}/usr/share/sample/numbers
: >%{buildroot}/usr/share/sample/empty
mkfifo %{buildroot}/usr/share/sample/fifo
%files
%defattr(-,root,root)
%attr(4755,root,root) /usr/bin/sample
%attr(4755,root,root) /usr/bin/again
/usr/bin/symlink
/bin/sample-old
%config(noreplace) /etc/sample.conf
%ghost /var/log/sample.log
%attr(1777,root,root) %dir /usr/share/sample
/usr/share/sample/*
`

// rpmbuild builds an rpm whose payload is compressed as rpm's macro says.
func rpmbuild(t *testing.T, spec, payload string) string {
	t.Helper()
	dir := t.TempDir()
	harness.WriteFiles(t, dir, map[string]string{"sample.spec": spec})
	cmd := exec.Command("rpmbuild", "-bb", "--target", "noarch", "--define", "_topdir "+dir, "--define", "_binary_payload "+payload, "sample.spec")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, fmt.Sprint("SOURCE_DATE_EPOCH=", harness.Packed.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "RPMS", "noarch", "*.rpm"))
	if err != nil || len(made) != 1 {
		t.Fatalf("rpmbuild made %v, %v", made, err)
	}
	return made[0]
}

// unpackRpm is the tree that rpm2cpio and bsdtar make of an rpm.
func unpackRpm(t *testing.T, file string) harness.Manifest {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", `rpm2cpio "$1" | bsdtar -xpf - --numeric-owner -C "$2"`, "sh", file, dir).CombinedOutput(); err != nil {
		t.Fatalf("rpm2cpio: %v\n%s", err, out)
	}
	m, err := harness.WalkDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return harness.UsrMerge(m)
}

// unlisted leaves out the directories that a package does not list, and path
// aliases: how they are made is bsdtar's matter.
func unlisted(m harness.Manifest, listed []string) {
	for name, e := range m {
		if e.Kind == harness.Dir && !slices.Contains(listed, "/"+name) || !strings.Contains(name, "/") {
			delete(m, name)
		}
	}
}

// Packages that rpmbuild builds are what rpm and bsdtar say they are.
func testFormatRpm(t *testing.T) {
	for _, payload := range []string{"w3.zstdio", "w2.xzdio", "w6.gzdio", "w9.bzdio", "w.ufdio"} {
		t.Run(payload, func(t *testing.T) {
			file := rpmbuild(t, rpmSpec, payload)
			s, info := serveOne(t, file)
			query, err := harness.Command("rpm", "-qp", "--queryformat",
				`%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE} %{ARCH} rpm %{URL} %{LICENSE} %{SUMMARY}`, file)
			if err != nil {
				t.Fatal(err)
			}
			have := strings.Join([]string{info.Name, info.Version, info.Architecture, info.Format, info.Homepage, info.License, info.Summary}, " ")
			if have != query {
				t.Errorf("packagefs says %q, rpm %q", have, query)
			}
			for _, want := range []string{"bash (>= 5)", "/usr/bin/env"} {
				if !slices.Contains(info.Depends, want) {
					t.Errorf("depends on %q, without %s", info.Depends, want)
				}
			}
			for _, want := range []string{"virtual (= 2)", "/usr/bin/sample", "/usr/bin/sample-old"} {
				if !slices.Contains(info.Provides, want) {
					t.Errorf("provides %q, without %s", info.Provides, want)
				}
			}
			list, err := harness.Command("rpm", "-qlp", file)
			if err != nil {
				t.Fatal(err)
			}
			tree := served(t, s, unpackRpm(t, file))
			listed := strings.Fields(list)
			unlisted(tree, listed)
			got, err := harness.WalkWire(s.Listen[0], "all", harness.BigMsize)
			if err != nil {
				t.Fatal(err)
			}
			unlisted(got, listed)
			harness.CheckSame(t, "tree", withoutRoot(tree), withoutRoot(got))
			checkMutable(t, s, "sample", "/etc/sample.conf")
		})
	}
}

const rpmSpecBash = `Name: bash
Version: 5.1
Release: 1
Summary: has what the sample needs
License: MIT
%description
made by a test
%install
mkdir -p %{buildroot}/usr/bin
echo env >%{buildroot}/usr/bin/env
%files
/usr/bin/env
`

// What an rpm requires by its path is found in another, and versions compare.
func testRpmRequirements(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	if err := harness.CopyFiles(s.Packages, rpmbuild(t, rpmSpec, "w3.zstdio")); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	if out, err := s.Run("check"); err == nil {
		t.Errorf("resolves without what it needs:\n%s", out)
	}
	if err := harness.CopyFiles(s.Packages, rpmbuild(t, rpmSpecBash, "w3.zstdio")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run("ctl", "rescan"); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Run("check"); err != nil {
		t.Errorf("does not resolve: %v\n%s", err, out)
	}
	if out, err := s.Run("-c", "package:sample", "ls", "/usr/bin/env"); err != nil {
		t.Errorf("env is not in the sample's context: %v\n%s", err, out)
	}
}
