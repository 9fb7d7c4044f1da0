package pfs

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// chunkBytes is how a big file is cut. A smaller one shares a frame.
	chunkBytes = 256 << 10

	// maxShared is what a shared frame has at most, unless one header is larger.
	maxShared = 1 << 20

	maxHeader = 1 << 20 // bytes of one entry's headers
)

// Options say how a package file is written. The zero value works. What is
// written depends on the entries, Level and Time only.
type Options struct {
	Level   int   // of zstd, 1 to 22; 19 if 0
	Time    int64 // modification time of the metadata
	Workers int   // frames compressed at the same time; the number of processors if 0
}

// A Writer writes one package file. Its methods are not to be called at the
// same time. After an error it is of no more use; Close is called all the same.
type Writer struct {
	out     io.Writer
	encoder *zstd.Encoder

	raw   []byte // the shared frame that is being filled
	cur   *packing
	list  []placed
	whole hash.Hash

	queue   chan *packing // in the order of the file
	slots   chan struct{} // one for each frame that is being compressed
	written chan struct{} // closed when all of queue is
	packers sync.WaitGroup
	ended   bool

	off    int64      // of the next frame; the goroutine that writes has it until written is closed
	frames []*packing // likewise

	mu  sync.Mutex // guards err
	err error      // of out
}

// packing is a frame on its way.
type packing struct {
	raw, packed []byte
	done        chan struct{} // closed when packed
	off         int64         // in the package file
	sizes       [2]int64      // in the package file, unpacked
	digest      [32]byte      // of raw, in a frame of one chunk
}

// placed is an entry, or a further chunk of one, and where its content is.
type placed struct {
	entry  *Entry // nil for a further chunk
	digest [32]byte
	frame  *packing // of the content, or nil
	inner  int64
	at     int64 // of a chunk in the file
	size   int64 // of a chunk; 0 where the whole content is one piece
}

// NewWriter begins a package file with its metadata, the text of package.toml.
func NewWriter(w io.Writer, metadata []byte, o Options) (*Writer, error) {
	if len(metadata) == 0 || len(metadata) > maxMetadata {
		return nil, fmt.Errorf("the metadata has %d bytes; 1 to %d are allowed", len(metadata), maxMetadata)
	}
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.NumCPU()
	}
	level := zstd.EncoderLevelFromZstd(cmp.Or(o.Level, 19))
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(workers), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	pw := &Writer{
		out: w, encoder: encoder, cur: newPacking(), whole: sha256.New(),
		queue: make(chan *packing, workers), slots: make(chan struct{}, workers), written: make(chan struct{}),
	}
	go pw.write()
	first := &Entry{Path: MetadataPath, Type: Regular, Mode: 0o644, Size: int64(len(metadata)), Time: o.Time}
	if err := first.check(); err != nil {
		pw.stop()
		return nil, err
	}
	pw.raw = appendHeader(pw.raw, first)
	inner := int64(len(pw.raw))
	pw.raw = append(pw.raw, metadata...)
	pw.pad(first.Size)
	pw.list = append(pw.list, placed{entry: first, digest: sha256.Sum256(metadata), frame: pw.cur, inner: inner})
	pw.cut()
	return pw, nil
}

func newPacking() *packing { return &packing{done: make(chan struct{})} }

// write writes the frames as they get ready.
func (w *Writer) write() {
	defer close(w.written)
	for p := range w.queue {
		<-p.done
		p.off, p.sizes = w.off, [2]int64{int64(len(p.packed)), int64(len(p.raw))}
		w.off += p.sizes[0]
		w.frames = append(w.frames, p)
		if w.failed() == nil {
			if _, err := w.out.Write(p.packed); err != nil {
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
			}
		}
		p.raw, p.packed = nil, nil
	}
}

func (w *Writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// submit compresses p in the background; with sum set, its digest is wanted.
func (w *Writer) submit(p *packing, sum bool) {
	w.slots <- struct{}{}
	w.queue <- p
	w.packers.Go(func() {
		if sum {
			p.digest = sha256.Sum256(p.raw)
		}
		p.packed = w.encoder.EncodeAll(p.raw, nil)
		close(p.done)
		<-w.slots
	})
}

// cut ends the shared frame.
func (w *Writer) cut() {
	if len(w.raw) == 0 {
		return
	}
	w.cur.raw, w.raw = w.raw, make([]byte, 0, maxShared)
	w.submit(w.cur, false)
	w.cur = newPacking()
}

func (w *Writer) pad(size int64) { w.raw = append(w.raw, zeros[:padding(size)]...) }

// Add adds an entry. content is read to its end and must have Size bytes; it is
// nil for everything but regular files. A path is added once, and the target of
// a hard link before it.
func (w *Writer) Add(e Entry, content io.Reader) error {
	if err := w.failed(); err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("%q: %w", e.Path, err)
	}
	header := appendHeader(nil, &e)
	if len(header) > maxHeader {
		return fmt.Errorf("%q: its extended attributes have more than %d bytes", e.Path, maxHeader)
	}
	need := int64(len(header))
	if e.Size <= chunkBytes {
		need += e.Size + blockSize
	}
	if int64(len(w.raw))+need > maxShared {
		w.cut()
	}
	w.raw = append(w.raw, header...)
	w.list = append(w.list, placed{entry: &e})
	if e.Type != Regular {
		return nil
	}
	if content == nil {
		content = eof{}
	}
	body := &exactReader{r: content, left: e.Size}
	var err error
	if e.Size <= chunkBytes {
		err = w.small(&w.list[len(w.list)-1], body)
	} else {
		err = w.big(len(w.list)-1, body)
	}
	if err == nil {
		err = body.end()
	}
	if err != nil {
		return fmt.Errorf("%q: %w", e.Path, err)
	}
	return nil
}

