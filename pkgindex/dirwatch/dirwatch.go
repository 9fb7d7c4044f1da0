// Package dirwatch tells which files of some directories were completed, begun
// or removed.
//
// A file is complete when it is renamed in, linked in, or closed after writing;
// until then it has only begun. A Watcher is told of directories, not of trees.
// It reports what happened after New returned; the caller reads the directories
// itself, after New, to find what was there. Close ends a Next that waits.
//
// The events of inotify are parsed by hand because fsnotify does not tell when a
// writer closed a file, and before that a file must not be read.
package dirwatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Op says what happened to a file.
type Op uint8

const (
	Begun    Op = iota // made, not yet complete
	Complete           // to be read (again)
	Gone               // removed, or renamed away
	Rescan             // events were lost: read the whole directory; Name is empty
	Lost               // the directory itself is gone; Name is empty
)

// An Event is the last thing that happened to one name of one directory in a
// batch.
type Event struct {
	Dir  string // as it was given to New or Add
	Name string
	Op   Op
}

// A Watcher follows directories.
type Watcher struct {
	f   *os.File // of inotify
	fd  int      // f's; asking f for it would make it blocking
	buf [64 << 10]byte

	mu   sync.Mutex // guards dirs
	dirs map[int32]string
}

const mask = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// New watches dirs.
func New(dirs ...string) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w (see the limit in /proc/sys/fs/inotify/max_user_instances)", err)
	}
	w := &Watcher{f: os.NewFile(uintptr(fd), "inotify"), fd: fd, dirs: make(map[int32]string)}
	for _, dir := range dirs {
		if err := w.Add(dir); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Add watches one more directory, or one again that was lost.
func (w *Watcher) Add(dir string) error {
	wd, err := unix.InotifyAddWatch(w.fd, dir, mask)
	if err != nil {
		return &os.PathError{Op: "watch", Path: dir, Err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirs[int32(wd)] = dir
	return nil
}

// Close ends the watching.
func (w *Watcher) Close() error { return w.f.Close() }

// Next waits for something to happen and returns it, one event a name, in the
// order of their last events. It fails with os.ErrClosed after Close.
func (w *Watcher) Next() ([]Event, error) {
	for {
		n, err := w.f.Read(w.buf[:])
		if err != nil {
			return nil, err
		}
		events, err := w.parse(w.buf[:n])
		if err != nil || len(events) > 0 {
			return events, err
		}
	}
}

func (w *Watcher) parse(b []byte) ([]Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var order []Event
	last := make(map[[2]string]int) // index into order, of the newest event
	add := func(e Event) {
		key := [2]string{e.Dir, e.Name}
		if i, ok := last[key]; ok {
			if e.Op == Begun && order[i].Op == Complete {
				return // a hard link: complete when it was made
			}
			order[i].Dir = ""
		}
		last[key] = len(order)
		order = append(order, e)
	}
	for len(b) > 0 {
		if len(b) < unix.SizeofInotifyEvent {
			return nil, errors.New("inotify: short event")
		}
		wd := int32(binary.NativeEndian.Uint32(b))
		bits := binary.NativeEndian.Uint32(b[4:])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if size > len(b) {
			return nil, errors.New("inotify: short event")
		}
		name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:size], []byte{0})
		b = b[size:]
		if bits&unix.IN_Q_OVERFLOW != 0 {
			for _, dir := range w.dirs {
				add(Event{Dir: dir, Op: Rescan})
			}
			continue
		}
		dir, ok := w.dirs[wd]
		if !ok || bits&unix.IN_ISDIR != 0 {
			continue
		}
		if op, ok := operation(dir, string(name), bits); ok {
			add(Event{dir, string(name), op})
		}
		if bits&unix.IN_IGNORED != 0 {
			delete(w.dirs, wd)
		}
	}
	events := order[:0]
	for _, e := range order {
		if e.Dir != "" {
			events = append(events, e)
		}
	}
	return events, nil
}

func operation(dir, name string, bits uint32) (Op, bool) {
	switch {
	case bits&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0:
		return Lost, true
	case bits&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0:
		return Gone, true
	case bits&(unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO) != 0:
		return Complete, true
	case bits&unix.IN_CREATE != 0:
		// A link has no writer that would close it.
		info, err := os.Lstat(filepath.Join(dir, name))
		if err == nil && (info.Mode()&os.ModeSymlink != 0 || links(info) > 1) {
			return Complete, true
		}
		return Begun, true
	}
	return 0, false
}

func links(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}
