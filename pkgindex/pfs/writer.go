package pfs

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// A file of more than bigFile bytes is big, and cut into chunks of
	// chunkBytes. Others are kept together: where they are alike, a package is
	// much smaller for it.
	bigFile    = 1 << 20
	chunkBytes = 256 << 10

	// maxShared is what files that are not big fill together, and sharedBytes
	// what they are cut into where that costs less than worthCutting.
	maxShared    = 4 << 20
	sharedBytes  = 1 << 20
	worthCutting = 1.03

	maxHeader = 1 << 20 // bytes of one entry's headers

	// DefaultLevel is how hard to compress where nothing is said.
	DefaultLevel = 19
	quickLevel   = 3
)

// Options say how a package file is written. The zero value works. What is
// written depends on the entries, Level and Time only.
type Options struct {
	Level   int   // of zstd, 1 to 22; DefaultLevel if 0
	Time    int64 // modification time of the metadata
	Workers int   // frames compressed at the same time; the number of processors if 0
}

// A Writer writes one package file. Its methods are not to be called at the
// same time. After an error it is of no more use; Close is called all the same.
type Writer struct {
	out     io.Writer
	encoder *zstd.Encoder
	quick   *zstd.Encoder // finds out what cutting costs

	raw   []byte // what is being filled with files that are not big
	cur   *packing
	list  []placed
	whole hash.Hash

	queue   chan *packing // in the order of the file
	slots   chan struct{} // one for each frame that is being compressed
	written chan struct{} // closed when all of queue is
	packers sync.WaitGroup
	ended   bool

	off    int64  // of the next frame; the goroutine that writes has it until written is closed
	frames []part // likewise

	mu  sync.Mutex // guards err
	err error      // of out
}

// packing is a frame on its way, or several that one may be cut into.
type packing struct {
	raw, packed []byte
	cuts        []int         // where in raw a frame may begin
	done        chan struct{} // closed when packed
	parts       []part        // the frames
	digest      [32]byte      // of raw, in a frame of one chunk
}

// part is one frame.
type part struct {
	off          int64 // in the package file
	packed, size int   // bytes there, and unpacked
}

// placed is an entry, or a further chunk of one, and where its content is.
type placed struct {
	entry  *Entry // nil for a further chunk
	digest [32]byte
	frame  *packing // of the content, or nil
	inner  int64    // in it
	at     int64    // of a chunk in the file
	size   int64    // of a chunk; 0 where the whole content is one piece
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
	encoder, err := newEncoder(cmp.Or(o.Level, DefaultLevel), workers)
	if err != nil {
		return nil, err
	}
	quick, err := newEncoder(quickLevel, workers)
	if err != nil {
		return nil, err
	}
	pw := &Writer{
		out: w, encoder: encoder, quick: quick, cur: newPacking(), whole: sha256.New(),
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

func newEncoder(level, workers int) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(workers),
		zstd.WithWindowSize(maxShared))
}

func newPacking() *packing { return &packing{done: make(chan struct{})} }

// write writes the frames as they get ready.
func (w *Writer) write() {
	defer close(w.written)
	for p := range w.queue {
		<-p.done
		for i := range p.parts {
			p.parts[i].off = w.off
			w.off += int64(p.parts[i].packed)
		}
		w.frames = append(w.frames, p.parts...)
		if w.failed() == nil {
			if _, err := w.out.Write(p.packed); err != nil {
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
			}
		}
		p.raw, p.packed, p.cuts = nil, nil, nil
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
		p.pack(w.encoder, w.quick)
		close(p.done)
		<-w.slots
	})
}

// pack compresses the frame, or what it is cut into if quick finds that this
// costs little.
func (p *packing) pack(encoder, quick *zstd.Encoder) {
	ends := p.ends()
	if len(ends) > 1 {
		whole := len(quick.EncodeAll(p.raw, nil))
		if cut := p.encode(quick, ends); float64(cut) >= worthCutting*float64(whole) {
			ends = []int{len(p.raw)}
		}
	}
	p.encode(encoder, ends)
}

// ends returns where the frames end that raw may be cut into.
func (p *packing) ends() (ends []int) {
	for at := 0; at < len(p.raw); {
		at = p.cutBehind(at)
		ends = append(ends, at)
	}
	return ends
}

// encode makes frames that end there, and returns how many bytes they have.
func (p *packing) encode(encoder *zstd.Encoder, ends []int) int {
	p.packed, p.parts = nil, nil
	at := 0
	for _, end := range ends {
		before := len(p.packed)
		p.packed = encoder.EncodeAll(p.raw[at:end], p.packed)
		p.parts = append(p.parts, part{packed: len(p.packed) - before, size: end - at})
		at = end
	}
	return len(p.packed)
}

// cutBehind returns where a frame ends that begins at a byte of raw.
func (p *packing) cutBehind(at int) int {
	end := len(p.raw)
	if end-at <= sharedBytes {
		return end
	}
	for _, c := range p.cuts {
		if c > at && (c-at <= sharedBytes || end == len(p.raw)) {
			end = c
		}
	}
	return end
}

// locate returns the frame that has a byte of raw, and where in the frame.
func (p *packing) locate(at int64) (off, inner int64) {
	for _, f := range p.parts {
		if at < int64(f.size) {
			return f.off, at
		}
		at -= int64(f.size)
	}
	panic("pfs: content in no frame")
}

// cut ends what is being filled.
func (w *Writer) cut() {
	if len(w.raw) == 0 {
		return
	}
	w.cur.raw, w.raw = w.raw, nil
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
	if e.Size <= bigFile {
		need += e.Size + blockSize
	}
	if int64(len(w.raw))+need > maxShared {
		w.cut()
	}
	w.cur.cuts = append(w.cur.cuts, len(w.raw))
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
	if e.Size <= bigFile {
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

// small puts a content beside others.
func (w *Writer) small(p *placed, body io.Reader) error {
	size, at := int(p.entry.Size), len(w.raw)
	w.raw = slices.Grow(w.raw, size)[:at+size]
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
		b = fmt.Appendf(b, "[%d,%d]", f.packed, f.size)
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
		t.offset, t.inner = p.frame.locate(p.inner)
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
