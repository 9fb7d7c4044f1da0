package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/fsimpl/localfs"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// serveDir serves a directory with another implementation of 9P2000.L and
// gives its root.
func serveDir(t *testing.T, dir string, o Options) *Fid {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p9.NewServer(localfs.Attacher(dir)).Handle(b, b)
	}()
	c, err := handshake(a, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); b.Close(); <-done })
	root, qid, err := c.Attach(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if qid.Type != p9.TypeDir {
		t.Fatalf("root is %v", qid)
	}
	return root
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000) // 1.6 MB, many messages
	write(t, filepath.Join(dir, "usr/big"), data)
	deep := strings.Repeat("d/", 20) + "end"
	write(t, filepath.Join(dir, deep), []byte("deep"))
	if err := os.Symlink("usr/big", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	root := serveDir(t, dir, Options{MessageSize: 64 << 10})

	f, qids, err := root.Walk(ctx, "usr", "big")
	if err != nil || len(qids) != 2 {
		t.Fatalf("walk: %v, %v", qids, err)
	}
	defer f.Clunk()
	if _, a, err := f.GetAttr(ctx); err != nil || a.Size != uint64(len(data)) || !a.Mode.IsRegular() {
		t.Errorf("attributes %v, %v", a, err)
	}
	if _, err := f.Open(ctx, syscall.O_RDONLY); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int{{0, len(data)}, {7, 300_000}, {len(data) - 5, 100}, {len(data), 10}, {len(data) + 9, 1}} {
		p := make([]byte, r[1])
		n, err := f.ReadAt(ctx, p, int64(r[0]))
		want := data[min(r[0], len(data)):min(r[0]+r[1], len(data))]
		if err != nil || !bytes.Equal(p[:n], want) {
			t.Errorf("read %d at %d: %d bytes, %v; want %d", r[1], r[0], n, err, len(want))
		}
	}
	end, qids, err := root.Walk(ctx, strings.Split(deep, "/")...)
	if err != nil || len(qids) != 21 {
		t.Fatalf("deep walk: %d qids, %v", len(qids), err)
	}
	end.Clunk()
	link, _, err := root.Walk(ctx, "link")
	if err != nil {
		t.Fatal(err)
	}
	if target, err := link.Readlink(ctx); err != nil || target != "usr/big" {
		t.Errorf("readlink %q, %v", target, err)
	}
	if st, err := root.StatFS(ctx); err == nil && st.NameLength == 0 {
		t.Errorf("statfs %+v", st)
	}
}

func TestErrors(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	write(t, filepath.Join(dir, "file"), nil)
	root := serveDir(t, dir, Options{})
	for names, want := range map[string]error{
		"missing":                 syscall.ENOENT,
		"missing/below":           syscall.ENOENT,
		strings.Repeat("x", 256):  syscall.ENAMETOOLONG,
		strings.Repeat("no/", 20): syscall.ENOENT,
	} {
		if f, _, err := root.Walk(ctx, strings.Split(names, "/")...); !errors.Is(err, want) || f != nil {
			t.Errorf("walk %q: %v, want %v", names, err, want)
		}
	}
	// Names fids again and again: numbers come back.
	for range 1000 {
		if f, _, err := root.Walk(ctx, "file"); err != nil {
			t.Fatal(err)
		} else {
			f.Clunk()
			f.Clunk()
		}
	}
	if n := root.c.newFid(); n > 2*maxInFlight {
		t.Errorf("fid numbers are not used again: the next is %d", n)
	}
}

func TestReadDirAll(t *testing.T) {
	s, c := newScript(t, 8192)
	f := &Fid{c: c, num: 99}
	batches := [][]string{{".", "..", "a"}, {"b", "c"}, nil}
	go func() {
		at := uint64(0)
		for _, names := range batches {
			tag, r := s.expect(wire.Treaddir)
			r.U32()
			if off, count := r.U64(), r.U32(); off != at || count == 0 || count > 8192-wire.IOHeader {
				t.Errorf("Treaddir at %d of %d, want at %d", off, count, at)
			}
			var data msg
			for _, n := range names {
				at += 100
				data.b = append(data.b, 0, 1, 0, 0, 0)
				data.u64(at + 7).u64(at)
				data.b = append(data.b, syscall.DT_REG)
				data.str(n)
			}
			m := newMsg(wire.Treaddir + 1).u32(uint32(len(data.b)))
			m.b = append(m.b, data.b...)
			s.send(m, tag)
		}
	}()
	list, err := f.ReadDirAll(t.Context())
	var got []string
	for _, d := range list {
		if d.Type != syscall.DT_REG || d.QID.Version != 1 || d.QID.Path != d.Offset+7 {
			t.Errorf("entry %+v", d)
		}
		got = append(got, d.Name)
	}
	if err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("names %q, %v", got, err)
	}
}