// small puts a content into the shared frame.
func (w *Writer) small(p *placed, body io.Reader) error {
	size, at := int(p.entry.Size), len(w.raw)
	for len(w.raw) < at+size {
		w.raw = append(w.raw, zeros[:min(len(zeros), at+size-len(w.raw))]...)
	}
	if _, err := io.ReadFull(body, w.raw[at:]); err != nil {
		return err
	}
	p.digest = sha256.Sum256(w.raw[at:])
	if size > 0 {
		p.frame, p.inner = w.cur, int64(at)
	}
	w.pad(p.entry.Size)
	return nil
}

// big cuts a content into chunks. Its padding begins the next shared frame.
func (w *Writer) big(at int, body io.Reader) error {
	w.cut()
	w.whole.Reset()
	size := w.list[at].entry.Size
	for done := int64(0); done < size; {
		p := newPacking()
		p.raw = make([]byte, min(chunkBytes, size-done))
		if _, err := io.ReadFull(body, p.raw); err != nil {
			return err
		}
		w.whole.Write(p.raw)
		if done > 0 {
			w.list = append(w.list, placed{})
		}
		c := &w.list[len(w.list)-1]
		c.frame, c.at, c.size = p, done, int64(len(p.raw))
		done += c.size
		w.submit(p, true)
	}
	w.whole.Sum(w.list[at].digest[:0])
	w.pad(size)
	return nil
}

// Close ends the package file. Without it the file is of no use.
func (w *Writer) Close() error {
	if w.ended {
		return errors.New("the package file was closed already")
	}
	w.raw = append(w.raw, zeros[:trailerSize]...)
	w.cut()
	w.stop()
	if w.err != nil {
		return w.err
	}
	toc := w.toc()
	packed := w.encoder.EncodeAll(toc, nil)
	if int64(len(packed)) != int64(uint32(len(packed))) {
		return errors.New("the table of contents is too large")
	}
	t := tail{off: w.off + frameHead, packed: int64(len(packed)), size: int64(len(toc)), digest: sha256.Sum256(packed)}
	for _, b := range [][]byte{appendSkippable(nil, len(packed)), packed, t.append(nil)} {
		if _, err := w.out.Write(b); err != nil {
			return err
		}
	}
	return w.encoder.Close()
}

// stop ends the goroutines.
func (w *Writer) stop() {
	w.ended = true
	close(w.queue)
	<-w.written
	w.packers.Wait()
}

// toc is the table of contents.
func (w *Writer) toc() []byte {
	b := []byte(`{"version":1,"frames":[`)
	for i, f := range w.frames {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "[%d,%d]", f.sizes[0], f.sizes[1])
	}
	b = append(b, `],"entries":[`...)
	var of *Entry
	for i := range w.list {
		if i > 0 {
			b = append(b, ",\n"...)
		}
		p := &w.list[i]
		if p.entry != nil {
			of = p.entry
		}
		t := p.tocEntry(of)
		b = appendTOCEntry(b, &t)
	}
	return append(b, "]}\n"...)
}

// tocEntry describes what was placed, of the entry of.
func (p *placed) tocEntry(of *Entry) tocEntry {
	t := tocEntry{name: of.name(), typ: string(chunk)}
	if e := p.entry; e != nil {
		t.typ, t.size, t.modtime, t.link = string(e.Type), e.Size, timeText(e.Time), e.Target
		t.mode, t.uid, t.gid, t.xattrs = int64(e.Mode), int64(e.UID), int64(e.GID), e.Xattrs
		t.hasDigest, t.digest = e.Type == Regular, p.digest
	}
	if p.frame != nil {
		t.offset, t.inner = p.frame.off, p.inner
	}
	if p.size > 0 {
		t.chunkOffset, t.chunkSize = p.at, p.size
		t.hasChunkDigest, t.chunkDigest = true, p.frame.digest
	}
	return t
}

// exactReader reads a content that must have a certain size.
type exactReader struct {
	r    io.Reader
	left int64
}

func (x *exactReader) Read(p []byte) (int, error) {
	n, err := x.r.Read(p[:min(int64(len(p)), x.left)])
	if x.left -= int64(n); x.left > 0 && err == io.EOF {
		err = fmt.Errorf("its content ends %d bytes too soon; did it change?", x.left)
	} else if x.left == 0 {
		err = nil
	}
	return n, err
}

// end finds out whether there is more.
func (x *exactReader) end() error {
	var b [1]byte
	if n, _ := io.ReadFull(x.r, b[:]); n > 0 {
		return errors.New("its content is longer than its size; did it change?")
	}
	return nil
}

// eof is an empty content.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
