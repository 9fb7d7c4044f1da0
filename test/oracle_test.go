//go:build e2e

package test

import "testing"

// oracle is shared by the tests, for it keeps what it extracted.
var oracle Oracle

// The oracle's two ways to read a package file must agree: dpkg-deb -x and a
// directory walk, and dpkg-deb --fsys-tarfile and a tar reader. Times of
// directories are left out: see Oracle.Package.
func TestOracleAgrees(t *testing.T) {
	corpus := get(t, FetchCorpus)
	for _, deb := range corpus.Debs {
		t.Run(deb.Name, func(t *testing.T) {
			extracted, err := extract(deb.File)
			if err != nil {
				t.Fatal(err)
			}
			archive, err := readDebTar(deb.File)
			if err != nil {
				t.Fatal(err)
			}
			checkSame(t, deb.Name, withoutDirTimes(archive), withoutDirTimes(extracted))
		})
	}
}

func withoutDirTimes(m Manifest) Manifest {
	without := Manifest{}
	for name, e := range m {
		if e.Kind == Dir {
			e.Sec, e.Nsec = 0, 0
		}
		without[name] = e
	}
	return without
}
