//go:build e2e

package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// mountContexts are the contexts that the tests of mounts look at.
var mountContexts = []string{
	"package:kinds", "package:hello", "package:bash", "package:coreutils",
	"package:python3.11-minimal", "package:exim4-daemon-light",
	"package:hello+bash+python3.11-minimal",
}

// The control is the guest without packagefs.
func TestKernelControl(t *testing.T) {
	Guest{Binary: get(t, guestProgram)}.Run(t, "^TestGuestControl$")
}

// guestGroups are the tests that run in one guest each, two guests at a time.
var guestGroups = []struct{ name, tests string }{
	{"unix", "^TestGuestTreesUnix$"},
	{"tcp", "^TestGuestTreesTCP$"},
	{"use", "^TestGuest(Programs|Calls|Overlay|Kill|AttachErrors|MountCommand|Run|Union)$"},
	{"changes", "^TestGuest(Users|Live|Restart)$"},
	{"posix", "^TestGuestPosix$"},
	{"pythons", "^TestGuest(Pythons|SharedMount)$"},
	{"work", "^TestGuest(Dbench|Random|Build)$"},
	{"commands", "^TestGuest(Commands|Contexts)$"},
}

// notGrouped are guest tests that other tests run.
const notGrouped = "^TestGuest(Control|Hangs|Dies|WriteSpeed)$"

// checkAllPlanned fails where a guest test is in no group.
func checkAllPlanned(t *testing.T, binary string) {
	t.Helper()
	all, err := Guest{Binary: binary}.list(".")
	if err != nil {
		t.Fatal(err)
	}
	planned := regexp.MustCompile(notGrouped)
	for _, name := range all {
		runs := planned.MatchString(name)
		for _, g := range guestGroups {
			runs = runs || regexp.MustCompile(g.tests).MatchString(name)
		}
		if !runs {
			t.Errorf("%s is in no group of tests: it would never run", name)
		}
	}
}

// The kernel's own client. Each group of tests has a guest, and what they do is
// in the guest_*_test.go files.
func TestKernel(t *testing.T) {
	dir := t.TempDir()
	binary := get(t, guestProgram)
	prepareGuestData(t, dir)
	checkAllPlanned(t, binary)
	for _, g := range guestGroups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			Guest{Binary: binary, Env: map[string]string{guestDataEnv: dir, "FSX_SEED": os.Getenv("FSX_SEED")}}.Run(t, g.tests)
		})
	}
}

// prepareGuestData serves the package files here, to learn the order of each
// view, and has the oracle make the tree that the guest must see.
func prepareGuestData(t *testing.T, dir string) {
	t.Helper()
	s := corpusServer(t)
	data := GuestData{Program: s.Binary, Contexts: map[string]GuestContext{}, Live: livePackages(t, dir),
		Source: filepath.Join(dir, "hello"), Pythons: filepath.Join(dir, "pythons")}
	must(t, pythonServer(t, data.Pythons).Stop())
	unpackSource(t, data.Source)
	must(t, runIn(data.Source, configureHello...))
	for i, context := range mountContexts {
		files, err := ViewFiles(s, context)
		if err != nil {
			t.Fatal(err)
		}
		c := GuestContext{Files: files, Manifest: filepath.Join(dir, strconv.Itoa(i)+".json")}
		if err := wantTree(t, s, context).Save(c.Manifest); err != nil {
			t.Fatal(err)
		}
		data.Contexts[context] = c
	}
	if err := data.Save(dir); err != nil {
		t.Fatal(err)
	}
}

func livePackages(t *testing.T, dir string) LivePackages {
	t.Helper()
	version := func(v string) string {
		return MakeDeb(t, dir, DebSpec{Name: "live", Version: v, Fill: func(tree string) {
			writeFiles(t, tree, map[string]string{"usr/share/live/version": v, "usr/share/live/only-" + v: v})
		}})
	}
	return LivePackages{Old: version("1"), New: version("2"), Many: manyDeb(t, dir, "thousand", 1000)}
}
