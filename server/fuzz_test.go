package server

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
				b, err := parseMessage(line)
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
		if len(b) < headerSize || len(b) > 2000 {
			return
		}
		setSize(b, 0)
		text := messageText(b)
		if b[4]&1 != 0 || typeName(b[4]) == "" || strings.Contains(text, " malformed, ") || strings.HasSuffix(text, "...") {
			return
		}
		again, err := parseMessage(text)
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
				near.Write(frame(msgTversion, noTag, body(uint32(msize), dialect)))
				near.Write(frame(msgTattach, 0, body(uint32(0), noFid, "root", "", uint32(0))))
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
	var head [headerSize]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		n := int(le.Uint32(head[:]))
		if n < headerSize || n >= 8192 || head[4]&1 == 0 {
			t.Fatalf("reply begins % x", head)
		}
		b := append(head[:], make([]byte, n-headerSize)...)
		if _, err := io.ReadFull(r, b[headerSize:]); err != nil {
			return
		}
		if le.Uint16(b[5:]) == noTag && b[4] != msgTversion+1 {
			t.Fatalf("reply without a tag: %s", messageText(b))
		}
		if text := messageText(b); strings.Contains(text, "malformed") {
			t.Fatal(text)
		}
	}
}
