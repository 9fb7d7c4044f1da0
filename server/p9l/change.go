package p9l

import (
	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// The messages that change directories go to the file as they are; what a
// read-only tree answers is the file's business. All of them may block.

// findDir is find for a directory in which name is to be made or removed.
func (r *request) findDir(id uint32, name string) (*fid, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f, err := r.find(id)
	if err == nil && !isDir(f.qid) {
		r.drop(f)
		return nil, linux.ENOTDIR
	}
	return f, err
}

// make runs a call that makes name in a directory, and replies with its qid.
func (r *request) make(d *wire.Decoder, id uint32, name string, call func(dir *fid) (p9.QID, error)) error {
	if !d.End() {
		return errMalformed
	}
	if !r.wait {
		return errLater
	}
	dir, err := r.findDir(id, name)
	if err != nil {
		return err
	}
	defer r.drop(dir)
	qid, err := call(dir)
	if err != nil {
		return err
	}
	r.begin(wire.QIDSize)
	r.out = wire.AppendQID(r.out, qid)
	return nil
}

func tmkdir(r *request) error {
	d := wire.Decode(r.body)
	id, name, mode, gid := d.U32(), d.Str(), d.U32(), d.U32()
	return r.make(&d, id, name, func(dir *fid) (p9.QID, error) {
		return dir.file.Mkdir(name, p9.FileMode(mode&07777), p9.UID(dir.uid), p9.GID(gid))
	})
}

func tsymlink(r *request) error {
	d := wire.Decode(r.body)
	id, name, target, gid := d.U32(), d.Str(), d.Str(), d.U32()
	return r.make(&d, id, name, func(dir *fid) (p9.QID, error) {
		return dir.file.Symlink(target, name, p9.UID(dir.uid), p9.GID(gid))
	})
}

func tmknod(r *request) error {
	d := wire.Decode(r.body)
	id, name, mode, major, minor, gid := d.U32(), d.Str(), d.U32(), d.U32(), d.U32(), d.U32()
	return r.make(&d, id, name, func(dir *fid) (p9.QID, error) {
		return dir.file.Mknod(name, p9.FileMode(mode), major, minor, p9.UID(dir.uid), p9.GID(gid))
	})
}

// change runs a call on name in a directory and on another fid.
func (r *request) change(d *wire.Decoder, id uint32, name string, other uint32, call func(dir, other *fid) error) error {
	if !d.End() {
		return errMalformed
	}
	if !r.wait {
		return errLater
	}
	if err := checkName(name); err != nil {
		return err
	}
	f, err := r.find(other)
	if err != nil {
		return err
	}
	defer r.drop(f)
	dir, err := r.findDir(id, name)
	if err != nil {
		return err
	}
	defer r.drop(dir)
	if err := call(dir, f); err != nil {
		return err
	}
	r.begin(0)
	return nil
}

func tlink(r *request) error {
	d := wire.Decode(r.body)
	id, target, name := d.U32(), d.U32(), d.Str()
	return r.change(&d, id, name, target, func(dir, f *fid) error {
		return dir.file.Link(f.argument(), name)
	})
}

func trename(r *request) error {
	d := wire.Decode(r.body)
	id, dir, name := d.U32(), d.U32(), d.Str()
	return r.change(&d, dir, name, id, func(dir, f *fid) error {
		return f.file.Rename(dir.argument(), name)
	})
}

func trenameat(r *request) error {
	d := wire.Decode(r.body)
	id, name, newID, newName := d.U32(), d.Str(), d.U32(), d.Str()
	if err := checkName(newName); d.End() && err != nil {
		return err
	}
	return r.change(&d, id, name, newID, func(dir, to *fid) error {
		if !isDir(to.qid) {
			return linux.ENOTDIR
		}
		return dir.file.RenameAt(name, to.argument(), newName)
	})
}

func tunlinkat(r *request) error {
	d := wire.Decode(r.body)
	id, name, flags := d.U32(), d.Str(), d.U32()
	return r.change(&d, id, name, id, func(dir, _ *fid) error {
		return dir.file.UnlinkAt(name, flags)
	})
}
