//go:build e2e

package test

import (
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/fsx"
)

// workMounts mounts a context with a mutable layer twice.
func workMounts(t *testing.T) (at, other string) {
	t.Helper()
	s := ServerDir(t, get(t, program), t.TempDir())
	layerDeb(t, s.Packages)
	s.StartIndexed(t)
	return fuseMount(t, s, layerContext), fuseMount(t, s, layerContext)
}

func TestFUSEDbench(t *testing.T) {
	at, _ := workMounts(t)
	checkDbench(t, at)
}

func TestFUSERandom(t *testing.T) {
	at, other := workMounts(t)
	checkRandom(t, fsx.Run{Count: 5000, Dir: at, Other: other, Maps: true})
}

func TestFUSEBuild(t *testing.T) {
	source := filepath.Join(t.TempDir(), "hello")
	unpackSource(t, source)
	at, other := workMounts(t)
	checkBuild(t, source, at, other, configureHello, []string{"make"})
}
