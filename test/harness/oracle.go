package harness

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// aliases are the directories that moved in the /usr merge.
var aliases = map[string]string{
	"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64",
}

// An Oracle says what the tree of a view must be, from what dpkg-deb -x makes
// of each package file. It keeps what it found.
type Oracle struct {
	mu   sync.Mutex // guards seen
	seen map[string]func() (Readings, error)
}

// Readings are what there is in one package file.
type Readings struct {
	Extracted Manifest // by dpkg-deb -x
	Archive   Manifest // by dpkg-deb --fsys-tarfile
	merged    Manifest // for Package
}

// Tree is the tree of package files in the order of a view: directories merge,
// and of two files at one path the first one's counts. The mode
// of a directory is not one package's to decide, which dpkg leaves to it: see agree.
// base are those of files that the attach name does not add.
func (o *Oracle) Tree(files, base []string) (Manifest, error) {
	tree := Manifest{}
	var own, added []Manifest
	for _, file := range files {
		m, err := o.Package(file)
		if err != nil {
			return nil, err
		}
		Merge(tree, m)
		if slices.Contains(base, file) {
			own = append(own, m)
		} else {
			added = append(added, m)
		}
	}
	agree(tree, own, added)
	relink(tree)
	return tree, nil
}

// agree gives directories the modes that they have however one package has them: those
// of every system theirs, and those of several packages 0755, or less if most of
// these say so. What an attach name adds counts where nothing else has the
// directory, and lets nobody write.
func agree(tree Manifest, own, added []Manifest) {
	for name, e := range tree {
		if e.Kind != Dir {
			continue
		}
		has := modesOf(own, name)
		bound := len(has) == 0
		if bound {
			has = modesOf(added, name)
		}
		mode, standard := standardDirs[name]
		switch {
		case mode != 0:
			e = rootDir(e, mode)
		case len(has) > 1 || standard:
			e = rootDir(e, 0o755)
			votes := map[uint32]int{}
			for _, m := range has {
				votes[m&0o755]++
			}
			for m, n := range votes {
				if 2*n > len(has) && n > 1 {
					e.Mode = m
				}
			}
		case bound:
			e = rootDir(e, has[0]&0o755)
		default:
			for _, m := range own {
				if d, ok := m[name]; ok && d.Kind == Dir {
					e.Mode, e.UID, e.GID = d.Mode, d.UID, d.GID
				}
			}
		}
		tree[name] = e
	}
}

func rootDir(e Entry, mode uint32) Entry {
	e.Mode, e.UID, e.GID = mode, 0, 0
	return e
}

// modesOf are the modes that the packages say the directory name has.
func modesOf(packages []Manifest, name string) (modes []uint32) {
	for _, m := range packages {
		if d, ok := m[name]; ok && d.Kind == Dir {
			modes = append(modes, d.Mode)
		}
	}
	return modes
}

// standardDirs are directories of every system that packages of tests have, with their
// modes; 0 is 0755 or less.
var standardDirs = map[string]uint32{
	"": 0, "etc": 0, "opt": 0, "home": 0, "srv": 0, "usr": 0, "usr/bin": 0, "usr/sbin": 0, "usr/lib": 0, "usr/lib64": 0, "usr/share": 0,
	"usr/share/doc": 0, "usr/share/man": 0, "usr/libexec": 0, "usr/include": 0, "var": 0, "var/lib": 0, "var/cache": 0, "var/log": 0,
	"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700,
}

// Package is the tree of one package file, /usr merge applied.
func (o *Oracle) Package(file string) (Manifest, error) {
	r, err := o.Read(file)
	return r.merged, err
}

// Read reads a package file in both ways.
func (o *Oracle) Read(file string) (Readings, error) {
	o.mu.Lock()
	read := o.seen[file]
	if read == nil {
		if o.seen == nil {
			o.seen = map[string]func() (Readings, error){}
		}
		read = sync.OnceValues(func() (Readings, error) { return readDeb(file) })
		o.seen[file] = read
	}
	o.mu.Unlock()
	return read()
}

func readDeb(file string) (r Readings, err error) {
	if r.Extracted, err = extract(file); err != nil {
		return r, err
	}
	if r.Archive, err = readDebTar(file); err != nil {
		return r, err
	}
	// The tar below dpkg-deb -x makes some symlinks last of all, which
	// changes their directory's time. What the package says is in the
	// archive.
	m := maps.Clone(r.Extracted)
	for name, e := range m {
		if e.Kind == Dir {
			e.Sec, e.Nsec = r.Archive[name].Sec, r.Archive[name].Nsec
			m[name] = e
		}
	}
	r.merged = UsrMerge(m)
	return r, nil
}

// extract is the manifest of what dpkg-deb -x makes of a package file.
func extract(file string) (Manifest, error) {
	dir, err := os.MkdirTemp("", "packagefs-oracle-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := Command("dpkg-deb", "-x", file, dir); err != nil {
		return nil, err
	}
	return WalkDir(dir)
}

