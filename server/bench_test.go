package server

import (
	"fmt"
	"testing"
)

// benchClient is a client that keeps n requests in flight and costs as little
// as it can: it sends prepared bytes and counts replies.
func benchClient(b *testing.B) *client {
	t := newMemTree(true)
	for i := range 1000 {
		t.add(fmt.Sprintf("usr/share/d%d/file-%d=%0500d", i%20, i, i))
	}
	t.add("big=").data = make([]byte, 64<<20)
	c := serveUnix(b, &Server{Attacher: t})()
	c.start(0)
	return c
}

func statFrames(depth int) (walk, getattr, clunk []byte) {
	for i := range depth {
		fid, tag := uint32(100+i), uint16(i)
		names := []string{"usr", "share", fmt.Sprintf("d%d", i%20), fmt.Sprintf("file-%d", i)}
		walk = append(walk, frame(msgTwalk, tag, body(uint32(0), fid, names))...)
		getattr = append(getattr, frame(msgTgetattr, tag, body(fid, uint64(basicMask)))...)
		clunk = append(clunk, frame(msgTclunk, tag, body(fid))...)
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
					if _, err := c.nc.Write(f); err != nil {
						b.Fatal(err)
					}
					c.skip(depth)
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
				c.open(0, 1, "big")
				var reads []byte
				for i := range depth {
					reads = append(reads, frame(msgTread, uint16(i), body(uint32(1), uint64(i*size), uint32(size)))...)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += depth {
					if _, err := c.nc.Write(reads); err != nil {
						b.Fatal(err)
					}
					c.skip(depth)
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
			c.open(0, 1, "usr/share/d0")
			var reads []byte
			for i := range depth {
				for k, offset := range []uint64{0, 52} {
					reads = append(reads, frame(msgTreaddir, uint16(2*i+k), body(uint32(1), offset, uint32(1<<16)))...)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += depth {
				if _, err := c.nc.Write(reads); err != nil {
					b.Fatal(err)
				}
				c.skip(2 * depth)
			}
		})
	}
}
