package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"time"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// ConvertCmd makes native packages of package files of other formats.
type ConvertCmd struct {
	Files  []string `arg:"" name:"file" help:"Package files: .deb, .apk, .pkg.tar.* or .rpm."`
	Output string   `short:"o" required:"" placeholder:"DIR" help:"The directory to write the native packages to, each under its file's name with .pfs at the end."`
	Force  bool     `help:"Replace files that are there already."`
	packing
}

// Help is shown below the flags.
func (*ConvertCmd) Help() string {
	return `A native package has all that is used of the file that it was made of: relations with their versions and their order, marks of configuration files, services, owners, modes, capabilities and attributes user.*, and hard links. Each is read back and compared before it gets its name. Contexts resolve as they did. Of times, whole seconds are kept; scripts are not, as they are not run.

Several files are converted at the same time. What cannot be converted is told, the others are, and the exit status is 1. While a file is converted, its contents lie unpacked in the output directory.

Examples:
  packagefs convert *.deb -o /srv/packages
  packagefs convert downloads/*.rpm -o native --sign release.key`
}

// Validate is called by the command line parser.
func (c *ConvertCmd) Validate() error { return c.check() }

func (c *ConvertCmd) Run(env *cli.Env) error {
	key, err := c.key(env)
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	if info, err := os.Stat(c.Output); err != nil {
		return fmt.Errorf("convert: %w; make the directory first", err)
	} else if !info.IsDir() {
		return fmt.Errorf("convert: %s is not a directory", c.Output)
	}
	r := &conversions{ConvertCmd: c, env: env, key: key, bar: cli.NewProgressLine(env.Stderr), start: time.Now()}
	jobs := r.plan()
	r.parallel = min(runtime.NumCPU(), len(jobs))
	next := make(chan *conversion)
	var workers sync.WaitGroup
	for range r.parallel {
		workers.Go(func() {
			for j := range next {
				r.convert(j)
			}
		})
	}
	for i := range jobs {
		next <- &jobs[i]
	}
	close(next)
	workers.Wait()
	r.bar.Clear()
	var errs []error
	for _, j := range jobs {
		if errors.Is(j.err, context.Canceled) { // which is told once
			continue
		} else if j.err != nil {
			errs = append(errs, fmt.Errorf("convert %s: %w", j.from, j.err))
		} else {
			fmt.Fprintln(env.Stdout, j.done)
		}
	}
	if err := env.Err(); err != nil {
		errs = append(errs, fmt.Errorf("convert: %w", err))
	}
	return errors.Join(errs...)
}

// conversions are all files that one command converts.
type conversions struct {
	*ConvertCmd
	env      *cli.Env
	key      *signature.PrivateKey
	parallel int
	start    time.Time

	mu    sync.Mutex // guards what follows
	bar   *cli.ProgressLine
	ended int
}

// A conversion is one file.
type conversion struct {
	from, to string
	done     string // what came of it
	err      error
}

// packageSuffix is what package files' names end in.
var packageSuffix = regexp.MustCompile(`\.(deb|apk|rpm|pfs|pkg\.tar(\.[a-z0-9]+)?)$`)

// plan names the files to be written. No two are one.
func (r *conversions) plan() []conversion {
	jobs := make([]conversion, len(r.Files))
	taken := make(map[string]string)
	for i, from := range r.Files {
		name := packageSuffix.ReplaceAllString(filepath.Base(from), "") + ".pfs"
		jobs[i] = conversion{from: from, to: filepath.Join(r.Output, name)}
		if other, ok := taken[name]; ok {
			jobs[i].err = fmt.Errorf("%s is made of %s already; convert it into another directory", jobs[i].to, other)
		} else {
			taken[name] = from
		}
	}
	return jobs
}

// convert makes one native package.
func (r *conversions) convert(j *conversion) {
	if j.err == nil {
		j.err = r.env.Err()
	}
	if j.err == nil {
		j.done, j.err = r.one(j)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
}

func (r *conversions) one(j *conversion) (string, error) {
	f, err := os.Open(j.from)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if there, err := os.Lstat(j.to); err == nil && os.SameFile(info, there) {
		return "", fmt.Errorf("it would replace itself; name another directory with --output")
	} else if err == nil && !r.Force {
		return "", fmt.Errorf("%s: %w", j.to, errThere)
	}
	name := filepath.Base(j.from)
	spool, err := spoolFile(r.Output)
	if err != nil {
		return "", err
	}
	defer spool.Close()
	in := &progressFile{File: f, read: func(at int64) error { return r.show("%s: %s of %s read", name, at, info.Size()) }}
	c, err := format.ReadConversion(in, info.Size(), name, spool)
	if err != nil {
		return "", err
	}
	size, err := newFile{path: j.to, key: r.key, force: r.Force}.write(func(out *os.File) error {
		o := pfs.Options{Level: r.Level, Workers: r.share()}
		err := c.Write(out, o, func(at int64) error { return r.show("%s: %s of %s packed", name, at, c.Bytes) })
		if err != nil {
			return err
		}
		made, err := out.Stat()
		if err != nil {
			return err
		}
		return c.Check(out, made.Size(), filepath.Base(j.to))
	})
	if errors.Is(err, errThere) {
		err = fmt.Errorf("%s: %w", j.to, err)
	}
	return fmt.Sprintf("%s: %s %s, %s, of %s", j.to, c.Meta.Ref, c.Meta.Architecture, cli.SizeText(size), cli.SizeText(info.Size())), err
}

// share is how many processors a file gets: all, if it is the last.
func (r *conversions) share() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(1, runtime.NumCPU()/min(r.parallel, len(r.Files)-r.ended))
}

// show shows how far a file is, and ends its conversion when the command ends.
func (r *conversions) show(format, name string, done, total int64) error {
	if time.Since(r.start) > time.Second {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bar.Show("%d of %s converted; "+format, r.ended, cli.Plural(len(r.Files), "file"), name, cli.SizeText(min(done, total)), cli.SizeText(total))
	}
	return r.env.Err()
}

// spoolFile makes a file in dir that has no name.
func spoolFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".converting-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Close()
		return nil, err
	}
	return f, nil
}

// A progressFile says how far it is read.
type progressFile struct {
	*os.File
	read func(at int64) error
}

func (f *progressFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.read(off); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}
