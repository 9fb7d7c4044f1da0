package server

import (
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newPair(t *testing.T, fast bool) *pair {
	lines := []string{"usr/bin/env=#!env\n", "usr/bin/python->python3.11", "usr/bin/python3.11=\x7fELF", "etc/motd=hello, world\n",
		"fifo|", "some names/a b=c", "a/b/c/d=deep"}
	trees := [2]*memTree{newMemTree(fast, lines...), newMemTree(fast, lines...)}
	for _, tree := range trees {
		tree.find("etc/motd").xattrs = map[string]string{"user.a": "value a", "user.b": ""}
	}
	return newPairOf(t, serveUnix(t, &Server{Attacher: trees[0]})(), p9Tree{trees[1]})
}

// TestOracleRandom sends random requests to both servers, with fids, names and
// numbers of which many fit.
func TestOracleRandom(t *testing.T) {
	seen := map[int]int{}
	for _, fast := range []bool{true, false} {
		p := newPair(t, fast)
		p.seen = seen
		rng := rand.New(rand.NewSource(7))
		for range 20_000 {
			request := randomRequest(rng)
			p.do(request)
			if request[4] == msgTxattrwalk && rng.Intn(2) == 0 { // the value is often read
				fid := le.Uint32(request[headerSize+4:])
				p.do(frame(msgTread, 3, body(fid, uint64(rng.Intn(9)), uint32(1+rng.Intn(9)))))
			}
			if t.Failed() {
				return
			}
		}
		if p.agreed < p.requests/3 {
			t.Errorf("only %d of %d answers were the same", p.agreed, p.requests)
		}
	}
	// A row that never comes up hides nothing yet, but may one day.
	for i, d := range differences {
		t.Logf("%6d times %s, %s: %s", seen[i], d.ours, d.theirs, d.why)
		if seen[i] == 0 {
			t.Errorf("difference does not come up: %s, %s: %s", d.ours, d.theirs, d.why)
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
			request, err := parseMessage(line)
			if err != nil {
				t.Fatal(err)
			}
			p.do(request)
		}
		if p.requests < 5 {
			t.Errorf("%s: only %d requests", name, p.requests)
		}
	}
}
