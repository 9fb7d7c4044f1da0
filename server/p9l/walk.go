package p9l

import (
	"strings"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// checkName refuses what is not the name of a directory entry.
func checkName(name string) error {
	switch {
	case len(name) > wire.MaxName:
		return linux.ENAMETOOLONG
	case name == "" || name == "." || name == "..":
		return linux.EINVAL
	}
	for i := range len(name) {
		if name[i] == '/' || name[i] == 0 {
			return linux.EINVAL
		}
	}
	return nil
}

func twalk(r *request) error {
	d := wire.Decode(r.body)
	id, newID, n := d.U32(), d.U32(), int(d.U16())
	if r.scratch == nil {
		r.scratch = new(scratch)
	}
	names := r.scratch.names[:0]
	for i := 0; i < n && !d.Short(); i++ {
		if name := d.View(); i < wire.MaxWalk {
			names = append(names, name)
		}
	}
	switch {
	case !d.End():
		return errMalformed
	case n > wire.MaxWalk:
		return linux.EINVAL
	}
	from, err := r.findWalk(id, newID)
	if err != nil {
		return err
	}
	defer r.drop(from)
	qids, file, err := r.walk(from, names)
	if err != nil {
		return err
	}
	if file != nil {
		f := &fid{file: file, qid: from.qid, uid: from.uid}
		if len(qids) > 0 {
			f.qid = qids[len(qids)-1]
		}
		if newID == id {
			err = r.replace(id, from, f)
		} else {
			err = r.insert(newID, f)
		}
		if err != nil {
			r.closeFile(file)
			return err
		}
	}
	r.begin(2 + wire.MaxWalk*wire.QIDSize)
	r.out = le.AppendUint16(r.out, uint16(len(qids)))
	for _, q := range qids {
		r.out = wire.AppendQID(r.out, q)
	}
	return nil
}

// findWalk is find for a walk that makes newID.
func (r *request) findWalk(id, newID uint32) (*fid, error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f := r.s.fids[id]
	if f == nil || f.xattr != nil {
		return nil, linux.EBADF
	}
	if newID == id {
		if f.state != fidClosed {
			return nil, linux.EBUSY
		}
	} else if err := r.freeLocked(newID); err != nil {
		return nil, err
	}
	f.refs.Add(1)
	return f, nil
}

// walk walks as far as there is something. The file is nil if that is not all
// the way. It fails only where the first name does.
func (r *request) walk(from *fid, names []string) ([]p9.QID, p9.File, error) {
	walker, parts := from.file.(PartWalker)
	good := len(names)
	for i, name := range names {
		err := checkName(name)
		if parts && name == ".." {
			err = nil
		}
		if err != nil && i == 0 {
			return nil, nil, err
		}
		if err != nil {
			good = i
			break
		}
	}
	if good > 0 && !isDir(from.qid) {
		return nil, nil, linux.ENOTDIR
	}
	var qids []p9.QID
	var file p9.File
	var err error
	switch {
	case parts:
		qids, file, err = walker.WalkPart(r.scratch.qids[:0], names[:good], r.wait)
		if !r.wait && mustWait(err) {
			err = errLater
		}
	case !r.wait:
		return nil, nil, errLater
	default:
		qids, file, err = walkEach(r.scratch.qids[:0], from.file, names[:good])
	}
	if err != nil {
		return nil, nil, err
	}
	if file != nil && good < len(names) {
		r.closeFile(file)
		file = nil
	}
	if len(qids) > good || file != nil && len(qids) != good {
		panic("walk: number of qids does not fit the number of names")
	}
	return qids, file, nil
}

// walkEach walks name by name, for files that cannot do it at once.
func walkEach(qids []p9.QID, from File, names []string) ([]p9.QID, p9.File, error) {
	if len(names) == 0 {
		_, file, err := from.Walk(nil)
		return qids, file, err
	}
	at, file := from, p9.File(nil)
	for i := range names {
		if i > 0 && !isDir(qids[i-1]) {
			at.Close()
			return qids, nil, nil
		}
		q, next, err := at.Walk([]string{strings.Clone(names[i])})
		if at != from {
			at.Close()
		}
		if err == nil && len(q) != 1 {
			next.Close()
			err = linux.EIO
		}
		if err != nil {
			if i == 0 {
				return nil, nil, err
			}
			return qids, nil, nil
		}
		qids, at, file = append(qids, q[0]), next, next
	}
	return qids, file, nil
}

// tclunk forgets a fid. Its file is closed when the last request that uses it
// has ended. A value that was written after Txattrcreate is set now.
func tclunk(r *request) error {
	d := wire.Decode(r.body)
	id := d.U32()
	if !d.End() {
		return errMalformed
	}
	f, x, err := r.findAny(id)
	if err != nil {
		return err
	}
	defer r.drop(f)
	if f.file != nil && !r.mayCall(f.file) || x.mustCommit() && !r.wait {
		return errLater
	}
	x, ok := r.remove(id, f)
	if !ok {
		return linux.EBADF
	}
	f.refs.Add(-1)
	if x.mustCommit() {
		err = r.commitXattr(f.file, x)
	}
	if err != nil {
		return err
	}
	r.begin(0)
	return nil
}

// tremove removes a file and clunks its fid, the latter in any case.
func tremove(r *request) error {
	d := wire.Decode(r.body)
	id := d.U32()
	if !d.End() {
		return errMalformed
	}
	if !r.wait {
		return errLater
	}
	f, _, err := r.findAny(id)
	if err != nil {
		return err
	}
	defer r.drop(f)
	x, ok := r.remove(id, f)
	if !ok {
		return linux.EBADF
	}
	f.refs.Add(-1)
	if x != nil {
		return linux.EBADF
	}
	remover, ok := f.file.(Remover)
	if !ok {
		return linux.EOPNOTSUPP
	}
	if err := remover.Remove(); err != nil {
		return err
	}
	r.begin(0)
	return nil
}
