package e2e

import (
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/fsx"
	"github.com/packagefs/packagefs/test/harness"
)

// workMounts mounts a context with a mutable layer twice.
func workMounts(t *testing.T) (at, other string) {
	t.Helper()
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	layerDeb(t, s.Packages)
	s.StartIndexed(t)
	return fuseMount(t, s, layerContext), fuseMount(t, s, layerContext)
}

func testFUSEDbench(t *testing.T) {
	at, _ := workMounts(t)
	harness.CheckDbench(t, at)
}

func testFUSERandom(t *testing.T) {
	at, other := workMounts(t)
	harness.CheckRandom(t, fsx.Run{Count: 5000, Dir: at, Other: other, Maps: true})
}

func testFUSEBuild(t *testing.T) {
	source := filepath.Join(t.TempDir(), "hello")
	harness.UnpackSource(t, source)
	at, other := workMounts(t)
	harness.CheckBuild(t, source, at, other, harness.ConfigureHello, []string{"make"})
}
