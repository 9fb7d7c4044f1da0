package server

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/server/p9l"
)

// The directory of contexts is what an attach of contexts shows: an entry for
// each context that the caller may attach to and that there is a file for, the
// caller's own, and any other that an attach name stands for and the caller
// walks to, as in package:hello. What the caller may not attach to does not
// exist in it. An entry is made when it is walked to, and is an attach of its
// own then. The entry ctl is the control directory.
//
// # Qids
//
// The qid.path of a merged directory is a hash of its path, so the same in all
// contexts. Here they meet in one mount, and the Linux client, where it caches
// (cache=loose, and later kernels in more modes), has one inode for one qid. A
// directory inode has one place only: found a second time, below another
// context, it is moved there, from under whoever is in it or has it mounted. So
// here the paths of directories are salted with the name of the entry; that
// they are different for two names of one context is on purpose. Files are not
// salted: equal qids stand for equal content, whichever context has them, and
// so the client caches the content of a package's file once for all contexts,
// as it does with a hard link.

// contextsDir is the directory of contexts as one caller sees it.
type contextsDir struct{ listedDir }

func (ctl *control) contextsDir(as visitor) *contextsDir {
	qid := p9.QID{Type: p9.TypeDir, Path: hashOf("contexts", "")} // version 0: never cached
	return &contextsDir{listedDir{ctlMeta: ctlMeta{control: ctl, as: as, qid: qid, mode: ctlDirMode}}}
}

func (d *contextsDir) clone() p9.File { return d.control.contextsDir(d.as) }

func (d *contextsDir) here() (p9.QID, p9.File) { return d.qid, d.clone() }

func (d *contextsDir) WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	return walkSteps(qids, d, names, wait)
}

func (d *contextsDir) Walk(names []string) ([]p9.QID, p9.File, error) { return walkAll(d, names) }

func (d *contextsDir) step(name string) (p9.QID, p9.File, error) {
	if name == ".." {
		return d.qid, d.clone(), nil
	}
	parsed, err := attachname.Parse(name)
	if err != nil || parsed.Kind == attachname.KindContexts {
		return p9.QID{}, nil, syscall.ENOENT
	}
	if parsed.Kind == attachname.KindControl {
		if d.control.admits(d.as.caller) != nil {
			return p9.QID{}, nil, syscall.ENOENT
		}
		top := d.control.dir(d.as, d.here)
		return top.qid, top, nil
	}
	root, err := d.control.attachments.context(parsed, d.as.caller)
	switch {
	case errors.Is(err, context.ErrUnknown), errors.Is(err, context.ErrDenied), errors.Is(err, context.ErrNotInstalled):
		return p9.QID{}, nil, syscall.ENOENT
	case err != nil:
		return p9.QID{}, nil, err
	}
	s := &saltedDir{File: root, salt: d.salt(name), up: d.here}
	qid, _, _, err := s.GetAttr(p9.AttrMask{Mode: true})
	if err != nil {
		root.Close()
		return p9.QID{}, nil, err
	}
	return qid, s, nil
}

// salt is also the path of the qid of the entry of that name. A name that stands
// for something else with each user has each user's.
func (d *contextsDir) salt(name string) uint64 {
	if strings.HasPrefix(name, "+") && d.as.User != nil {
		name = d.as.User.Name + "\x00" + name
	}
	return hashOf("context", name)
}

func (d *contextsDir) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	return d.read(offset, count, func() (all p9.Dirents, err error) {
		list, err := d.control.contexts.List(d.control.packages.Set(), d.as.caller)
		if err != nil {
			return nil, err
		}
		for _, l := range list {
			// What has no meaning cannot be attached to, and system never.
			if _, err := attachname.Parse(l.Context); err != nil || l.State == context.StateError {
				continue
			}
			all = addDirent(all, l.Context, p9.QID{Type: p9.TypeDir, Path: d.salt(l.Context)})
		}
		if d.control.admits(d.as.caller) != nil {
			return all, nil
		}
		return addDirent(all, "ctl", ctlQID("", p9.TypeDir)), nil
	})
}

// A saltedDir is a directory of a context that is reached through the directory
// of contexts: it hands on all but the qids of directories and what is above the
// top.
type saltedDir struct {
	p9.File
	salt  uint64
	depth int                      // 0 is the top of the context
	up    func() (p9.QID, p9.File) // the directory of contexts
}

