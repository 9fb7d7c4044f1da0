package generate

import (
	"crypto/sha256"
	"encoding/binary"
	"path"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
	"github.com/packagefs/packagefs/union"
)

const (
	cachePath = "etc/ld.so.cache"
	confPath  = "etc/ld.so.conf"
	confDir   = "etc/ld.so.conf.d"

	maxConfFile  = 64 << 10 // bytes
	maxConfFiles = 1000
	maxDirs      = 1000
	maxLibraries = 200_000
)

// linkerCache makes what ldconfig would make: the cache by which the loader of the
// GNU C library finds shared libraries. Without it programs would be led by the
// cache of the machine that the tree is stacked on, which knows nothing of the
// tree. What the tree's cache does not have, the loader looks for in its own
// directories.
func (s *Set) linkerCache(t *union.Tree) ([]file, error) {
	f := file{path: cachePath}
	h := sha256.New()
	found := false
	for _, p := range t.Packages() {
		role := p.LinkerRole()
		if !role.Libraries {
			continue
		}
		found = found || role.OnLoaderPath
		layers, err := p.Layers()
		if err != nil {
			continue // the tree is without it, too
		}
		for i := range layers {
			var id [12]byte
			binary.LittleEndian.PutUint64(id[:], layers[i].Salt)
			binary.LittleEndian.PutUint32(id[8:], layers[i].Stamp())
			h.Write(id[:])
			f.sec = max(f.sec, layers[i].Inode(0).Sec)
		}
	}
	if !found || !t.Vacant(cachePath) {
		return nil, nil
	}
	if _, ok := t.FollowDir("etc"); !ok && len(findLibraries(t, new(sources))) == 0 {
		return nil, nil // a directory that has nothing in the end would be there for it
	}
	f.stamp = [32]byte(h.Sum(nil))
	f.late = func() ([]byte, string, error) {
		var from sources
		libraries := findLibraries(t, &from)
		if len(libraries) == 0 {
			return nil, "", nil
		}
		return encodeCache(libraries), "finds the shared libraries of " + from.String(), nil
	}
	return []file{f}, nil
}

// findLibraries returns the libraries of a tree in the order in which directories
// are looked at: those that its configuration names, then the loader's own.
func findLibraries(t *union.Tree, from *sources) (all []library) {
	seen := make(map[string]bool)
	for _, dir := range slices.Concat(configuredDirs(t, from), pkgindex.LibraryDirs) {
		at, ok := t.FollowDir(dir)
		if !ok || seen[at] {
			continue
		}
		seen[at] = true
		all = append(all, librariesIn(t, at, from)...)
		if len(all) > maxLibraries {
			return all[:maxLibraries]
		}
	}
	return all
}

// librariesIn returns the libraries of a directory. A name leads to the file that
// has this name in the directory; where none has, to the newest of those that say
// that it is theirs, for which ldconfig would make a link.
func librariesIn(t *union.Tree, dir string, from *sources) (all []library) {
	type key struct {
		soname string
		flags  uint32
	}
	at := make(map[key]int) // in all
	for name, f := range t.Files(dir) {
		if !pkgindex.IsLibrary(name) {
			continue
		}
		end := f
		if f.Type() == pkgmeta.Symlink {
			var ok bool
			if end, ok = t.Follow(f.Path); !ok {
				continue
			}
		}
		o, err := end.Layer.SharedObject(end.Ino)
		if err != nil {
			continue
		}
		if o.Soname == "" {
			o.Soname = end.Base()
		}
		flags := machineFlags[o.Machine]
		if flags == 0 || !usableName(o.Soname) || !usableName(name) || f.Type() == pkgmeta.Symlink && o.Soname != name {
			continue
		}
		from.add(end)
		l, k := library{o.Soname, absolute(f.Path), flags}, key{o.Soname, flags}
		have, twice := at[k]
		switch {
		case !twice:
			at[k] = len(all)
			all = append(all, l)
		case name == o.Soname, path.Base(all[have].path) != o.Soname && compareSonames(name, path.Base(all[have].path)) > 0:
			all[have] = l
		}
	}
	return all
}

// configuredDirs returns the directories that a tree's configuration names. Where
// there is no ld.so.conf it is taken to be Debian's, which names the files of
// ld.so.conf.d.
func configuredDirs(t *union.Tree, from *sources) []string {
	c := conf{tree: t, from: from, seen: make(map[string]bool)}
	if f, ok := t.Follow(confPath); ok {
		c.read(f)
	} else {
		c.include(confDir + "/*.conf")
	}
	return c.dirs
}

// conf reads the files that name directories.
type conf struct {
	tree *union.Tree
	from *sources
	dirs []string
	seen map[string]bool // files
}

func (c *conf) read(f union.File) {
	if c.seen[f.Path] || len(c.seen) >= maxConfFiles {
		return
	}
	c.seen[f.Path] = true
	text, err := f.Read(maxConfFile)
	if err != nil {
		return
	}
	c.from.add(f)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n:,", r) })
		if len(words) > 1 && words[0] == "include" {
			for _, pattern := range words[1:] {
				if !path.IsAbs(pattern) {
					pattern = path.Join("/", path.Dir(f.Path), pattern)
				}
				c.include(strings.Trim(path.Clean(pattern), "/"))
			}
			continue
		}
		for _, w := range words {
			w, _, _ = strings.Cut(w, "=") // an old way to tell what libraries are for
			if path.IsAbs(w) && len(c.dirs) < maxDirs {
				c.dirs = append(c.dirs, merged(strings.Trim(path.Clean(w), "/")))
			}
		}
	}
}

// include reads the files that a pattern matches, which has wildcards in its last
// name only.
func (c *conf) include(pattern string) {
	dir, glob := path.Split(pattern)
	at, ok := c.tree.FollowDir(strings.TrimSuffix(dir, "/"))
	if !ok {
		return
	}
	for name, f := range c.tree.Files(at) {
		if ok, err := path.Match(glob, name); err != nil || !ok {
			continue
		}
		if f, ok := c.tree.Follow(f.Path); ok {
			c.read(f)
		}
	}
}

// merged is where a directory is after the merge into /usr.
func merged(dir string) string {
	first, rest, _ := strings.Cut(dir, "/")
	if to, ok := pkgpath.UsrMerge[first]; ok {
		return strings.TrimSuffix(to+"/"+rest, "/")
	}
	return dir
}
