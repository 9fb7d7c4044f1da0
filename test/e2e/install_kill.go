package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

// installKills is how often somebody is killed while packages are installed or
// removed.
const installKills = 200

// The server, the client, or both are killed at any moment of an install or a
// remove of three packages, of which one is read in place: all are there afterwards, whole, or none is.
func testInstallKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	source := t.TempDir()
	var files []string
	names := []string{"one", "two", "three"}
	for _, name := range names[:2] {
		files = append(files, harness.MakeDeb(t, source, harness.DebSpec{Name: name, Fill: func(tree string) {
			harness.WriteFiles(t, tree, map[string]string{"usr/share/" + name: strings.Repeat(name, 100_000)})
		}}))
	}
	// The third is native, and verified when it is live already.
	tree, native := t.TempDir(), filepath.Join(source, "three.pfs")
	harness.WriteFiles(t, tree, map[string]string{"usr/share/three": strings.Repeat("three", 2_000_000)})
	nativeOf(t, tree, native, "three", "--level", "1")
	files = append(files, native)
	s.Start(t)
	begin := func() *exec.Cmd {
		words := append([]string{"-s", s.Listen[0], "install"}, files...)
		if stocked(t, s) {
			words = append([]string{"-s", s.Listen[0], "remove"}, names...)
		}
		cmd := exec.Command(s.Binary, words...)
		harness.Must(t, cmd.Start())
		return cmd
	}
	// How long an install and a remove take tells when to kill.
	start := time.Now()
	for range 2 {
		harness.Must(t, begin().Wait())
	}
	span := time.Since(start) / 2
	outcomes := map[string]int{}
	for round := range installKills {
		was := stocked(t, s)
		cmd := begin()
		time.Sleep(time.Duration(rng.Int64N(int64(span))))
		victim := round % 3
		if victim != 0 {
			_ = cmd.Process.Kill() // it may be done
		}
		if victim != 1 {
			s.Kill(t)
		}
		_ = cmd.Wait() // it says what it makes of it
		if victim == 1 {
			harness.Must(t, s.Stop())
		}
		s.Start(t)
		is := stocked(t, s)
		outcomes[fmt.Sprintf("%v to %v", was, is)]++
		if out, err := s.Run("verify"); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, out)
		}
	}
	t.Logf("stocked: %v", outcomes)
	if len(outcomes) != 4 {
		t.Errorf("all kills came at much the same moment: %v", outcomes)
	}
}

// stocked says whether all packages are installed, and fails if it is only some,
// or if anything else is in the package directory.
func stocked(t *testing.T, s *harness.Server) bool {
	t.Helper()
	listed, err := s.List()
	harness.Must(t, err)
	entries, err := os.ReadDir(s.Packages)
	harness.Must(t, err)
	var have, found []string
	for _, l := range listed {
		if l.State != "installed" {
			t.Fatalf("set aside: %+v", l)
		}
		have = append(have, l.File)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	slices.Sort(have)
	if !slices.Equal(have, found) || len(have) != 0 && len(have) != 3 {
		t.Fatalf("installed are %q, in the package directory %q", have, found)
	}
	for _, dir := range []string{"index", "payload"} {
		left, err := filepath.Glob(filepath.Join(s.State, dir, "*"))
		harness.Must(t, err)
		if len(left) != len(have) {
			t.Fatalf("%d packages, and in the state directory %q", len(have), left)
		}
	}
	return len(have) > 0
}
