package server

import (
	"math/rand"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// oracleAttacher lets p9.Server attach as root.
type oracleAttacher struct{ *FS }

func (a oracleAttacher) Attach() (p9.File, error) { return a.FS.Attach(asking("root", "")) }

// TestOracleUnion sends random requests to both servers over the merged tree of
// real packages, in which directories and files come from several.
func TestOracleUnion(t *testing.T) {
	p := newFixture(t, map[string]string{"user:root": `mutable = "none"`})
	for _, spec := range []mkpkg.Spec{
		{Name: "a", Version: "1", Files: []mkpkg.File{
			{Path: "usr/bin/env", Body: "#!env\n", Mode: 0o755}, {Path: "usr/bin/python", Target: "python3.11"},
			{Path: "etc/motd", Body: "hello, world\n", Xattrs: map[string]string{"user.a": "value a", "user.b": ""}},
		}},
		{Name: "b", Version: "1", Files: []mkpkg.File{
			{Path: "usr/bin/python3.11", Body: "\x7fELF"}, {Path: "fifo", Fifo: true}, {Path: "some names/a b", Body: "c"},
			{Path: "a/b/c/d", Body: "deep"}, {Path: "etc/motd", Body: "never seen"},
		}},
	} {
		p.install(spec)
	}
	p.settle()
	both := p9ltest.NewPair(t, p9ltest.Serve(t, &p9l.Server{Attacher: p.FS, Errno: meaning})(), oracleAttacher{p.FS})
	both.More = []p9ltest.Difference{{
		Types: []byte{wire.Tread}, Ours: "ok", Theirs: "EBADF",
		Why: "p9.Server closes a file with the fid of its attributes",
	}}
	rng := rand.New(rand.NewSource(11))
	for range 20_000 {
		both.Do(p9ltest.RandomRequest(rng))
		if t.Failed() {
			return
		}
	}
	if both.Agreed < both.Requests/3 {
		t.Errorf("only %d of %d answers were the same", both.Agreed, both.Requests)
	}
}
