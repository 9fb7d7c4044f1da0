package server

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"sync"
	"syscall"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/p9"
)

// The control directory is what an attach of ctl shows. It holds the file
// query; see Query.

const (
	queryName = "query"

	// maxQuery is how long a query may be, in bytes.
	maxQuery = 64 << 10
)

func ctlQID(name string, kind p9.QIDType) p9.QID {
	h := fnv.New64a()
	h.Write([]byte("ctl\x00" + name))
	return p9.QID{Type: kind, Path: h.Sum64()} // version 0: never cached
}

// ctlDir is the control directory as one caller sees it.
type ctlDir struct {
	templatefs.ReadOnlyDir
	p9.DefaultWalkGetAttr

	fs *FS
	as caller
}

func (d *ctlDir) Walk(names []string) ([]p9.QID, p9.File, error) {
	qid := ctlQID("", p9.TypeDir)
	switch {
	case len(names) == 0:
		return nil, &ctlDir{fs: d.fs, as: d.as}, nil
	case len(names) == 1 && names[0] == "..":
		return []p9.QID{qid}, &ctlDir{fs: d.fs, as: d.as}, nil
	case names[0] != queryName:
		return nil, nil, syscall.ENOENT
	case len(names) > 1:
		return nil, nil, syscall.ENOTDIR
	}
	return []p9.QID{ctlQID(queryName, p9.TypeRegular)}, &queryFile{fs: d.fs, as: d.as}, nil
}

func (d *ctlDir) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	return ctlQID("", p9.TypeDir), p9.AttrMaskAll, d.fs.ctlAttr(p9.ModeDirectory | 0o555), nil
}

func (fs *FS) ctlAttr(mode p9.FileMode) p9.Attr {
	sec, nsec := uint64(fs.started.Unix()), uint64(fs.started.Nanosecond())
	return p9.Attr{
		Mode: mode, NLink: 1, BlockSize: 4096,
		ATimeSeconds: sec, ATimeNanoSeconds: nsec, MTimeSeconds: sec, MTimeNanoSeconds: nsec,
		CTimeSeconds: sec, CTimeNanoSeconds: nsec,
	}
}

func (d *ctlDir) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if mode.Mode() != p9.ReadOnly {
		return p9.QID{}, 0, syscall.EISDIR
	}
	return ctlQID("", p9.TypeDir), 0, nil
}

func (d *ctlDir) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	if offset > 0 || count == 0 {
		return nil, nil
	}
	return p9.Dirents{{QID: ctlQID(queryName, p9.TypeRegular), Offset: 1, Name: queryName}}, nil
}

func (*ctlDir) Close() error                 { return nil }
func (d *ctlDir) StatFS() (p9.FSStat, error) { return ctlStatFS(), nil }

func ctlStatFS() p9.FSStat {
	return p9.FSStat{Type: 0x01021997, BlockSize: 4096, NameLength: 255}
}

func (*ctlDir) GetXattr(string) ([]byte, error) { return nil, syscall.ENODATA }
func (*ctlDir) ListXattrs() ([]string, error)   { return nil, nil }

// queryFile answers one query each time that it is opened.
type queryFile struct {
	templatefs.ReadOnlyFile
	p9.DefaultWalkGetAttr

	fs *FS
	as caller

	mu       sync.Mutex // guards what follows
	question []byte
	answer   []byte // nil until first read
}

func (f *queryFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return nil, nil, syscall.ENOTDIR
	}
	return nil, &queryFile{fs: f.fs, as: f.as}, nil
}

func (f *queryFile) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	return ctlQID(queryName, p9.TypeRegular), p9.AttrMaskAll, f.fs.ctlAttr(p9.ModeRegular | 0o666), nil
}

// SetAttr lets clients truncate, as a shell does before it writes.
func (f *queryFile) SetAttr(valid p9.SetAttrMask, _ p9.SetAttr) error {
	if valid.Permissions || valid.UID || valid.GID {
		return syscall.EPERM
	}
	return nil
}

func (f *queryFile) Open(p9.OpenFlags) (p9.QID, uint32, error) {
	return ctlQID(queryName, p9.TypeRegular), 0, nil
}

// WriteAt takes a part of the query. A write after the first read begins the
// next query.
func (f *queryFile) WriteAt(p []byte, _ int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer != nil {
		f.question, f.answer = nil, nil
	}
	if len(f.question)+len(p) > maxQuery {
		return 0, syscall.EMSGSIZE
	}
	f.question = append(f.question, p...)
	return len(p), nil
}

func (f *queryFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer == nil {
		f.answer = f.fs.answer(f.as, f.question)
	}
	if off < 0 {
		return 0, syscall.EINVAL
	}
	if off >= int64(len(f.answer)) {
		return 0, io.EOF
	}
	return copy(p, f.answer[off:]), nil
}

func (f *queryFile) FSync() error                  { return nil }
func (f *queryFile) Close() error                  { return nil }
func (f *queryFile) StatFS() (p9.FSStat, error)    { return ctlStatFS(), nil }
func (*queryFile) GetXattr(string) ([]byte, error) { return nil, syscall.ENODATA }
func (*queryFile) ListXattrs() ([]string, error)   { return nil, nil }

// answer runs one query.
func (fs *FS) answer(as caller, question []byte) []byte {
	var a Answer
	result, err := fs.runQuery(as, question)
	if err == nil {
		a.Result, err = json.Marshal(result)
	}
	if err != nil {
		a = Answer{Error: err.Error(), Errno: uint32(Errno(err))}
	}
	out, err := json.Marshal(a)
	if err != nil {
		panic("query: an Answer does not encode: " + err.Error())
	}
	return append(out, '\n')
}
