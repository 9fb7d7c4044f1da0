package e2e

import (
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// oracle is shared by the tests, for it keeps what it extracted.
var oracle harness.Oracle

// The oracle's two ways to read a package file must agree: dpkg-deb -x and a
// directory walk, and dpkg-deb --fsys-tarfile and a tar reader. Times of
// directories are left out: see Oracle.Package.
func testOracleAgrees(t *testing.T) {
	corpus := harness.FetchCorpus(t)
	for _, deb := range corpus.Debs {
		t.Run(deb.Name, func(t *testing.T) {
			r, err := oracle.Read(deb.File)
			if err != nil {
				t.Fatal(err)
			}
			harness.CheckSame(t, deb.Name, withoutDirTimes(r.Archive), withoutDirTimes(r.Extracted))
		})
	}
}

func withoutDirTimes(m harness.Manifest) harness.Manifest {
	without := harness.Manifest{}
	for name, e := range m {
		if e.Kind == harness.Dir {
			e.Sec, e.Nsec = 0, 0
		}
		without[name] = e
	}
	return without
}
