package pkgindex

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A SharedObject is what the head of an ELF file says of a shared library.
type SharedObject struct {
	Machine uint16 // EM_X86_64 and the like
	Soname  string // the name that programs ask for, or empty
}

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
	Found     bool // some of it lies where loaders look, or it names directories where they are to look
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
		if p.source != nil && layers[i].Index != p.extra {
			r = p.source.objects.linkerRole(layers[i].Index)
		} else {
			r = layers[i].linkerRole()
		}
		role.Libraries, role.Found = role.Libraries || r.Libraries, role.Found || r.Found
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
				role.Found = true
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

// errNoObject says that a file is no shared library that a loader of a 64-bit,
// little-endian machine could use.
var errNoObject = errors.New("no shared library of a 64-bit, little-endian machine")

// SharedObject reads what the regular file i of the layer says, once for each
// package file. It fails where that is no shared library. It may wait for a disk.
func (l *Layer) SharedObject(i InodeID) (SharedObject, error) {
	src := l.Package.source
	if src == nil {
		return SharedObject{}, errNoObject
	}
	src.objects.mu.Lock()
	o, ok := src.objects.known[i]
	src.objects.mu.Unlock()
	if ok {
		if o.Machine == 0 {
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
	src.objects.mu.Lock()
	defer src.objects.mu.Unlock()
	if src.objects.known == nil {
		src.objects.known = make(map[InodeID]SharedObject)
	}
	src.objects.known[i] = o // a Machine of 0 says that it is none
	return o, err
}

// What is read of an ELF file at most.
const (
	maxSegments = 256
	maxDynamic  = 4096 // entries
	maxSoname   = 255
)

type elfSegment struct {
	kind                uint32
	offset, vaddr, size uint64
}

// readSharedObject reads the program headers and the dynamic section, which is
// all that a loader goes by. Whatever does not make sense is no shared library.
func readSharedObject(r io.ReaderAt) (SharedObject, error) {
	le := binary.LittleEndian
	var h [64]byte
	if err := readWhole(r, h[:], 0); err != nil {
		return SharedObject{}, err
	}
	const (
		class64 = 2
		little  = 1
		dyn     = 3
	)
	if string(h[:4]) != "\x7fELF" || h[4] != class64 || h[5] != little || le.Uint16(h[16:]) != dyn || le.Uint16(h[54:]) != 56 {
		return SharedObject{}, errNoObject
	}
	o := SharedObject{Machine: le.Uint16(h[18:])}
	table := make([]byte, 56*min(int(le.Uint16(h[56:])), maxSegments))
	if err := readWhole(r, table, le.Uint64(h[32:])); err != nil {
		return SharedObject{}, err
	}
	var loads []elfSegment
	var dynamic *elfSegment
	for ; len(table) > 0; table = table[56:] {
		s := elfSegment{le.Uint32(table), le.Uint64(table[8:]), le.Uint64(table[16:]), le.Uint64(table[32:])}
		switch s.kind {
		case 1: // PT_LOAD
			loads = append(loads, s)
		case 2: // PT_DYNAMIC
			dynamic = &s
		}
	}
	if dynamic == nil || o.Machine == 0 {
		return SharedObject{}, errNoObject // linked statically
	}
	var err error
	o.Soname, err = readSoname(r, dynamic, loads)
	return o, err
}

// readSoname returns "" where the dynamic section names none.
func readSoname(r io.ReaderAt, dynamic *elfSegment, loads []elfSegment) (string, error) {
	le := binary.LittleEndian
	entries := make([]byte, 16*min(dynamic.size/16, maxDynamic))
	if err := readWhole(r, entries, dynamic.offset); err != nil {
		return "", err
	}
	var name, table uint64
	named := false
	for ; len(entries) > 0; entries = entries[16:] {
		value := le.Uint64(entries[8:])
		switch le.Uint64(entries) {
		case 0: // DT_NULL ends the section
			entries = entries[:16]
		case 5: // DT_STRTAB
			table = value
		case 14: // DT_SONAME
			name, named = value, true
		}
	}
	if !named {
		return "", nil
	}
	for _, s := range loads {
		if table < s.vaddr || table-s.vaddr >= s.size {
			continue
		}
		b := make([]byte, maxSoname+1)
		n, err := readSome(r, b, s.offset+(table-s.vaddr)+name)
		if err != nil {
			return "", err
		}
		for i, c := range b[:n] {
			if c == 0 {
				return string(b[:i]), nil
			}
		}
		break
	}
	return "", errNoObject
}

// readSome reads up to len(b) bytes; a place beyond the end is not one of a
// library.
func readSome(r io.ReaderAt, b []byte, off uint64) (int, error) {
	if off > 1<<62 {
		return 0, errNoObject
	}
	n, err := r.ReadAt(b, int64(off))
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func readWhole(r io.ReaderAt, b []byte, off uint64) error {
	n, err := readSome(r, b, off)
	if err == nil && n < len(b) {
		err = errNoObject
	}
	return err
}
