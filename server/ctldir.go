package server

import (
	"errors"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"syscall"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/server/p9l"
)

// hashOf makes the path of a qid for what has a name in a space of names.
func hashOf(space, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(space + "\x00" + name))
	return h.Sum64()
}

// A stepper is a directory that is walked name by name.
type stepper interface {
	// step returns what the directory has by that name, which may be "..".
	step(name string) (p9.QID, p9.File, error)
	// clone returns another handle of the directory.
	clone() p9.File
}

// walkSteps is the WalkPart of steppers.
func walkSteps(qids []p9.QID, from stepper, names []string, wait bool) ([]p9.QID, p9.File, error) {
	switch {
	case len(names) == 0:
		return qids, from.clone(), nil
	case !wait:
		return qids, nil, syscall.EAGAIN
	}
	qid, next, err := from.step(strings.Clone(names[0]))
	if err != nil {
		return qids, nil, err
	}
	return walkOn(append(qids, qid), next, names[1:], wait)
}

// walkOn ends a walk that has come to a file and has names left. It gives the
// file back to whom the walk belongs, or closes it.
func walkOn(qids []p9.QID, at p9.File, rest []string, wait bool) ([]p9.QID, p9.File, error) {
	if len(rest) == 0 {
		return qids, at, nil
	}
	defer at.Close()
	w, ok := at.(p9l.PartWalker)
	if !ok {
		return qids, nil, nil // it is no directory
	}
	more, to, err := w.WalkPart(qids, rest, wait)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return qids, nil, err
	case err != nil:
		return qids, nil, nil // the names so far are the answer
	}
	return more, to, nil
}

// walkAll is Walk for files that have WalkPart.
func walkAll(w p9l.PartWalker, names []string) ([]p9.QID, p9.File, error) {
	qids, to, err := w.WalkPart(nil, names, true)
	if err == nil && to == nil {
		err = syscall.ENOENT
		if n := len(qids); n > 0 && qids[n-1].Type&p9.TypeDir == 0 {
			err = syscall.ENOTDIR
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return qids, to, nil
}

// readdir returns the part of all entries that an offset, which counts them,
// asks for.
func readdir(all p9.Dirents, offset uint64, count uint32) p9.Dirents {
	if offset >= uint64(len(all)) {
		return nil
	}
	all = all[offset:]
	return all[:min(uint64(count), uint64(len(all)))]
}

func addDirent(all p9.Dirents, name string, qid p9.QID) p9.Dirents {
	return append(all, p9.Dirent{QID: qid, Type: qid.Type, Offset: uint64(len(all) + 1), Name: name})
}

// listedDir is a directory whose entries are listed when it is read from its
// beginning, so that offsets keep their meaning.
type listedDir struct {
	templatefs.ReadOnlyDir
	p9.DefaultWalkGetAttr
	ctlMeta

	mu  sync.Mutex // guards all
	all p9.Dirents
}

func (d *listedDir) FSync() error { return nil }

func (d *listedDir) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if mode.Mode() != p9.ReadOnly {
		return p9.QID{}, 0, syscall.EISDIR
	}
	return d.qid, 0, nil
}

func (d *listedDir) read(offset uint64, count uint32, list func() (p9.Dirents, error)) (p9.Dirents, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset == 0 {
		all, err := list()
		if err != nil {
			return nil, err
		}
		d.all = all
	}
	return readdir(d.all, offset, count), nil
}

const (
	ctlDirMode = p9.ModeDirectory | 0o555

	// Only the owner reads what administrators see: on a mount that speaks for
	// one user whoever uses it, the client's kernel keeps the others out.
	ctlReadMode  = p9.ModeRegular | 0o400
	ctlWriteMode = p9.ModeRegular | 0o600
)

// ctlEntries are what the control directory holds.
var ctlEntries = []struct {
	name     string
	mode     p9.FileMode
	everyone bool // seen by everyone, not by administrators only
	make     func(ctlMeta) p9.File
}{
	{"conflicts", ctlReadMode, false, textMaker((*control).conflictsText)},
	{"contexts", ctlDirMode, false, newCtlContexts},
	{"ctl", ctlWriteMode, false, newCommandFile},
	{"events", ctlReadMode, false, newEventReader},
	{"metrics", ctlReadMode, false, textMaker((*control).metricsText)},
	{"packages", ctlReadMode, false, textMaker((*control).packagesText)},
	{queryName, p9.ModeRegular | 0o666, true, newQueryFile},
	{"rejected", ctlReadMode, false, textMaker((*control).rejectedText)},
	{"status", ctlReadMode, false, textMaker((*control).statusText)},
}

// ctlDir is the control directory as one visitor sees it.
type ctlDir struct{ listedDir }

// admits fails for callers whom nobody knows where nothing is public: they have nothing
// to ask about.
func (ctl *control) admits(as caller) error {
	if as.Trusted || as.User != nil {
		return nil
	}
	list, err := ctl.contexts.List(ctl.packages.Set(), as)
	if err == nil && len(list) == 0 {
		err = &attachname.Error{Class: context.ErrDenied, Reason: "nobody vouches for the caller, and nothing here is public"}
	}
	return err
}

// dir returns the control directory. up returns the directory above; it
// is nil where there is none.
func (ctl *control) dir(as visitor, up func() (p9.QID, p9.File)) *ctlDir {
	m := ctlMeta{control: ctl, as: as, qid: ctlQID("", p9.TypeDir), mode: ctlDirMode, up: up}
	return &ctlDir{listedDir{ctlMeta: m}}
}

func (d *ctlDir) clone() p9.File { return d.control.dir(d.as, d.up) }

func (d *ctlDir) here() (p9.QID, p9.File) { return d.qid, d.clone() }

func (d *ctlDir) WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	return walkSteps(qids, d, names, wait)
}

