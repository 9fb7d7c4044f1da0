package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/guest"
	"github.com/packagefs/packagefs/test/harness"
)

// mountContexts are the contexts that the tests of mounts look at.
var mountContexts = []string{
	"package:kinds", "package:hello", "package:bash", "package:coreutils",
	"package:python3.11-minimal", "package:exim4-daemon-light",
	"package:hello+bash+python3.11-minimal",
}

// The control is the guest without packagefs.
func testKernelControl(t *testing.T) {
	harness.Guest{Binary: harness.GuestProgram(t)}.Run(t, guest.Control)
}

// The kernel's own client. Each group of tests has a guest, and what they do is in
// package guest. A choice of them runs on a newer kernel, too.
func testKernelGuests(t *testing.T) {
	g := newGuest(t)
	newer := g
	newer.Kernel = harness.FetchKernel(t, newerSuite)
	runGuests(t, append(runsOf(newer, guest.Chosen), runsOf(g, guest.Groups...)...))
}

// newGuest prepares what the guest's tests want.
func newGuest(t *testing.T) harness.Guest {
	t.Helper()
	dir := t.TempDir()
	g := harness.Guest{Binary: harness.GuestProgram(t),
		Env: map[string]string{harness.GuestDataEnv: dir, "FSX_SEED": os.Getenv("FSX_SEED")}}
	prepareGuestData(t, dir)
	return g
}

// A guestRun is a group of tests for a guest.
type guestRun struct {
	guest harness.Guest
	group harness.Group
}

func runsOf(g harness.Guest, groups ...harness.Group) (runs []guestRun) {
	for _, group := range groups {
		runs = append(runs, guestRun{g, group})
	}
	return runs
}

// runGuests boots a guest for each group. A guest keeps a processor busy, so that there
// are no more of them at once; other tests, which wait more, run beside them.
func runGuests(t *testing.T, runs []guestRun) {
	next := make(chan guestRun)
	var guests sync.WaitGroup
	for range runtime.NumCPU() {
		guests.Go(func() {
			for r := range next {
				t.Run(r.group.Name, func(t *testing.T) {
					machine, start := "User Mode Linux", time.Now()
					if r.guest.Kernel != nil {
						machine = "Linux " + r.guest.Kernel.Release
					}
					r.guest.Run(t, r.group)
					fmt.Printf("%s, in %s: %.0f s\n", t.Name(), machine, time.Since(start).Seconds())
				})
			}
		})
	}
	for _, r := range runs {
		next <- r
	}
	close(next)
	guests.Wait()
}

// prepareGuestData serves the package files here, to learn the order of each
// view, and has the oracle make the tree that the guest must see.
func prepareGuestData(t *testing.T, dir string) {
	t.Helper()
	s := corpusServer(t)
	data := harness.GuestData{Program: s.Binary, Corpus: corpus.Get(t), Contexts: map[string]harness.GuestContext{}, Live: livePackages(t, dir),
		Source: filepath.Join(dir, "hello"), Pythons: filepath.Join(dir, "pythons")}
	layPythons(t, data.Pythons)
	harness.UnpackSource(t, data.Source)
	harness.Must(t, harness.RunIn(data.Source, harness.ConfigureHello...))
	for i, context := range mountContexts {
		files, err := harness.ViewFiles(s, context)
		if err != nil {
			t.Fatal(err)
		}
		c := harness.GuestContext{Files: files, Manifest: filepath.Join(dir, strconv.Itoa(i)+".json")}
		if err := wantTree(t, s, context).Save(c.Manifest); err != nil {
			t.Fatal(err)
		}
		data.Contexts[context] = c
	}
	if err := data.Save(dir); err != nil {
		t.Fatal(err)
	}
}

func livePackages(t *testing.T, dir string) harness.LivePackages {
	t.Helper()
	version := func(v string) string {
		return harness.MakeDeb(t, dir, harness.DebSpec{Name: "live", Version: v, Fill: func(tree string) {
			harness.WriteFiles(t, tree, map[string]string{"usr/share/live/version": v, "usr/share/live/only-" + v: v})
		}})
	}
	return harness.LivePackages{Old: version("1"), New: version("2"), Many: harness.ManyDeb(t, dir, "thousand", 1000)}
}
