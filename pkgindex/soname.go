package pkgindex

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
)

// A SharedObject is what the head of an ELF file says of a shared library.
type SharedObject struct {
	Machine elf.Machine // EM_X86_64 and the like
	Soname  string      // the name that programs ask for, or empty
}

// errNoObject says that a file is no shared library that a loader of a 64-bit,
// little-endian machine could use.
var errNoObject = errors.New("no shared library of a 64-bit, little-endian machine")

// What is read of an ELF file at most.
const (
	maxSegments = 256
	maxDynamic  = 4096 // entries
	maxSoname   = 255

	headerSize = 56 // of a program header
)

type elfSegment struct {
	kind                elf.ProgType
	offset, vaddr, size uint64
}

// readSharedObject reads the program headers and the dynamic section, which is
// all that a loader goes by. Whatever does not make sense is no shared library.
//
// It is read by hand because debug/elf finds the dynamic section by the section
// headers, which no loader looks at and a library can lack.
func readSharedObject(r io.ReaderAt) (SharedObject, error) {
	le := binary.LittleEndian
	var h [64]byte
	if err := readWhole(r, h[:], 0); err != nil {
		return SharedObject{}, err
	}
	if string(h[:elf.EI_CLASS]) != elf.ELFMAG || elf.Class(h[elf.EI_CLASS]) != elf.ELFCLASS64 ||
		elf.Data(h[elf.EI_DATA]) != elf.ELFDATA2LSB || elf.Type(le.Uint16(h[16:])) != elf.ET_DYN || le.Uint16(h[54:]) != headerSize {
		return SharedObject{}, errNoObject
	}
	o := SharedObject{Machine: elf.Machine(le.Uint16(h[18:]))}
	headers := make([]byte, headerSize*min(int(le.Uint16(h[56:])), maxSegments))
	if err := readWhole(r, headers, le.Uint64(h[32:])); err != nil {
		return SharedObject{}, err
	}
	var loads []elfSegment
	var dynamic *elfSegment
	for ; len(headers) > 0; headers = headers[headerSize:] {
		s := elfSegment{elf.ProgType(le.Uint32(headers)), le.Uint64(headers[8:]), le.Uint64(headers[16:]), le.Uint64(headers[32:])}
		switch s.kind {
		case elf.PT_LOAD:
			loads = append(loads, s)
		case elf.PT_DYNAMIC:
			dynamic = &s
		}
	}
	if dynamic == nil || o.Machine == elf.EM_NONE {
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
	var name, strings uint64
	named := false
	for ; len(entries) > 0; entries = entries[16:] {
		value := le.Uint64(entries[8:])
		switch elf.DynTag(le.Uint64(entries)) {
		case elf.DT_NULL: // ends the section
			entries = entries[:16]
		case elf.DT_STRTAB:
			strings = value
		case elf.DT_SONAME:
			name, named = value, true
		}
	}
	if !named {
		return "", nil
	}
	for _, s := range loads {
		if strings < s.vaddr || strings-s.vaddr >= s.size {
			continue
		}
		b := make([]byte, maxSoname+1)
		n, err := readSome(r, b, s.offset+(strings-s.vaddr)+name)
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
