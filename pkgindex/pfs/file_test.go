package pfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// contentsOf are the contents of a package file, the metadata first.
func contentsOf(list []sample) string {
	var b strings.Builder
	b.WriteString(testMetadata)
	for _, s := range list {
		b.WriteString(s.body)
	}
	return b.String()
}

// TestReadAt reads anywhere, with caches that keep all, little and nothing, by
// several at once; and tables that were stored do as well.
func TestReadAt(t *testing.T) {
	data, want := write(t, Options{}, samples()), contentsOf(samples())
	table, err := DecodeTable(open(t, data).Encode())
	if err != nil {
		t.Fatal(err)
	}
	if table.Contents != int64(len(want)) {
		t.Fatalf("%d bytes of contents, want %d", table.Contents, len(want))
	}
	for _, size := range []int64{0, 600 << 10, 1 << 30} {
		cache := NewCache(size)
		ctx, cancel := context.WithCancel(context.Background())
		worked := make(chan struct{})
		go func() { cache.Work(ctx); close(worked) }()
		f := NewFile(1, bytes.NewReader(data), table, cache, nil)
		var wg sync.WaitGroup
		for reader := range 4 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(reader), 1))
				for range 50 {
					off := random.IntN(len(want))
					b := make([]byte, 1+random.IntN(400<<10)>>random.IntN(19))
					for _, read := range []func([]byte, int64) (int, error){f.ReadAt, f.ReadNow} {
						n, err := read(b, int64(off))
						if errors.Is(err, syscall.EAGAIN) {
							continue
						}
						if end := off+len(b) > len(want); end != (err == io.EOF) || !end && err != nil || n != min(len(b), len(want)-off) {
							t.Errorf("%d bytes at %d: %d, %v", len(b), off, n, err)
						}
						if string(b[:n]) != want[off:][:n] {
							t.Errorf("%d bytes at %d are others", n, off)
						}
					}
				}
			})
		}
		wg.Wait()
		cancel()
		<-worked
		if s := cache.Stats(); s.Bytes > max(size, 0) || s.Misses == 0 || size > 0 && s.Hits == 0 {
			t.Errorf("a cache of %d bytes has %+v", size, s)
		}
	}
}

// countingReader counts what is read.
type countingReader struct {
	r     io.ReaderAt
	reads atomic.Int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	return c.r.ReadAt(p, off)
}

// TestOnce: a frame is unpacked once, whoever reads it, and two package files
// are not taken for one.
func TestOnce(t *testing.T) {
	data, want := write(t, Options{}, samples()), contentsOf(samples())
	table, cache := open(t, data), NewCache(1<<30)
	var readers []*countingReader
	for id := range uint64(2) {
		r := &countingReader{r: bytes.NewReader(data)}
		readers = append(readers, r)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				b := make([]byte, len(want))
				if n, err := NewFile(id, r, table, cache, nil).ReadAt(b, 0); n != len(want) || string(b) != want {
					t.Errorf("%d bytes, %v", n, err)
				}
			})
		}
		wg.Wait()
	}
	full := 0
	for i := range table.Frames() {
		if table.content(i) > 0 {
			full++
		}
	}
	for id, r := range readers {
		if n := int(r.reads.Load()); n > full {
			t.Errorf("file %d was read %d times for %d frames", id, n, full)
		}
	}
}

// TestReadAhead: who reads in order finds the next frame unpacked.
func TestReadAhead(t *testing.T) {
	data := write(t, Options{}, []sample{file("big", body(1, 20*chunkBytes, true))})
	table, cache := open(t, data), NewCache(1<<30)
	f := NewFile(1, bytes.NewReader(data), table, cache, nil)
	b := make([]byte, chunkBytes)
	for i := range 2 {
		if _, err := f.ReadAt(b, int64(i*chunkBytes)); err != nil {
			t.Fatal(err)
		}
	}
	if len(cache.pending) == 0 {
		t.Fatal("nothing is read ahead")
	}
	for len(cache.pending) > 0 {
		cache.fetch(<-cache.pending)
	}
	for i := 2; i < 20; i++ { // each that was read ahead leads to more
		if _, err := f.ReadNow(b, int64(i*chunkBytes)); err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		for len(cache.pending) > 0 {
			cache.fetch(<-cache.pending)
		}
	}
}

// TestDamage: the first damage is told, every read of it fails with EIO, and
// what is whole stays readable.
func TestDamage(t *testing.T) {
	data, want := write(t, Options{}, samples()), contentsOf(samples())
	table := open(t, data)
	data[table.frame(2).off+100] ^= 1
	var told []error
	f := NewFile(1, bytes.NewReader(data), table, NewCache(1<<20), func(err error) { told = append(told, err) })
	for range 2 {
		if n, err := f.ReadAt(make([]byte, 1), table.start(2)); n != 0 || !errors.Is(err, syscall.EIO) {
			t.Errorf("damaged: %d, %v", n, err)
		}
	}
	b := make([]byte, len(want))
	if n, err := f.ReadAt(b, 0); n != int(table.start(2)) || !errors.Is(err, syscall.EIO) || string(b[:n]) != want[:n] {
		t.Errorf("across the damage: %d, %v", n, err)
	}
	if n, err := f.ReadAt(b[:100], table.start(3)); err != nil || string(b[:n]) != want[table.start(3):][:n] {
		t.Errorf("behind the damage: %v", err)
	}
	var damage *DamageError
	if len(told) != 1 || !errors.As(told[0], &damage) {
		t.Errorf("told %v", told)
	}
}