func (d *ctlDir) Walk(names []string) ([]p9.QID, p9.File, error) { return walkAll(d, names) }

func (d *ctlDir) step(name string) (p9.QID, p9.File, error) {
	if name == ".." {
		if d.up == nil {
			return d.qid, d.clone(), nil
		}
		qid, up := d.up()
		return qid, up, nil
	}
	for _, e := range ctlEntries {
		if e.name == name && (e.everyone || d.as.admin) {
			m := d.entry(e.name, e.mode)
			return m.qid, e.make(m), nil
		}
	}
	return p9.QID{}, nil, syscall.ENOENT
}

func (d *ctlDir) entry(name string, mode p9.FileMode) ctlMeta {
	kind := p9.QIDType(p9.TypeRegular)
	if mode.IsDir() {
		kind = p9.TypeDir
	}
	m := d.ctlMeta
	m.qid, m.mode, m.up = ctlQID(name, kind), mode, d.here
	return m
}

func (d *ctlDir) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	return d.read(offset, count, func() (all p9.Dirents, err error) {
		for _, e := range ctlEntries {
			if e.everyone || d.as.admin {
				all = addDirent(all, e.name, d.entry(e.name, e.mode).qid)
			}
		}
		return all, nil
	})
}

// ctlContexts is the directory of the control directory that explains contexts:
// those that there are files for, and any other that is walked to.
type ctlContexts struct{ listedDir }

func newCtlContexts(m ctlMeta) p9.File { return &ctlContexts{listedDir{ctlMeta: m}} }

func (d *ctlContexts) clone() p9.File { return newCtlContexts(d.ctlMeta) }

func (d *ctlContexts) WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	return walkSteps(qids, d, names, wait)
}

func (d *ctlContexts) Walk(names []string) ([]p9.QID, p9.File, error) { return walkAll(d, names) }

func (d *ctlContexts) entry(name string) ctlMeta {
	m := d.ctlMeta
	m.qid, m.mode, m.up = ctlQID("contexts/"+name, p9.TypeRegular), ctlReadMode, nil
	return m
}

// step finds the context of that name. One that is broken or does not resolve
// is there: its file tells why.
func (d *ctlContexts) step(name string) (p9.QID, p9.File, error) {
	if name == ".." {
		qid, up := d.up()
		return qid, up, nil
	}
	parsed, err := attachname.Parse(name)
	if err != nil || !isContext(parsed.Kind) || parsed.Kind == attachname.KindOwn {
		return p9.QID{}, nil, syscall.ENOENT
	}
	_, err = d.control.contexts.Resolve(d.control.packages.Set(), parsed, d.as.everything())
	switch {
	case errors.Is(err, context.ErrUnknown), errors.Is(err, context.ErrNotInstalled):
		return p9.QID{}, nil, syscall.ENOENT
	case err != nil && reasonOf(err) == "":
		return p9.QID{}, nil, err
	}
	m := d.entry(name)
	explain := textMaker(func(ctl *control, as visitor, w io.Writer) error { return ctl.contextText(as, parsed, w) })
	return m.qid, explain(m), nil
}

// isContext says whether an attach name of that kind stands for a context.
func isContext(k attachname.Kind) bool {
	return k != attachname.KindControl && k != attachname.KindContexts
}

func (d *ctlContexts) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	return d.read(offset, count, func() (all p9.Dirents, err error) {
		list, err := d.control.contexts.List(d.control.packages.Set(), d.as.everything())
		if err != nil {
			return nil, err
		}
		for _, l := range list {
			if _, err := attachname.Parse(l.Context); err == nil {
				all = addDirent(all, l.Context, d.entry(l.Context).qid)
			}
		}
		return all, nil
	})
}
