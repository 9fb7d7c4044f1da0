package fsx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSize is the size that the file does not grow beyond, in bytes.
const maxSize = 256 << 10

// A Run is a number of operations on a file in a directory. It makes the file
// and, if all went well, removes it.
type Run struct {
	Seed  uint64
	Count int    // of operations
	Dir   string // where the file is made
	Other string // the same directory through another mount; empty for none
	Maps  bool   // memory maps see what calls change at once, and the reverse

	// Between, if not nil, is called after each operation.
	Between func(op int)
}

// Seed returns the number in the environment's FSX_SEED, or a random one.
func Seed() (uint64, error) {
	text := os.Getenv("FSX_SEED")
	if text == "" {
		return rand.Uint64(), nil
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("FSX_SEED: %w", err)
	}
	return seed, nil
}

// Do does the operations. An error says the seed, what was done last, and where
// file and model differ.
func (r Run) Do() error {
	f := &file{rng: rand.New(rand.NewPCG(r.Seed, 0)), name: "fsx", maps: r.Maps}
	f.sides = append(f.sides, side{dir: r.Dir, fd: -1})
	if r.Other != "" {
		f.sides = append(f.sides, side{dir: r.Other, fd: -1})
	}
	defer f.close()
	if err := f.open(&f.sides[0], unix.O_CREAT|unix.O_EXCL); err != nil {
		return err
	}
	for op := range r.Count {
		if err := f.step(); err != nil {
			return fmt.Errorf("seed %d, operation %d: %w; the last ones were\n%s", r.Seed, op, err, strings.Join(f.log, "\n"))
		}
		if r.Between != nil {
			r.Between(op)
		}
	}
	for i := range f.sides {
		if err := f.compare(&f.sides[i], 0, len(f.model)); err != nil {
			return fmt.Errorf("seed %d, at the end: %w", r.Seed, err)
		}
	}
	return os.Remove(filepath.Join(r.Dir, f.name))
}

// A side is the file through one mount.
type side struct {
	dir string
	fd  int // -1 while it is not open
}

// A file is the file under test and what must be in it.
type file struct {
	rng     *rand.Rand
	name    string // new with each renaming
	renamed int
	sides   []side
	maps    bool
	model   []byte
	log     []string // of the last operations
}

// logged is how many operations an error tells of.
const logged = 20

func (f *file) note(format string, args ...any) {
	if len(f.log) == logged {
		f.log = f.log[1:]
	}
	f.log = append(f.log, "  "+fmt.Sprintf(format, args...))
}

func (f *file) path(s *side) string { return filepath.Join(s.dir, f.name) }

// open opens the file on a side, unless it is open there.
func (f *file) open(s *side, flags int) (err error) {
	if s.fd < 0 {
		if s.fd, err = unix.Open(f.path(s), unix.O_RDWR|unix.O_CLOEXEC|flags, 0o644); err != nil {
			s.fd = -1
			err = fmt.Errorf("open: %w", err)
		}
	}
	return err
}

// close closes what is open.
func (f *file) close() {
	for i := range f.sides {
		if s := &f.sides[i]; s.fd >= 0 {
			unix.Close(s.fd)
			s.fd = -1
		}
	}
}

// step does an operation on one side and compares on all.
func (f *file) step() error {
	at := f.rng.IntN(len(f.sides))
	s := &f.sides[at]
	if err := f.open(s, 0); err != nil {
		return err
	}
	from, to, err := f.operate(at, s)
	if err != nil {
		return err
	}
	for i := range f.sides {
		s := &f.sides[(at+i)%len(f.sides)]
		if err := f.open(s, 0); err != nil {
			return err
		}
		// What is around may have come to harm as well.
		if err := f.compare(s, from-8192, to+8192); err != nil {
			return err
		}
	}
	return nil
}

// operate does an operation on a side, in file and model, and returns the part
// of the file that it was about.
func (f *file) operate(at int, s *side) (from, to int, err error) {
	ops := operations
	if f.maps {
		ops = append(ops[:len(ops):len(ops)], mappings...)
	}
	total := 0
	for _, o := range ops {
		total += o.weight
	}
	n := f.rng.IntN(total)
	for _, o := range ops {
		if n -= o.weight; n < 0 {
			from, to = f.part()
			f.note("%d: %s %d to %d of %d", at, o.name, from, to, len(f.model))
			if from, to, err = o.do(f, s, from, to); err != nil {
				err = fmt.Errorf("%s: %w", o.name, err)
			}
			return from, to, err
		}
	}
	panic("fsx: no operation")
}

// part picks a part of the largest possible file: small ones, ones at the
// borders of pages, and large ones.
func (f *file) part() (from, to int) {
	from, n := f.rng.IntN(maxSize), 1+f.rng.IntN(1<<f.rng.IntN(18))
	switch f.rng.IntN(4) {
	case 0:
		from &^= 4095
	case 1:
		from = len(f.model) // at the end
	case 2:
		n = (n + 4095) &^ 4095
	}
	from = min(from, maxSize-1)
	return from, min(from+n, maxSize)
}

// resize sets the size of the model. What is new is zero.
func (f *file) resize(size int) {
	if size <= len(f.model) {
		f.model = f.model[:size:size]
	} else {
		f.model = append(f.model, make([]byte, size-len(f.model))...)
	}
}

// compare compares size, and content from one offset to another, with the model.
func (f *file) compare(s *side, from, to int) error {
	var byFD, byName unix.Stat_t
	if err := unix.Fstat(s.fd, &byFD); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	if err := unix.Stat(f.path(s), &byName); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if want := int64(len(f.model)); byFD.Size != want || byName.Size != want {
		return fmt.Errorf("in %s the size is %d by descriptor and %d by name, want %d", s.dir, byFD.Size, byName.Size, want)
	}
	from, to = max(min(from, len(f.model)), 0), max(min(to, len(f.model)), 0)
	got := make([]byte, to-from+1)
	n, err := readAll(s.fd, got, from)
	if err != nil {
		return err
	}
	if to < len(f.model) {
		n, to = min(n, to-from), min(from+n, to)
	}
	return differ(s.dir, got[:n], f.model[from:max(to, from)], from)
}

// readAll reads until buf is full or the file ends.
func readAll(fd int, buf []byte, from int) (n int, err error) {
	for n < len(buf) {
		got, err := unix.Pread(fd, buf[n:], int64(from+n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || got == 0 {
			return n, err
		}
		n += got
	}
	return n, nil
}

// differ says where two pieces that begin at an offset differ.
func differ(where string, got, want []byte, from int) error {
	if bytes.Equal(got, want) {
		return nil
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Errorf("in %s byte %d is %#x, want %#x", where, from+i, got[i], want[i])
		}
	}
	return fmt.Errorf("in %s %d bytes are there from %d on, want %d", where, len(got), from, len(want))
}