// readDebTar is the manifest of the archive inside a package file.
func readDebTar(file string) (Manifest, error) {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m, err := ReadTar(out)
	if waitErr := cmd.Wait(); err == nil && waitErr != nil {
		err = waitErr
	}
	if err != nil {
		return nil, fmt.Errorf("dpkg-deb --fsys-tarfile %s: %w", file, err)
	}
	return m, nil
}

// UsrMerge moves what a package has in an old place, and leaves a symlink
// there. Its time is that of the directory which stood there.
func UsrMerge(m Manifest) Manifest {
	merged := Manifest{}
	for _, name := range m.Paths() {
		e := m[name]
		first, rest, _ := strings.Cut(name, "/")
		to, moved := aliases[first]
		if !moved || rest == "" && e.Kind != Dir {
			merged[name] = e
			continue
		}
		if rest == "" {
			merged[name] = Entry{Kind: Symlink, Mode: 0o777, Size: int64(len(to)), Target: to, Sec: e.Sec, Nsec: e.Nsec}
		}
		at := path.Join(to, rest)
		if _, own := m[at]; own && e.Kind == Dir {
			continue // the package has both; the new place's own entry counts
		}
		merged[at] = e
	}
	for name, e := range m {
		if to := strings.TrimPrefix(e.Target, "/"); e.Kind == Symlink && to != e.Target && UsrMergePath(to) == name {
			merged[name] = m[to] // a symlink from the new place to the old is one file now
		}
	}
	for _, name := range merged.Paths() {
		addParents(merged, name)
	}
	return merged
}

// UsrMergePath applies the /usr merge to one path.
func UsrMergePath(name string) string {
	first, rest, below := strings.Cut(name, "/")
	if to, moved := aliases[first]; moved && below {
		return path.Join(to, rest)
	}
	return name
}

// addParents adds the directories above name that the package itself does not
// have.
func addParents(m Manifest, name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := m[dir]; !ok {
			m[dir] = Entry{Kind: Dir, Mode: 0o755, Sec: m[name].Sec}
		}
	}
}

// Merge adds to tree what m has and tree has not. What lies below a path where
// tree has no directory stays out.
func Merge(tree, m Manifest) {
	for _, name := range m.Paths() {
		if _, there := tree[name]; there || name != "" && tree[Parent(name)].Kind != Dir {
			continue
		}
		tree[name] = m[name]
	}
}

func Parent(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// Served is the tree that a server shows of tree: beside it there is the server's
// own program, which launchers start, and two empty directories.
func (s *Server) Served(tree Manifest) (Manifest, error) {
	info, err := os.Stat(s.Binary)
	if err != nil {
		return nil, err
	}
	sum, err := digestFile(s.Binary, info.Size())
	if err != nil {
		return nil, err
	}
	tree = maps.Clone(tree)
	const own = "usr/libexec/packagefs"
	dir := Entry{Kind: Dir, Mode: 0o755, Sec: info.ModTime().Unix()}
	for _, name := range []string{own, own + "/contexts", own + "/root"} {
		tree[name] = dir
	}
	tree[own+"/enter"] = Entry{Kind: File, Mode: 0o755, Size: info.Size(), Sec: dir.Sec, SHA256: sum}
	addParents(tree, own)
	return tree, nil
}

// relink takes from each Links the names at which another package's file came
// first.
func relink(tree Manifest) {
	groups := map[any][]string{}
	for name, e := range tree {
		if e.Links != "" {
			groups[e.Links+" "+e.SHA256] = append(groups[e.Links+" "+e.SHA256], name)
			e.Links = ""
			tree[name] = e
		}
	}
	tree.link(groups)
}

// ViewFiles lists the package files of a context's view, in order, as the
// server tells it.
func ViewFiles(s *Server, context string) ([]string, error) {
	listed, err := s.List()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, p := range listed {
		if p.State == "installed" {
			files[p.Name+"="+p.Version] = filepath.Join(s.Packages, p.File)
		}
	}
	var view struct {
		Packages []struct{ Package string }
	}
	out, err := s.Run("explain", context, "--json")
	if err != nil {
		return nil, err
	}
	if err := DecodeOne(out, &view); err != nil {
		return nil, fmt.Errorf("packagefs explain %s --json: %w", context, err)
	}
	var inOrder []string
	for _, p := range view.Packages {
		file, ok := files[p.Package]
		if !ok {
			return nil, fmt.Errorf("%s: its view has %s, which packagefs packages does not list", context, p.Package)
		}
		inOrder = append(inOrder, file)
	}
	if len(inOrder) == 0 {
		return nil, fmt.Errorf("%s: its view has no packages", context)
	}
	return inOrder, nil
}

// DecodeOne decodes a JSON object that may stand in an array of one.
func DecodeOne(text string, v any) error {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") {
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return err
		}
		if len(list) != 1 {
			return fmt.Errorf("want one object, got %d", len(list))
		}
		text = string(list[0])
	}
	return json.Unmarshal([]byte(text), v)
}