func TestReadDirCut(t *testing.T) {
	s, c := newScript(t, 8192)
	f := &Fid{c: c, num: 99}
	go func() {
		tag, _ := s.expect(wire.Treaddir)
		m := newMsg(wire.Treaddir + 1).u32(20)
		m.b = append(m.b, make([]byte, 20)...) // less than an entry
		s.send(m, tag)
	}()
	if _, err := f.ReadDirAll(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("half an entry: %v", err)
	}
}

// TestConcurrent has many requests in flight, each with its own answer.
func TestConcurrent(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	for i := range 50 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), []byte(strings.Repeat(fmt.Sprint(i), 1000)))
	}
	root := serveDir(t, dir, Options{})
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			name := fmt.Sprint(i % 50)
			f, _, err := root.Walk(ctx, name)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Clunk()
			if _, err := f.Open(ctx, syscall.O_RDONLY); err != nil {
				t.Error(err)
				return
			}
			p := make([]byte, 5000)
			n, err := f.ReadAt(ctx, p, 0)
			if want := strings.Repeat(name, 1000); err != nil || string(p[:n]) != want {
				t.Errorf("file %s: %d bytes, %v", name, n, err)
			}
		})
	}
	wg.Wait()
}

// A script is a server that answers by hand.
type script struct {
	t    *testing.T
	conn net.Conn
}

func newScript(t *testing.T, msize uint32) (*script, *Conn) {
	t.Helper()
	a, b := net.Pipe()
	s := &script{t, b}
	go func() {
		s.expect(wire.Tversion)
		m := newMsg(wire.Tversion + 1).u32(msize).str(wire.Dialect)
		s.send(m, wire.NoTag)
	}()
	c, err := handshake(a, Options{MessageSize: 8192})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); c.Close() })
	return s, c
}

// expect reads one request and gives its tag and fields.
func (s *script) expect(typ uint8) (tag uint16, r wire.Decoder) {
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		s.t.Errorf("script: %v", err)
		return
	}
	body := make([]byte, le.Uint32(head)-wire.HeaderSize)
	if _, err := io.ReadFull(s.conn, body); err != nil {
		s.t.Errorf("script: %v", err)
	}
	if head[4] != typ {
		s.t.Errorf("the client sent type %d, want %d", head[4], typ)
	}
	return le.Uint16(head[5:]), wire.Decode(body)
}

func (s *script) send(m *msg, tag uint16) {
	le.PutUint32(m.b, uint32(len(m.b)))
	le.PutUint16(m.b[5:], tag)
	if _, err := s.conn.Write(m.b); err != nil {
		s.t.Errorf("script: %v", err)
	}
}

func TestFlush(t *testing.T) {
	for _, answered := range []bool{false, true} {
		s, c := newScript(t, 8192)
		f := &Fid{c: c, num: 1}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			tag, _ := s.expect(wire.Treadlink)
			cancel()
			flush, r := s.expect(wire.Tflush)
			if old := r.U16(); old != tag || flush == tag {
				t.Errorf("Tflush %d of tag %d, want of %d", flush, old, tag)
			}
			if answered {
				s.send(newMsg(wire.Treadlink+1).str("there"), tag)
			}
			s.send(newMsg(wire.Tflush+1), flush)
		}()
		target, err := f.Readlink(ctx)
		<-done
		if answered && (err != nil || target != "there") {
			t.Errorf("answered before the flush: %q, %v", target, err)
		}
		if !answered && !errors.Is(err, syscall.EINTR) {
			t.Errorf("flushed: %v, want EINTR", err)
		}
		if len(c.tags) != maxInFlight || len(c.pending) != 0 {
			t.Errorf("%d tags free, %d requests pending", len(c.tags), len(c.pending))
		}
	}
}

