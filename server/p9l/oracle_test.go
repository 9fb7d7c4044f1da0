package p9l

import (
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

func newPair(t *testing.T, fast bool) *p9ltest.Pair {
	lines := []string{"usr/bin/env=#!env\n", "usr/bin/python->python3.11", "usr/bin/python3.11=\x7fELF", "etc/motd=hello, world\n",
		"fifo|", "some names/a b=c", "a/b/c/d=deep"}
	trees := [2]*memTree{newMemTree(fast, lines...), newMemTree(fast, lines...)}
	for _, tree := range trees {
		tree.find("etc/motd").xattrs = map[string]string{"user.a": "value a", "user.b": ""}
	}
	return p9ltest.NewPair(t, p9ltest.Serve(t, &Server{Attacher: trees[0]})(), p9Tree{trees[1]})
}

// TestOracleRandom sends random requests to both servers, with fids, names and
// numbers of which many fit.
func TestOracleRandom(t *testing.T) {
	seen := map[int]int{}
	for _, fast := range []bool{true, false} {
		p := newPair(t, fast)
		p.Seen = seen
		rng := rand.New(rand.NewSource(7))
		for range 20_000 {
			request := p9ltest.RandomRequest(rng)
			p.Do(request)
			if request[4] == wire.Txattrwalk && rng.Intn(2) == 0 { // the value is often read
				fid := le.Uint32(request[wire.HeaderSize+4:])
				p.Do(p9ltest.Frame(wire.Tread, 3, p9ltest.Body(fid, uint64(rng.Intn(9)), uint32(1+rng.Intn(9)))))
			}
			if t.Failed() {
				return
			}
		}
		if p.Agreed < p.Requests/3 {
			t.Errorf("only %d of %d answers were the same", p.Agreed, p.Requests)
		}
	}
	// A row that never comes up hides nothing yet, but may one day.
	for i, d := range p9ltest.Differences {
		t.Logf("%6d times %s, %s: %s", seen[i], d.Ours, d.Theirs, d.Why)
		if seen[i] == 0 {
			t.Errorf("difference does not come up: %s, %s: %s", d.Ours, d.Theirs, d.Why)
		}
	}
}

// TestOracleRecorded sends the requests of the transcripts to both servers.
func TestOracleRecorded(t *testing.T) {
	for _, name := range []string{"walk", "files", "readdir", "readonly", "fast-dotdot"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		p := newPair(t, true)
		for line := range strings.SplitSeq(string(text), "\n") {
			if !strings.HasPrefix(line, "T") {
				continue
			}
			request, err := p9ltest.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			p.Do(request)
		}
		if p.Requests < 5 {
			t.Errorf("%s: only %d requests", name, p.Requests)
		}
	}
}
