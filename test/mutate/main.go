package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// sources are the files that are mutated, by package.
var sources = map[string][]string{
	"union":      {"cred.go", "change.go", "mergeddir.go", "remove.go", "rename.go", "setattr.go", "dirfile.go", "upfile.go", "upio.go", "usage.go"},
	"server":     {"attach.go"},
	"server/p9l": {"peer.go", "fid.go", "request.go", "session.go", "lock.go", "xattr.go", "change.go"},
}

// tested are the packages whose tests are to notice, the quickest first.
var tested = []string{"server/p9l", "union", "server"}

// asked are the tests of package server that are to notice: the others are about what
// no mutant touches, and slow.
const asked = "^Test(Attach|Edits|EditsUnawaited|PosixDirect|WhoCommands|ContextsOverTheWire)$"

// patience is how long the tests of one mutant may take: one that hangs is noticed.
const patience = 2 * time.Minute

// A test is one function of a test program.
type test struct {
	pkg, name string
	reaches   map[int]bool // mutants that it comes by
}

// A run has what is compiled.
type run struct {
	dir     string
	mutants []mutant
	tests   []test
}

func main() {
	if err := mutate(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func mutate(only []string) error {
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &run{dir: dir}
	if err := r.compile(only); err != nil {
		return err
	}
	fmt.Printf("%d mutants\n", len(r.mutants))
	if err := r.trace(); err != nil {
		return err
	}
	alive := r.all()
	bad := 0
	for _, m := range alive {
		if survivors[m.key()] == "" {
			bad++
		}
	}
	fmt.Printf("%d of %d mutants are noticed, %d need not be\n", len(r.mutants)-len(alive), len(r.mutants), len(alive)-bad)
	if bad > 0 {
		return fmt.Errorf("%d mutants are noticed by no test", bad)
	}
	return nil
}

// compile makes a test program of each package, with all mutants in it.
func (r *run) compile(only []string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	replace := map[string]string{}
	add := func(name string, text []byte) error {
		to := filepath.Join(r.dir, strings.ReplaceAll(name, "/", "_"))
		replace[filepath.Join(root, name)] = to
		return os.WriteFile(to, text, 0o600)
	}
	for _, pkg := range tested {
		for _, name := range sources[pkg] {
			file := pkg + "/" + name
			src, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if len(only) > 0 && !slices.Contains(only, name) {
				continue
			}
			out, err := instrument(file, src, &r.mutants)
			if err != nil {
				return err
			}
			if err := add(file, out); err != nil {
				return err
			}
		}
		if err := add(pkg+"/mutant.go", []byte("package "+filepath.Base(pkg)+switchText)); err != nil {
			return err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	file := filepath.Join(r.dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return err
	}
	for _, pkg := range tested {
		build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", file, "-o", r.program(pkg), "./"+pkg)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the tests of %s: %w", pkg, err)
		}
	}
	return nil
}

// switchText is what each mutated package gets: it says which mutant is alive, and
// where a test came by.
const switchText = `

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

var (
	mutantAlive, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutantTrace = os.Getenv("MUTANT_TRACE")
	mutantsSeen sync.Map
)

func mutant(n int) bool {
	if mutantTrace != "" {
		if _, seen := mutantsSeen.LoadOrStore(n, true); !seen {
			if f, err := os.OpenFile(mutantTrace, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
				fmt.Fprintln(f, n)
				f.Close()
			}
		}
		return false
	}
	return mutantAlive == n
}
`

func (r *run) program(pkg string) string {
	return filepath.Join(r.dir, strings.ReplaceAll(pkg, "/", "_")+".test")
}

// start runs tests of a package.
func (r *run) start(pkg, tests string, env ...string) error {
	cmd := exec.Command(r.program(pkg), "-test.failfast", "-test.timeout", patience.String(), "-test.run", tests)
	cmd.Dir, cmd.Env = pkg, append(os.Environ(), env...)
	return cmd.Run()
}

// trace runs each test by itself, to learn which mutants it comes by.
func (r *run) trace() error {
	for _, pkg := range tested {
		which := "^Test"
		if pkg == "server" {
			which = asked
		}
		list, err := exec.Command(r.program(pkg), "-test.list", which).Output()
		if err != nil {
			return err
		}
		for _, name := range strings.Fields(string(list)) {
			t := test{pkg, name, map[int]bool{}}
			file := filepath.Join(r.dir, "trace")
			os.Remove(file)
			if err := r.start(pkg, "^"+name+"$", "MUTANT_TRACE="+file); err != nil {
				return fmt.Errorf("%s %s fails without any mutant: %w", pkg, name, err)
			}
			trace, _ := os.ReadFile(file)
			for _, id := range strings.Fields(string(trace)) {
				var n int
				fmt.Sscan(id, &n)
				t.reaches[n] = true
			}
			r.tests = append(r.tests, t)
		}
	}
	return nil
}

// all returns the mutants that no test notices.
func (r *run) all() []mutant {
	var mu sync.Mutex
	alive := make([]bool, len(r.mutants)+1)
	var wg sync.WaitGroup
	next := make(chan mutant)
	for range 2 {
		wg.Go(func() {
			for m := range next {
				lives := !r.noticed(m.id)
				mu.Lock()
				if lives && survivors[m.key()] == "" {
					fmt.Printf("%s:%d: %s\n", m.file, m.line, strings.TrimPrefix(m.key(), m.file+" "))
				}
				alive[m.id] = lives
				mu.Unlock()
			}
		})
	}
	for _, m := range r.mutants {
		next <- m
	}
	close(next)
	wg.Wait()
	return slices.DeleteFunc(r.mutants, func(m mutant) bool { return !alive[m.id] })
}

// noticed says whether a test fails while a mutant is alive.
func (r *run) noticed(id int) bool {
	for _, pkg := range tested {
		var names []string
		for _, t := range r.tests {
			if t.pkg == pkg && t.reaches[id] {
				names = append(names, t.name)
			}
		}
		if len(names) > 0 && r.start(pkg, "^("+strings.Join(names, "|")+")$", fmt.Sprint("MUTANT=", id)) != nil {
			return true
		}
	}
	return false
}