func (d *saltedDir) salted(qid p9.QID, depth int) p9.QID {
	switch {
	case qid.Type&p9.TypeDir == 0:
	case depth == 0:
		qid.Path = d.salt
	default:
		qid.Path ^= d.salt
	}
	return qid
}

// WalkPart implements PartWalker.
func (d *saltedDir) WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	switch i := slices.Index(names, ".."); {
	case i == 0 && d.depth == 0:
		qid, up := d.up()
		return walkOn(append(qids, qid), up, names[1:], wait)
	case i == 0:
		qids, to, err := d.walk(qids, names[:1], -1, wait)
		if to == nil {
			return qids, nil, err
		}
		return walkOn(qids, to, names[1:], wait)
	case i > 0:
		qids, to, err := d.walk(qids, names[:i], 1, wait)
		if to == nil {
			return qids, nil, err
		}
		return walkOn(qids, to, names[i:], wait)
	}
	return d.walk(qids, names, 1, wait)
}

// walk walks within the context. Each name changes the depth by step.
func (d *saltedDir) walk(qids []p9.QID, names []string, step int, wait bool) ([]p9.QID, p9.File, error) {
	start := len(qids)
	qids, to, err := d.File.(p9l.PartWalker).WalkPart(qids, names, wait)
	depth := d.depth
	for i := start; i < len(qids); i++ {
		depth += step
		qids[i] = d.salted(qids[i], depth)
	}
	if to != nil && (len(names) == 0 || qids[len(qids)-1].Type&p9.TypeDir != 0) {
		to = &saltedDir{File: to, salt: d.salt, depth: depth, up: d.up}
	}
	return qids, to, err
}

// Walk implements p9.File.
func (d *saltedDir) Walk(names []string) ([]p9.QID, p9.File, error) { return walkAll(d, names) }

// Unwrap returns the directory of the context.
func (d *saltedDir) Unwrap() p9.File { return d.File }

// Ready implements the optional interface of that name.
func (d *saltedDir) Ready() bool {
	r, ok := d.File.(p9l.Ready)
	return ok && r.Ready()
}

// Stamp implements Stamper.
func (d *saltedDir) Stamp(wait bool) (uint64, error) {
	s, ok := d.File.(p9l.Stamper)
	if !ok {
		return 0, nil
	}
	return s.Stamp(wait)
}

// DirentType implements DirentTyper.
func (d *saltedDir) DirentType(e *p9.Dirent) uint8 {
	if t, ok := d.File.(p9l.DirentTyper); ok {
		return t.DirentType(e)
	}
	return unix.DT_UNKNOWN
}

// GetAttr implements p9.File.
func (d *saltedDir) GetAttr(mask p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	qid, valid, attr, err := d.File.GetAttr(mask)
	return d.salted(qid, d.depth), valid, attr, err
}

// WalkGetAttr implements p9.File.
func (*saltedDir) WalkGetAttr([]string) ([]p9.QID, p9.File, p9.AttrMask, p9.Attr, error) {
	return nil, nil, p9.AttrMask{}, p9.Attr{}, syscall.ENOSYS
}

// Open implements p9.File.
func (d *saltedDir) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	qid, unit, err := d.File.Open(mode)
	return d.salted(qid, d.depth), unit, err
}

// Readdir implements p9.File.
func (d *saltedDir) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	list, err := d.File.Readdir(offset, count)
	list = slices.Clone(list) // trees share it
	for i := range list {
		list[i].QID = d.salted(list[i].QID, d.depth+1)
	}
	return list, err
}

// Mkdir implements p9.File.
func (d *saltedDir) Mkdir(name string, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.QID, error) {
	qid, err := d.File.Mkdir(name, mode, uid, gid)
	return d.salted(qid, d.depth+1), err
}

// RenameAt implements p9.File.
func (d *saltedDir) RenameAt(name string, to p9.File, newName string) error {
	if s, ok := to.(*saltedDir); ok {
		if s.salt != d.salt {
			return syscall.EXDEV // another context
		}
		to = s.File
	}
	return d.File.RenameAt(name, to, newName)
}

// Rename implements p9.File.
func (d *saltedDir) Rename(to p9.File, newName string) error {
	if s, ok := to.(*saltedDir); ok {
		if s.salt != d.salt {
			return syscall.EXDEV
		}
		to = s.File
	}
	return d.File.Rename(to, newName)
}
