package pack

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// BuildCmd makes a native package of a directory.
type BuildCmd struct {
	Dir    string `arg:"" help:"The tree of files."`
	Output string `short:"o" required:"" placeholder:"FILE" help:"The package file to write, NAME.pfs."`
	Meta   string `placeholder:"FILE" help:"The metadata, a package.toml. Default: .packagefs/package.toml in the directory, if it is there."`

	Name         string `placeholder:"NAME" help:"Name of the package, instead of what the metadata says."`
	PkgVersion   string `name:"version" placeholder:"VERSION" help:"Version, likewise."`
	Architecture string `placeholder:"ARCH" help:"Architecture, likewise (all, where nothing says another)."`
	Summary      string `placeholder:"TEXT" help:"One line about the package, likewise."`

	KeepOwners bool `help:"Keep the numbers of owners and groups. Without it all files belong to root."`
	packing
}

// Help is shown below the flags.
func (*BuildCmd) Help() string {
	return `The same tree and metadata make the same bytes. Modification times, in whole seconds, are those of the files; where the environment has SOURCE_DATE_EPOCH, no file is younger than that. Hard links stay hard links, and capabilities and attributes user.* are kept.

The directory .packagefs is left out of the tree: it is where the metadata may be.

Examples:
  packagefs build tree -o hello.pfs --name hello --version 1.0 --sign release.key
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) packagefs build tree -o hello.pfs --meta package.toml`
}

// Validate is called by the command line parser.
func (c *BuildCmd) Validate() error { return c.check() }

func (c *BuildCmd) Run(env *cli.Env) error {
	err := c.build(env)
	if err != nil {
		return fmt.Errorf("build %s: %w", c.Output, err)
	}
	return nil
}

func (c *BuildCmd) build(env *cli.Env) error {
	epoch, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	if inside(c.Output, c.Dir) {
		return fmt.Errorf("it would be inside of %s, the tree that it is made of; write it elsewhere", c.Dir)
	}
	text, err := c.metadata()
	if err != nil {
		return err
	}
	meta, err := format.CheckNative(text)
	if err != nil {
		return fmt.Errorf("package.toml: %w", err)
	}
	key, err := c.key(env)
	if err != nil {
		return err
	}
	tree, err := scanTree(env, c.Dir, c.KeepOwners, epoch)
	if err != nil {
		return err
	}
	size, err := newFile{path: c.Output, key: key, force: true}.write(func(f *os.File) error {
		if err := c.write(env, f, text, tree); err != nil {
			return err
		}
		return readBack(f, filepath.Base(c.Output))
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: %s %s, %s, %s packed\n", c.Output, meta.Ref, meta.Architecture,
		cli.Plural(len(tree.entries), "entry"), cli.SizeText(size))
	return err
}

// sourceDate reads SOURCE_DATE_EPOCH; nothing is no limit.
func sourceDate(text string) (int64, error) {
	if text == "" {
		return 1<<63 - 1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("SOURCE_DATE_EPOCH is %q; want seconds since 1970", text)
	}
	return n, nil
}

// inside tells whether a path is below a directory.
func inside(path, dir string) bool {
	path, errPath := filepath.Abs(path)
	dir, errDir := filepath.Abs(dir)
	rel, err := filepath.Rel(dir, path)
	return errPath == nil && errDir == nil && err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// metadata is the text of package.toml.
func (c *BuildCmd) metadata() ([]byte, error) {
	name := cmp.Or(c.Meta, filepath.Join(c.Dir, filepath.FromSlash(pfs.MetadataPath)))
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && c.Meta == "" {
		if c.Name == "" || c.PkgVersion == "" {
			return nil, fmt.Errorf("there is no metadata: name a package.toml with --meta, or give --name and --version")
		}
	} else if err != nil {
		return nil, err
	}
	if c.Name == "" && c.PkgVersion == "" && c.Architecture == "" && c.Summary == "" {
		return text, nil
	}
	if text != nil {
		if _, err := format.CheckNative(text); err != nil && c.Meta != "" {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	var m pfs.Metadata
	if err := toml.NewDecoder(bytes.NewReader(text)).Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.Name, m.Version = cmp.Or(c.Name, m.Name), cmp.Or(c.PkgVersion, m.Version)
	m.Architecture, m.Summary = cmp.Or(c.Architecture, m.Architecture, "all"), cmp.Or(c.Summary, m.Summary)
	return m.Encode()
}

// write writes the package file.
func (c *BuildCmd) write(env *cli.Env, f *os.File, text []byte, tree *buildTree) error {
	w, err := pfs.NewWriter(f, text, pfs.Options{Level: c.Level, Time: tree.newest})
	if err != nil {
		return err
	}
	bar, start := cli.NewProgressLine(env.Stderr), time.Now()
	defer bar.Clear()
	done := int64(0)
	for i := range tree.entries {
		e := &tree.entries[i]
		err := env.Err()
		if err == nil {
			err = e.addTo(w)
		}
		if err != nil {
			return errors.Join(err, w.Close())
		}
		if done += e.Size; time.Since(start) > time.Second {
			bar.Show("packed %s of %s, %d of %s", cli.SizeText(done), cli.SizeText(tree.bytes), i+1, cli.Plural(len(tree.entries), "entry"))
		}
	}
	return w.Close()
}

// readBack reads what was written as a server does, so that nothing is left
// that none would take.
func readBack(f *os.File, name string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return format.Read(f, info.Size(), name, format.Limits{}, noSink{})
}

// noSink takes what it gets and does nothing with it.
type noSink struct{}

func (noSink) Start(pkgmeta.Meta) error           { return nil }
func (noSink) Add(pkgmeta.Entry, io.Reader) error { return nil }
