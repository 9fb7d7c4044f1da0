package p9l

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// transcriptRequests returns all requests of the transcripts.
func transcriptRequests(tb testing.TB) (list [][]byte) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if strings.HasPrefix(line, "T") {
				b, err := p9ltest.Parse(line)
				if err != nil {
					tb.Fatalf("%s: %v", line, err)
				}
				list = append(list, b)
			}
		}
	}
	if len(list) < 100 {
		tb.Fatalf("only %d requests in the transcripts", len(list))
	}
	return list
}

// FuzzMessage decodes a message to text, and that text back to the message.
func FuzzMessage(f *testing.F) {
	for _, b := range transcriptRequests(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < wire.HeaderSize || len(b) > 2000 {
			return
		}
		wire.PutSize(b, 0)
		text := wire.Text(b)
		if b[4]&1 != 0 || wire.Name(b[4]) == "" || strings.Contains(text, " malformed, ") || strings.HasSuffix(text, "...") {
			return
		}
		again, err := p9ltest.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(b, again) {
			t.Fatalf("%s\nfrom %x\nto   %x", text, b, again)
		}
	})
}

// FuzzConn sends bytes after a version and an attach. Whatever they are, the
// server must not panic, every reply must be a message smaller than msize, and
// when the connection is gone all files must be closed.
func FuzzConn(f *testing.F) {
	all := transcriptRequests(f)
	for i := 0; i+12 < len(all); i += 12 {
		f.Add(bytes.Join(all[i:i+12], nil))
	}
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		const msize = 8192
		for _, fast := range []bool{true, false} {
			tree := newMemTree(fast, "usr/bin/env=#!env\n", "usr/bin/python->python3.11", "etc/motd=hello, world\n", "fifo|")
			tree.find("etc/motd").xattrs = map[string]string{"user.a": "value a"}
			s := &Server{Attacher: tree, Limits: Limits{MaxMsize: msize}}
			near, far := net.Pipe()
			done := make(chan struct{})
			go func() { defer close(done); s.ServeConn(far, Peer{Network: "pipe"}) }()
			go func() {
				near.Write(p9ltest.Frame(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(msize), wire.Dialect)))
				near.Write(p9ltest.Frame(wire.Tattach, 0, p9ltest.Body(uint32(0), wire.NoFid, "root", "", uint32(0))))
				near.Write(b)
				near.Write(make([]byte, 2*msize)) // malformed at last, even if b ends inside a message
			}()
			checkReplies(t, near)
			near.Close()
			<-done
			if n := tree.handles.Load(); n != 0 || tree.wrong.Load() != 0 {
				t.Fatalf("%d files left open, %d misused", n, tree.wrong.Load())
			}
		}
	})
}

// checkReplies reads until the connection is closed.
func checkReplies(t *testing.T, r io.Reader) {
	var head [wire.HeaderSize]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		n := int(le.Uint32(head[:]))
		if n < wire.HeaderSize || n >= 8192 || head[4]&1 == 0 {
			t.Fatalf("reply begins % x", head)
		}
		b := append(head[:], make([]byte, n-wire.HeaderSize)...)
		if _, err := io.ReadFull(r, b[wire.HeaderSize:]); err != nil {
			return
		}
		if le.Uint16(b[5:]) == wire.NoTag && b[4] != wire.Tversion+1 {
			t.Fatalf("reply without a tag: %s", wire.Text(b))
		}
		if text := wire.Text(b); strings.Contains(text, "malformed") {
			t.Fatal(text)
		}
	}
}
