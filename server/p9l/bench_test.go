package p9l

import (
	"fmt"
	"testing"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// benchClient is a client that keeps n requests in flight and costs as little
// as it can: it sends prepared bytes and counts replies.
func benchClient(b *testing.B) *p9ltest.Client {
	t := newMemTree(true)
	for i := range 1000 {
		t.add(fmt.Sprintf("usr/share/d%d/file-%d=%0500d", i%20, i, i))
	}
	t.add("big=").data = make([]byte, 64<<20)
	c := p9ltest.Serve(b, &Server{Attacher: t})()
	c.Start(0)
	return c
}

func statFrames(depth int) (walk, getattr, clunk []byte) {
	for i := range depth {
		fid, tag := uint32(100+i), uint16(i)
		names := []string{"usr", "share", fmt.Sprintf("d%d", i%20), fmt.Sprintf("file-%d", i)}
		walk = append(walk, p9ltest.Frame(wire.Twalk, tag, p9ltest.Body(uint32(0), fid, names))...)
		getattr = append(getattr, p9ltest.Frame(wire.Tgetattr, tag, p9ltest.Body(fid, uint64(wire.BasicMask)))...)
		clunk = append(clunk, p9ltest.Frame(wire.Tclunk, tag, p9ltest.Body(fid))...)
	}
	return walk, getattr, clunk
}

// BenchmarkStat measures walk, getattr and clunk of one file as one operation,
// with so many operations in flight at once.
func BenchmarkStat(b *testing.B) {
	for _, depth := range []int{1, 16} {
		b.Run(fmt.Sprintf("inflight=%d", depth), func(b *testing.B) {
			c := benchClient(b)
			walk, getattr, clunk := statFrames(depth)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += depth {
				for _, f := range [][]byte{walk, getattr, clunk} {
					if _, err := c.Conn.Write(f); err != nil {
						b.Fatal(err)
					}
					c.Skip(depth)
				}
			}
		})
	}
}

// BenchmarkRead measures reads of an open file.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{4096, 512 << 10} {
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("size=%d/inflight=%d", size, depth), func(b *testing.B) {
				c := benchClient(b)
				c.Open(0, 1, "big")
				var reads []byte
				for i := range depth {
					reads = append(reads, p9ltest.Frame(wire.Tread, uint16(i), p9ltest.Body(uint32(1), uint64(i*size), uint32(size)))...)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += depth {
					if _, err := c.Conn.Write(reads); err != nil {
						b.Fatal(err)
					}
					c.Skip(depth)
				}
			})
		}
	}
}

// BenchmarkReaddir measures readdirs of an open directory of 50 files, each
// with the one that finds its end.
func BenchmarkReaddir(b *testing.B) {
	for _, depth := range []int{1, 16} {
		b.Run(fmt.Sprintf("inflight=%d", depth), func(b *testing.B) {
			c := benchClient(b)
			c.Open(0, 1, "usr/share/d0")
			var reads []byte
			for i := range depth {
				for k, offset := range []uint64{0, 52} {
					reads = append(reads, p9ltest.Frame(wire.Treaddir, uint16(2*i+k), p9ltest.Body(uint32(1), offset, uint32(1<<16)))...)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += depth {
				if _, err := c.Conn.Write(reads); err != nil {
					b.Fatal(err)
				}
				c.Skip(2 * depth)
			}
		})
	}
}
