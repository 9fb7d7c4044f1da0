package guest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// tcpPort is where the guest's servers listen beside their sockets.
const tcpPort = "5640"

// guestData loads what the outer test prepared.
func guestData(t testing.TB) *harness.GuestData {
	t.Helper()
	d, err := harness.LoadGuestData(os.Getenv(harness.GuestDataEnv))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// guestServer serves the package files of the given contexts until the test ends.
// The files and what was made of them lie on the disk of the machine outside, whose
// directories tell nobody that they change, and all else in memory.
func guestServer(t testing.TB, contexts ...string) *harness.Server {
	t.Helper()
	d := guestData(t)
	s := harness.ServerDir(t, d.Program, runDir(t))
	s.Listen = append(s.Listen, "tcp:127.0.0.1:"+tcpPort)
	outside, err := os.MkdirTemp(os.Getenv(harness.GuestDataEnv), "server-")
	if err != nil {
		t.Fatal(err)
	}
	s.Packages, s.State = filepath.Join(outside, "packages"), filepath.Join(outside, "state")
	files := map[string]bool{}
	for _, c := range contexts {
		if len(d.Contexts[c].Files) == 0 {
			t.Fatalf("the outer test prepared no context %s", c)
		}
		for _, file := range d.Contexts[c].Files {
			files[file] = true
		}
	}
	if err := errors.Join(os.Mkdir(s.Packages, 0o755), d.Corpus.Lend(s, slices.Collect(maps.Keys(files))...)); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	return s
}

// runDir makes a directory in the guest's memory, where sockets work.
func runDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// wanted loads the tree that a context must have.
func wanted(t testing.TB, context string) harness.Manifest {
	t.Helper()
	m, err := harness.LoadManifest(guestData(t).Contexts[context].Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mount9P mounts what a server at source serves until the test ends, and
// returns where. options are those of v9fs beside the version.
func mount9P(t testing.TB, source, options string) string {
	t.Helper()
	at := runDir(t)
	if err := unix.Mount(source, at, "9p", 0, "version=9p2000.L,"+options); err != nil {
		t.Fatalf("mount -t 9p -o %s %s %s: %v", options, source, at, err)
	}
	t.Cleanup(func() {
		// A process that was killed may be on its way out of the mount.
		if err := harness.Retry(func() error { return unix.Unmount(at, 0) }); err != nil {
			t.Errorf("unmount %s: %v", at, err)
			_ = unix.Unmount(at, unix.MNT_DETACH)
		}
	})
	return at
}

// mountUnix mounts a context over the server's unix socket.
func mountUnix(t testing.TB, s *harness.Server, context, options string) string {
	t.Helper()
	return mount9P(t, s.Socket(), "trans=unix,"+withContext(context, options))
}

// mountTCP mounts a context over TCP.
func mountTCP(t testing.TB, context, options string) string {
	t.Helper()
	return mount9P(t, "127.0.0.1", fmt.Sprintf("trans=tcp,port=%s,%s", tcpPort, withContext(context, options)))
}

// withContext adds the attach name to the options of a mount. From Linux 6.19 on an
// empty one is no option.
func withContext(context, options string) string {
	if context == "" {
		return options
	}
	return "aname=" + context + "," + options
}
