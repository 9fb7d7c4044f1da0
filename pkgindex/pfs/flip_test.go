package pfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// flips is how many single bytes are changed.
const flips = 10_000

// TestFlips changes single bytes of a package file at random. It is refused, or
// reading what the byte belongs to fails, or is what was written; and all else
// stays readable.
func TestFlips(t *testing.T) {
	list := samples()
	data := write(t, Options{}, list)
	want := contentsOf(list)
	whole := open(t, data)
	if len(data) < 300<<10 {
		t.Fatalf("the package file has %d bytes only", len(data))
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var refused, failed, harmless int
	for worker := range runtime.NumCPU() {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			mine := bytes.Clone(data)
			for i := worker; i < flips; i += runtime.NumCPU() {
				at, bits := random.IntN(len(data)), byte(1+random.IntN(255))
				mine[at] ^= bits
				err := readFlipped(mine, want, whole, at, i%16 == 0)
				mine[at] ^= bits
				mu.Lock()
				switch {
				case err == nil:
					harmless++
				case errors.Is(err, syscall.EIO):
					failed++
				case errors.Is(err, errWrong):
					t.Errorf("byte %d of %d changed by %#x: %v", at, len(data), bits, err)
				default:
					refused++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d refused, %d EIO, %d without effect", refused, failed, harmless)
	if refused == 0 || failed == 0 || harmless > flips/20 {
		t.Errorf("of %d changes %d were refused, %d failed to read, and %d had no effect", flips, refused, failed, harmless)
	}
}

var errWrong = errors.New("wrong bytes")

// readFlipped takes over a package file in which the byte at was changed, and
// reads the contents of the frame that has it, and of the one behind if more is
// set.
func readFlipped(data []byte, want string, whole *Table, at int, more bool) error {
	table, err := Open(bytes.NewReader(data), int64(len(data)), func(text []byte, _ int) error {
		if string(text) != testMetadata {
			return errWrong
		}
		return nil
	}, func(*Member) error { return nil })
	if err != nil {
		return err
	}
	hurt := 0
	for hurt+1 < whole.Frames() && whole.frame(hurt+1).off <= int64(at) {
		hurt++
	}
	f := NewFile(1, bytes.NewReader(data), table, NewCache(0), nil)
	end := hurt + 1
	if more {
		end++
	}
	for i := hurt; i < min(end, whole.Frames()); i++ {
		b := make([]byte, whole.content(i))
		n, readErr := f.ReadAt(b, whole.start(i))
		if string(b[:n]) != want[whole.start(i):][:n] {
			return errWrong
		}
		if readErr != nil && i != hurt {
			return errors.Join(errWrong, readErr)
		}
		err = errors.Join(err, readErr)
	}
	return err
}

// open returns a package file's table.
func open(t testing.TB, data []byte) *Table {
	t.Helper()
	table, err := Open(bytes.NewReader(data), int64(len(data)), func([]byte, int) error { return nil }, func(*Member) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return table
}