func TestBadServer(t *testing.T) {
	cases := map[string]func(s *script, tag uint16){
		"hangs up":             func(s *script, _ uint16) { s.conn.Close() },
		"answers another type": func(s *script, tag uint16) { s.send(newMsg(wire.Twalk+1), tag) },
		"answers another tag":  func(s *script, tag uint16) { s.send(newMsg(wire.Treadlink+1).str("x"), tag+1) },
		"is short":             func(s *script, tag uint16) { s.send(newMsg(wire.Treadlink+1).u32(0xffffffff), tag) },
		"sends a huge size": func(s *script, tag uint16) {
			s.conn.Write([]byte{0xff, 0xff, 0xff, 0x7f, wire.Treadlink + 1, byte(tag), byte(tag >> 8)})
		},
		"sends a tiny size": func(s *script, tag uint16) {
			s.conn.Write([]byte{3, 0, 0, 0, wire.Treadlink + 1, byte(tag), byte(tag >> 8)})
		},
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			s, c := newScript(t, 8192)
			f := &Fid{c: c, num: 1}
			go func() {
				tag, _ := s.expect(wire.Treadlink)
				answer(s, tag)
			}()
			if _, err := f.Readlink(t.Context()); !errors.Is(err, ErrLost) {
				t.Errorf("readlink: %v, want ErrLost", err)
			}
			<-c.Dead()
			if _, _, err := f.GetAttr(t.Context()); !errors.Is(err, ErrLost) {
				t.Errorf("the next call: %v, want ErrLost", err)
			}
			f.Clunk() // returns
		})
	}
}

func TestTooMuchData(t *testing.T) {
	s, c := newScript(t, 8192)
	f := &Fid{c: c, num: 1}
	go func() {
		tag, _ := s.expect(wire.Tread)
		m := newMsg(wire.Tread + 1).u32(20)
		m.b = append(m.b, make([]byte, 20)...)
		s.send(m, tag)
	}()
	if _, err := f.ReadAt(t.Context(), make([]byte, 10), 0); !errors.Is(err, ErrLost) {
		t.Errorf("20 bytes where 10 were asked for: %v", err)
	}
}

func TestShortReads(t *testing.T) {
	s, c := newScript(t, 8192)
	f := &Fid{c: c, num: 1}
	go func() {
		for _, part := range []string{"ab", "c", ""} {
			tag, _ := s.expect(wire.Tread)
			m := newMsg(wire.Tread + 1).u32(uint32(len(part)))
			m.b = append(m.b, part...)
			s.send(m, tag)
		}
	}()
	p := make([]byte, 10)
	if n, err := f.ReadAt(t.Context(), p, 0); err != nil || string(p[:n]) != "abc" {
		t.Errorf("read %q, %v", p[:n], err)
	}
}

func TestXattr(t *testing.T) {
	s, c := newScript(t, 8192)
	f := &Fid{c: c, num: 99}
	go func() {
		tag, r := s.expect(wire.Txattrwalk)
		old, num, name := r.U32(), r.U32(), r.Str()
		if old != 99 || num == 99 || name != "user.x" {
			t.Errorf("Txattrwalk %d %d %q", old, num, name)
		}
		s.send(newMsg(wire.Txattrwalk+1).u64(5), tag)
		tag, r = s.expect(wire.Tread)
		if r.U32() != num {
			t.Error("read of another fid")
		}
		m := newMsg(wire.Tread + 1).u32(5)
		m.b = append(m.b, "value"...)
		s.send(m, tag)
		tag, _ = s.expect(wire.Tclunk)
		s.send(newMsg(wire.Tclunk+1), tag)
		tag, _ = s.expect(wire.Txattrwalk)
		s.send(newMsg(wire.Rlerror).u32(uint32(syscall.ENODATA)), tag)
	}()
	if v, err := f.Xattr(t.Context(), "user.x"); err != nil || string(v) != "value" {
		t.Errorf("xattr %q, %v", v, err)
	}
	if _, err := f.Xattr(t.Context(), "user.y"); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("missing xattr: %v", err)
	}
}

func TestParseAddr(t *testing.T) {
	for in, want := range map[string]Addr{
		"unix:/run/x":        {"unix", "/run/x"},
		"tcp:host:564":       {"tcp", "host:564"},
		"tcp:[::1]:564":      {"tcp", "[::1]:564"},
		"unix:":              {},
		"tcp:host":           {},
		"tcp:host:":          {},
		"/run/x":             {},
		"http://example.org": {},
		"":                   {},
	} {
		got, err := ParseAddr(in)
		if got != want || (err == nil) != (want != Addr{}) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
}
