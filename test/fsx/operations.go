package fsx

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// An operation changes file and model alike. It gets a part of the largest
// possible file, and returns the part that it was about.
type operation struct {
	name   string
	weight int // how often it is done
	do     func(f *file, s *side, from, to int) (int, int, error)
}

var operations = []operation{
	{"write", 8, (*file).write},
	{"append", 3, (*file).append},
	{"read", 6, (*file).read},
	{"truncate", 2, (*file).truncate},
	{"truncate by name", 1, (*file).truncateName},
	{"punch", 2, (*file).punch},
	{"open with O_TRUNC", 1, (*file).openTruncated},
	{"close and open", 3, (*file).reopen},
	{"sync", 1, (*file).sync},
	{"rename", 1, (*file).rename},
}

var mappings = []operation{
	{"read a map", 4, (*file).readMap},
	{"read a private map", 2, (*file).readPrivate},
	{"write a map", 4, (*file).writeMap},
}

// fill makes content that is unlike what was there.
func (f *file) fill(n int) []byte {
	p := make([]byte, n)
	state := f.rng.Uint64() | 1
	for i := range p {
		state = state*6364136223846793005 + 1442695040888963407
		p[i] = byte(state >> 56)
	}
	return p
}

func (f *file) write(s *side, from, to int) (int, int, error) {
	p := f.fill(to - from)
	err := writeAll(func(p []byte, at int) (int, error) { return unix.Pwrite(s.fd, p, int64(from+at)) }, p)
	before := len(f.model)
	f.resize(max(before, to))
	copy(f.model[from:], p)
	return min(from, before), to, err
}

func writeAll(write func(p []byte, at int) (int, error), p []byte) error {
	for n := 0; n < len(p); {
		got, err := write(p[n:], n)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		n += got
	}
	return nil
}

// append writes through a descriptor of its own to the true end.
func (f *file) append(s *side, from, to int) (int, int, error) {
	p := f.fill(min(to-from, maxSize-len(f.model)))
	fd, err := unix.Open(f.path(s), unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	err = writeAll(func(p []byte, _ int) (int, error) { return unix.Write(fd, p) }, p)
	from = len(f.model)
	f.model = append(f.model, p...)
	return from, len(f.model), errors.Join(err, unix.Close(fd))
}

// read reads by a call of its own, past the end too.
func (f *file) read(s *side, from, to int) (int, int, error) {
	got := make([]byte, to-from)
	n, err := readAll(s.fd, got, from)
	if err != nil {
		return 0, 0, err
	}
	want := f.model[min(from, len(f.model)):min(to, len(f.model))]
	return from, to, differ(s.dir, got[:n], want, from)
}

func (f *file) truncate(s *side, from, _ int) (int, int, error) {
	err := unix.Ftruncate(s.fd, int64(from))
	before := len(f.model)
	f.resize(from)
	return min(before, from), from, err
}

func (f *file) truncateName(s *side, from, _ int) (int, int, error) {
	err := unix.Truncate(f.path(s), int64(from))
	before := len(f.model)
	f.resize(from)
	return min(before, from), from, err
}

// punch makes a hole, where the file system can; elsewhere the call must change
// nothing.
func (f *file) punch(s *side, from, to int) (int, int, error) {
	err := unix.Fallocate(s.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(from), int64(to-from))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return from, to, nil
	}
	if from < len(f.model) {
		clear(f.model[from:min(to, len(f.model))])
	}
	return from, to, err
}

func (f *file) openTruncated(s *side, from, to int) (int, int, error) {
	fd, err := unix.Open(f.path(s), unix.O_RDWR|unix.O_TRUNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	f.resize(0)
	return 0, 0, unix.Close(fd)
}

func (f *file) reopen(s *side, from, to int) (int, int, error) {
	err := unix.Close(s.fd)
	s.fd = -1
	if err == nil {
		err = f.open(s, 0)
	}
	return from, to, err
}

func (f *file) sync(s *side, from, to int) (int, int, error) { return from, to, unix.Fsync(s.fd) }

// rename gives the file another name. The other side opens it by that: what one
// client has open another may rename.
func (f *file) rename(s *side, from, to int) (int, int, error) {
	old := f.path(s)
	f.renamed++
	f.name = fmt.Sprint("fsx-", f.renamed)
	for i := range f.sides {
		if other := &f.sides[i]; other != s && other.fd >= 0 {
			if err := unix.Close(other.fd); err != nil {
				return 0, 0, err
			}
			other.fd = -1
		}
	}
	return from, to, os.Rename(old, f.path(s))
}

// withMap maps the part of the file that is there.
func (f *file) withMap(s *side, from, to, prot, flags int, do func(p []byte) error) error {
	if to = min(to, len(f.model)); from >= to {
		return nil
	}
	base := from &^ (os.Getpagesize() - 1)
	p, err := unix.Mmap(s.fd, int64(base), to-base, prot, flags)
	if err != nil {
		return err
	}
	err = do(p[from-base:])
	if err == nil && prot&unix.PROT_WRITE != 0 {
		err = unix.Msync(p, unix.MS_SYNC)
	}
	return errors.Join(err, unix.Munmap(p))
}

func (f *file) readMap(s *side, from, to int) (int, int, error) {
	return from, to, f.withMap(s, from, to, unix.PROT_READ, unix.MAP_SHARED, func(p []byte) error {
		return f.sameMap(s, p, from)
	})
}

func (f *file) readPrivate(s *side, from, to int) (int, int, error) {
	return from, to, f.withMap(s, from, to, unix.PROT_READ, unix.MAP_PRIVATE, func(p []byte) error {
		return f.sameMap(s, p, from)
	})
}

func (f *file) sameMap(s *side, p []byte, from int) error {
	if err := differ(s.dir, p, f.model[from:from+len(p)], from); err != nil {
		return fmt.Errorf("mapped: %w", err)
	}
	return nil
}

func (f *file) writeMap(s *side, from, to int) (int, int, error) {
	return from, to, f.withMap(s, from, to, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, func(p []byte) error {
		copy(p, f.fill(len(p)))
		copy(f.model[from:], p)
		return nil
	})
}
