package p9l

import (
	"io"
	"slices"
	"testing"

	suite "github.com/hugelgupf/p9/fsimpl/test"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
)

// undotted is a file of p9's client whose directories have neither "." nor
// "..", as the suite wants it.
type undotted struct{ p9.File }

func (f undotted) Walk(names []string) ([]p9.QID, p9.File, error) {
	qids, file, err := f.File.Walk(names)
	return qids, undotted{file}, err
}

func (f undotted) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	d, err := f.File.Readdir(offset, count*64) // the client's count is in bytes
	if len(d) == 0 && err == nil {
		err = io.EOF
	}
	return slices.DeleteFunc(d, func(e p9.Dirent) bool { return e.Name == "." || e.Name == ".." }), err
}

type clientAttacher struct{ c *p9.Client }

func (a clientAttacher) Attach() (p9.File, error) {
	f, err := a.c.Attach("")
	return undotted{f}, err
}

// TestSuiteOfP9 runs the suite of p9 for read-only trees over p9's client.
func TestSuiteOfP9(t *testing.T) {
	for _, fast := range []bool{true, false} {
		tree := newMemTree(fast, "usr/bin/env=#!env\n", "usr/bin/sh->dash", "empty/", "etc/motd=hello")
		nc := p9ltest.Serve(t, &Server{Attacher: tree})().Conn
		c, err := p9.NewClient(nc)
		if err != nil {
			t.Fatal(err)
		}
		mask := p9.AttrMask{Mode: true, Size: true, UID: true}
		suite.TestReadOnlyFS(t, clientAttacher{c},
			suite.WithDir("", "usr", "empty", "etc"),
			suite.WithDir("usr/bin", "env", "sh"),
			suite.WithFile("usr/bin/env", "#!env\n", p9.Attr{Mode: p9.ModeRegular | 0o644, Size: 6, UID: 3}, mask),
			suite.WithFile("etc/motd", "hello", p9.Attr{Mode: p9.ModeRegular | 0o644, Size: 5, UID: 3}, mask),
			suite.WithSymlink("usr/bin/sh", "dash", p9.Attr{Mode: p9.ModeSymlink | 0o777, Size: 4, UID: 3}, mask))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
