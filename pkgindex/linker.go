package pkgindex

import (
	"debug/elf"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// sharedObjects keeps what the libraries of one package file say, once asked for.
type sharedObjects struct {
	mu    sync.Mutex // guards known
	known map[InodeID]SharedObject

	once sync.Once // makes role
	role LinkerRole
}

// A LinkerRole says what part a package has in how programs find their libraries.
type LinkerRole struct {
	Libraries bool // it has something that is named as a library

	// OnLoaderPath: some of it lies where loaders look, or it names directories where
	// they are to look.
	OnLoaderPath bool
}

// LinkerRole looks through the names that the package has, once for each package
// file.
func (p *Package) LinkerRole() (role LinkerRole) {
	layers, err := p.Layers()
	if err != nil {
		return role
	}
	for i := range layers {
		var r LinkerRole
		if p.imported != nil && layers[i].Index != p.extra {
			r = p.imported.objects.linkerRole(layers[i].Index)
		} else {
			r = layers[i].linkerRole()
		}
		role.Libraries, role.OnLoaderPath = role.Libraries || r.Libraries, role.OnLoaderPath || r.OnLoaderPath
	}
	return role
}

func (s *sharedObjects) linkerRole(x *Index) LinkerRole {
	s.once.Do(func() { s.role = x.linkerRole() })
	return s.role
}

func (x *Index) linkerRole() (role LinkerRole) {
	for e := range EntryID(len(x.entries) / entrySize) {
		if name, _ := x.Entry(e); IsLibrary(name) {
			role.Libraries = true
			break
		}
	}
	for _, conf := range []string{"etc/ld.so.conf", "etc/ld.so.conf.d"} {
		if _, ok := x.Lookup(conf); ok {
			return LinkerRole{true, true}
		}
	}
	if !role.Libraries {
		return role
	}
	for _, dir := range LibraryDirs {
		ino, ok := x.Lookup(dir)
		if !ok || x.Type(ino) != pkgmeta.Directory {
			continue
		}
		for e, hi := x.Entries(x.Dir(ino)); e < hi; e++ {
			if name, _ := x.Entry(e); IsLibrary(name) {
				role.OnLoaderPath = true
				return role
			}
		}
	}
	return role
}

// LibraryDirs are the directories in which loaders look by themselves, in their
// order.
var LibraryDirs = []string{
	"usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/riscv64-linux-gnu", "usr/lib/powerpc64le-linux-gnu",
	"usr/lib64", "usr/lib",
}

// IsLibrary says whether a file name is one of those that shared libraries and
// loaders have.
func IsLibrary(name string) bool {
	return (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "ld-")) && strings.Contains(name, ".so")
}

// SharedObject reads what the regular file i of the layer says, once for each
// package file. It fails where that is no shared library. It may wait for a disk.
func (l *Layer) SharedObject(i InodeID) (SharedObject, error) {
	imp := l.Package.imported
	if imp == nil {
		return SharedObject{}, errNoObject
	}
	imp.objects.mu.Lock()
	o, ok := imp.objects.known[i]
	imp.objects.mu.Unlock()
	if ok {
		if o.Machine == elf.EM_NONE {
			return o, errNoObject
		}
		return o, nil
	}
	payload, err := l.Package.Payload()
	if err != nil {
		return SharedObject{}, err
	}
	defer payload.Close()
	o, err = readSharedObject(io.NewSectionReader(payload, l.Offset(i), l.Inode(i).Size))
	if err != nil && !errors.Is(err, errNoObject) {
		return SharedObject{}, err
	}
	imp.objects.mu.Lock()
	defer imp.objects.mu.Unlock()
	if imp.objects.known == nil {
		imp.objects.known = make(map[InodeID]SharedObject)
	}
	imp.objects.known[i] = o // EM_NONE says that it is none
	return o, err
}
