package p9l

import (
	"io"
	"math"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

const (
	direntSize = wire.QIDSize + 8 + 1 + 2 // of an entry, without its name

	// direntBatch is how many entries a directory is asked for at once, and
	// readdirMost how many bytes a reply has at most: the client asks again.
	direntBatch = 256
	readdirMost = 64 << 10

	// dotEntries is how much the engine's "." and "..", which have the
	// offsets 1 and 2, move those of the directory.
	dotEntries = 2
)

func treaddir(r *request) error {
	d := wire.Decode(r.body)
	id, offset, count := d.U32(), d.U64(), d.U32()
	return r.onOpen(&d, id, p9.ReadOnly, func(f *fid, x *xattr) error {
		switch {
		case x != nil:
			return linux.EBADF
		case !isDir(f.qid):
			return linux.ENOTDIR
		case !r.mayCall(f.file):
			return errLater
		}
		l := rreaddir{r: r, f: f, room: int(min(count, r.s.msize-wire.IOHeader, readdirMost))}
		l.typer, _ = f.file.(DirentTyper)
		return l.run(offset)
	})
}

// An rreaddir is one Rreaddir in the making.
type rreaddir struct {
	r     *request
	f     *fid
	typer DirentTyper
	room  int // bytes left
	start int // of the data in r.out; 0 before the reply is begun
}

func (l *rreaddir) run(offset uint64) error {
	from := uint64(0)
	if offset >= dotEntries {
		from = offset - dotEntries
	}
	batch, err := l.next(from)
	if err != nil {
		return err
	}
	size := l.room
	if len(batch) < direntBatch { // all there is, so what it takes is known
		size = dotEntries*direntSize + len("...")
		for i := range batch {
			size += direntSize + len(batch[i].Name)
		}
	}
	l.r.begin(4 + min(size, l.room))
	l.start = len(l.r.out) + 4
	l.r.out = append(l.r.out, 0, 0, 0, 0)
	full := l.dots(offset)
	for !full && len(batch) > 0 {
		for i := range batch {
			if full, err = l.add(&batch[i]); full || err != nil {
				break
			}
		}
		if full || err != nil || len(batch) < direntBatch {
			break
		}
		if batch, err = l.next(batch[len(batch)-1].Offset); err != nil {
			break
		}
	}
	n := len(l.r.out) - l.start
	switch {
	case err != nil && n == 0:
		return err
	case full && n == 0:
		return linux.EINVAL // the count is too small for one entry
	}
	le.PutUint32(l.r.out[l.start-4:], uint32(n))
	return nil
}

// next asks the directory for entries. None and no error is the end.
func (l *rreaddir) next(from uint64) (p9.Dirents, error) {
	batch, err := l.f.file.Readdir(from, direntBatch)
	if err == io.EOF || len(batch) > 0 {
		err = nil
	}
	return batch, err
}

// dots adds "." and ".." where offset is before them, and tells whether the
// reply is full.
func (l *rreaddir) dots(offset uint64) (full bool) {
	if offset < 1 {
		if full = l.put(l.f.qid, 1, unix.DT_DIR, "."); full {
			return true
		}
	}
	if offset < 2 {
		full = l.put(l.parent(), 2, unix.DT_DIR, "..")
	}
	return full
}

// parent is the qid for "..": that of the directory itself where its parent is
// not to be had without waiting.
func (l *rreaddir) parent() p9.QID {
	walker, ok := l.f.file.(PartWalker)
	if !ok {
		return l.f.qid
	}
	var qids [1]p9.QID
	got, file, err := walker.WalkPart(qids[:0], []string{".."}, false)
	if err != nil || file == nil || len(got) != 1 {
		return l.f.qid
	}
	l.r.closeFile(file)
	return got[0]
}

func (l *rreaddir) add(e *p9.Dirent) (full bool, err error) {
	if len(e.Name) > wire.MaxName || e.Offset > math.MaxUint64-dotEntries {
		return false, linux.EIO
	}
	typ := direntType(e.QID.Type)
	if l.typer != nil && typ != unix.DT_DIR && typ != unix.DT_LNK {
		if t := l.typer.DirentType(e); t != unix.DT_UNKNOWN {
			typ = t
		}
	}
	return l.put(e.QID, e.Offset+dotEntries, typ, e.Name), nil
}

func (l *rreaddir) put(q p9.QID, offset uint64, typ uint8, name string) (full bool) {
	size := direntSize + len(name)
	if size > l.room {
		return true
	}
	l.room -= size
	b := wire.AppendQID(l.r.out, q)
	b = append(le.AppendUint64(b, offset), typ)
	l.r.out = wire.AppendStr(b, name)
	return false
}
