package guest

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// guestPythons serves what the machine outside has indexed.
func guestPythons(t *testing.T) *harness.Server {
	t.Helper()
	harness.PythonRoot(t)
	data := guestData(t)
	s := harness.ServerDir(t, data.Program, runDir(t))
	s.Packages, s.State, s.Contexts = filepath.Join(data.Pythons, "packages"), filepath.Join(data.Pythons, "state"), filepath.Join(data.Pythons, "contexts")
	s.StartIndexed(t)
	return s
}

// Two Pythons at one path, through the kernel's own client.
func testPythons(t *testing.T) {
	s := guestPythons(t)
	before := mountTable(t)
	harness.CheckPythons(t, s, 0)
	if after := mountTable(t); after != before {
		t.Errorf("mounts are left behind:\n%s", after)
	}
}

// Two users read one path in a loop, at which they have different files. With a
// mount each they never see each other's; what one mount for both does depends on
// what the kernel keeps of it, and is told.
func testSharedMount(t *testing.T) {
	data := guestData(t)
	s := harness.ServerDir(t, data.Program, runDir(t))
	harness.Must(t, harness.CopyFiles(s.Packages, data.Live.Old, data.Live.New))
	versions := map[uint32]string{harness.BobUID: "1", harness.CidUID: "2"}
	for uid, version := range versions {
		harness.WriteFiles(t, s.Contexts, map[string]string{fmt.Sprintf("user:%d.toml", uid): fmt.Sprintf("toplevel = [\"live=%s\"]\n", version)})
	}
	s.StartIndexed(t)
	// wrong counts the looks that found what is not the user's.
	wrong := func(mounts map[uint32]string) int64 {
		var wg sync.WaitGroup
		var n atomic.Int64
		for uid, at := range mounts {
			wg.Go(func() {
				out, err := harness.RunAs(uid, "/bin/sh", "-c", `for i in $(seq 200); do read -r v <"$0" || true; echo "$v"; done`, filepath.Join(at, "usr/share/live/version"))
				if err != nil {
					t.Error(err)
				}
				n.Add(200 - int64(strings.Count(out, versions[uid]+"\n")))
			})
		}
		wg.Wait()
		return n.Load()
	}
	for _, cache := range []string{"none", "mmap", "loose"} {
		options := "cache=" + cache + ",access=user"
		own := map[uint32]string{}
		for uid := range versions {
			own[uid] = mountUnix(t, s, fmt.Sprint("user:", uid), options)
		}
		if n := wrong(own); n > 0 {
			t.Errorf("cache=%s, a mount each: %d of 400 looks found what is the other's", cache, n)
		}
		shared := mountUnix(t, s, "", options)
		t.Logf("cache=%s, one mount: %d of 400 looks found what is the other's", cache, wrong(map[uint32]string{harness.BobUID: shared, harness.CidUID: shared}))
	}
}
