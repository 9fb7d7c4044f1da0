package pfs

import (
	"container/list"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// A Cache keeps the contents of frames that were read, for all Files, up to a
// number of bytes. What was not read for the longest time goes first. NewCache
// makes one; with size 0 it keeps nothing but what is being read.
type Cache struct {
	size    int64 // bytes to be kept by each shard
	shards  []shard
	pending chan ahead // frames that may be wanted soon

	hits, misses, held atomic.Int64
}

// A key names a frame.
type key struct {
	file  uint64
	frame int
}

// maxShards is how many shards a cache has, if it is large enough that each
// keeps a few dozen frames.
const (
	maxShards = 16
	shardSize = 16 << 20
)

// shard is a part of a cache.
type shard struct {
	mu    sync.Mutex // guards what follows
	known map[key]*kept
	used  list.List // of *kept that are ready, the longest unused first
	bytes int64
}

// kept is one frame's contents.
type kept struct {
	key
	data    []byte
	err     error
	ready   chan struct{} // closed when data or err is there
	done    bool          // likewise
	element *list.Element // in used, once ready
	refs    int           // who reads data or waits for it
	gone    bool          // no longer known: the last who reads it gives data back

	// early is set while nobody has asked for the frame, which was read ahead.
	early bool
}

// ahead asks for a frame to be read ahead.
type ahead struct {
	file  *File
	frame int
}

// NewCache makes a cache of size bytes.
func NewCache(size int64) *Cache {
	n := max(1, min(maxShards, size/shardSize))
	c := &Cache{size: size / n, shards: make([]shard, n), pending: make(chan ahead, 64)}
	for i := range c.shards {
		c.shards[i].known = make(map[key]*kept)
	}
	return c
}

// Work reads ahead until ctx ends.
func (c *Cache) Work(ctx context.Context) {
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case a := <-c.pending:
					c.fetch(a)
				}
			}
		})
	}
	wg.Wait()
}

// Stats are counts since the start, and the bytes that are kept now.
type Stats struct{ Hits, Misses, Bytes int64 }

// Stats counts what was looked up by readers.
func (c *Cache) Stats() Stats {
	return Stats{Hits: c.hits.Load(), Misses: c.misses.Load(), Bytes: c.held.Load()}
}

func (c *Cache) shard(k key) *shard {
	h := (k.file*0x9e3779b97f4a7c15 + uint64(k.frame)) * 0xbf58476d1ce4e5b9
	return &c.shards[(h>>32)%uint64(len(c.shards))]
}

// lookup returns a frame that is ready, or nil. early says that it was read
// ahead and this is the first to want it. The caller must release it.
func (c *Cache) lookup(k key) (e *kept, early bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e = s.known[k]
	if e == nil || !e.done {
		return nil, false
	}
	early, e.early = e.early, false
	e.refs++
	s.used.MoveToBack(e.element)
	c.hits.Add(1)
	return e, early
}

// has says whether a frame is ready or on its way.
func (c *Cache) has(k key) bool {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[k] != nil
}

// get returns a frame, which load reads unless somebody did or is at it. The
// caller must release it.
func (c *Cache) get(k key, early bool, load func(dst []byte) ([]byte, error)) (*kept, error) {
	s := c.shard(k)
	s.mu.Lock()
	e := s.known[k]
	if e != nil {
		e.refs++
		e.early = e.early && early
		s.mu.Unlock()
		<-e.ready
		if e.err != nil {
			c.release(e)
			return nil, e.err
		}
		return e, nil
	}
	e = &kept{key: k, ready: make(chan struct{}), refs: 1, early: early}
	s.known[k] = e
	s.mu.Unlock()
	c.misses.Add(1)
	e.data, e.err = load(buffers.Get().([]byte))
	c.enter(s, e)
	if e.err != nil {
		c.release(e)
		return nil, e.err
	}
	return e, nil
}

// enter keeps what was loaded, and takes out what is too much.
func (c *Cache) enter(s *shard, e *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.done = true
	close(e.ready)
	if e.err != nil { // the next reader tries again
		e.gone = true
		delete(s.known, e.key)
		return
	}
	e.element = s.used.PushBack(e)
	s.bytes += int64(cap(e.data))
	c.held.Add(int64(cap(e.data)))
	for s.bytes > c.size && s.used.Len() > 0 {
		old := s.used.Remove(s.used.Front()).(*kept)
		delete(s.known, old.key)
		s.bytes -= int64(cap(old.data))
		c.held.Add(-int64(cap(old.data)))
		if old.gone = true; old.refs == 0 {
			recycle(old.data)
		}
	}
}

// release gives back what lookup or get returned.
func (c *Cache) release(e *kept) {
	s := c.shard(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.refs--; e.refs == 0 && e.gone && e.err == nil {
		recycle(e.data)
	}
}

// buffers are for contents of the usual size.
var buffers = sync.Pool{New: func() any { return []byte(nil) }}

// recycle takes back a buffer that nobody uses.
func recycle(b []byte) {
	if cap(b) >= chunkBytes && cap(b) <= 2*chunkBytes {
		//lint:ignore SA6002 a slice is 24 bytes, beside a buffer of many thousand
		buffers.Put(b[:0])
	}
}
