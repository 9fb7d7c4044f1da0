package union

import (
	lru "container/list"
	"sync"

	"golang.org/x/sys/unix"
)

// keptFDs is how many directories of one layer stay open for the next use.
const keptFDs = 128

// dirFDs opens directories of a layer and keeps those open that were used last.
type dirFDs struct {
	root int // the top of the layer

	mu   sync.Mutex // guards what follows, and the fields of each dirFD
	kept map[*upDir]*dirFD
	used lru.List // of *dirFD, the latest first
}

// A dirFD is an open directory of a layer, for use with single names.
type dirFD struct {
	fd   int
	up   *upDir
	refs int
	elem *lru.Element // nil once it is not kept any more
}

// open returns a descriptor of a directory, which the caller gives back by
// close. It runs with the layer's mu locked.
func (d *dirFDs) open(up *upDir) (*dirFD, error) {
	if f := d.use(up); f != nil {
		return f, nil
	}
	path, ok := up.node.path()
	if !ok {
		return nil, unix.ENOENT
	}
	fd, err := openBeneath(d.root, path)
	if err != nil {
		return nil, err
	}
	if f := d.use(up); f != nil { // somebody else was faster
		unix.Close(fd)
		return f, nil
	}
	return d.keep(&dirFD{fd: fd, up: up, refs: 1}), nil
}

// use returns the descriptor of a directory that is open.
func (d *dirFDs) use(up *upDir) *dirFD {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.kept[up]
	if f != nil {
		f.refs++
		d.used.MoveToFront(f.elem)
	}
	return f
}

// keep makes room for a descriptor.
func (d *dirFDs) keep(f *dirFD) *dirFD {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept[f.up] != nil {
		return f // it is closed after its use
	}
	f.elem = d.used.PushFront(f)
	d.kept[f.up] = f
	if d.used.Len() > keptFDs {
		d.remove(d.used.Back().Value.(*dirFD))
	}
	return f
}

// close gives a descriptor back.
func (d *dirFDs) close(f *dirFD) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.refs--
	d.finish(f)
}

// forget closes the descriptor of a directory that is gone.
func (d *dirFDs) forget(up *upDir) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.kept[up]; f != nil {
		d.remove(f)
	}
}

// remove runs with mu locked.
func (d *dirFDs) remove(f *dirFD) {
	d.used.Remove(f.elem)
	f.elem = nil
	delete(d.kept, f.up)
	d.finish(f)
}

// finish closes a descriptor that is neither used nor kept. It runs with mu
// locked.
func (d *dirFDs) finish(f *dirFD) {
	if f.refs == 0 && f.elem == nil {
		unix.Close(f.fd)
	}
}

// closeAll closes what nobody uses.
func (d *dirFDs) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.kept {
		d.remove(f)
	}
}
