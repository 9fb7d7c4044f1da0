package fsx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A local file system is right, so the checker finds nothing.
func TestLocal(t *testing.T) {
	seed, err := Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	if err := (Run{Seed: seed, Count: 10000, Dir: dir, Other: dir, Maps: true}).Do(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// harm changes the file behind the checker's back.
func harm(t *testing.T, dir string, change func(f *os.File, size int64)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "fsx*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	f, err := os.OpenFile(names[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	change(f, info.Size())
}

// One byte that is wrong, or one too many, is found, and the same seed comes to
// the same end.
func TestCatches(t *testing.T) {
	for name, change := range map[string]func(f *os.File, size int64){
		"a wrong byte": func(f *os.File, size int64) {
			var b [1]byte
			if size == 0 {
				return
			}
			if _, err := f.ReadAt(b[:], size/2); err != nil {
				t.Fatal(err)
			}
			b[0]++
			if _, err := f.WriteAt(b[:], size/2); err != nil {
				t.Fatal(err)
			}
		},
		"a byte too many": func(f *os.File, size int64) {
			if err := f.Truncate(size + 1); err != nil {
				t.Fatal(err)
			}
		},
		"a lost end": func(f *os.File, size int64) {
			if err := f.Truncate(max(size-1, 0)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			for range 2 {
				dir := t.TempDir()
				err := Run{Seed: 1, Count: 2000, Dir: dir, Between: func(op int) {
					if op >= 1000 && op%10 == 0 {
						harm(t, dir, change)
					}
				}}.Do()
				if err == nil {
					t.Fatal("it was not found")
				}
				found = append(found, strings.ReplaceAll(err.Error(), dir, ""))
			}
			if found[0] != found[1] {
				t.Errorf("the same seed ended in\n%s\nand\n%s", found[0], found[1])
			}
			if !strings.Contains(found[0], "seed 1, operation 1") {
				t.Error(found[0])
			}
		})
	}
}
