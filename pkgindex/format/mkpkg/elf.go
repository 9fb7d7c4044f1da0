package mkpkg

import (
	"debug/elf"
	"encoding/binary"
)

// SharedObject returns the least that is a shared library in ELF for a 64-bit,
// little-endian machine: nothing but a name, or not even that if soname is empty.
func SharedObject(machine elf.Machine, soname string) string {
	const (
		head, segment, base = 64, 56, 0x1000
		dynamic             = head + 2*segment
		text                = dynamic + 4*16
	)
	le := binary.LittleEndian
	b := make([]byte, text, text+len(soname)+2)
	copy(b, elf.ELFMAG)
	b[elf.EI_CLASS], b[elf.EI_DATA], b[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	le.PutUint16(b[16:], uint16(elf.ET_DYN))
	le.PutUint16(b[18:], uint16(machine))
	le.PutUint32(b[20:], uint32(elf.EV_CURRENT))
	le.PutUint64(b[32:], head)
	le.PutUint16(b[52:], head)
	le.PutUint16(b[54:], segment)
	le.PutUint16(b[56:], 2)
	b = append(b, "\x00"+soname+"\x00"...)
	put := func(at int, kind elf.ProgType, offset, size int) {
		le.PutUint32(b[at:], uint32(kind))
		le.PutUint32(b[at+4:], uint32(elf.PF_R))
		le.PutUint64(b[at+8:], uint64(offset))
		le.PutUint64(b[at+16:], uint64(base+offset))
		le.PutUint64(b[at+24:], uint64(base+offset))
		le.PutUint64(b[at+32:], uint64(size))
		le.PutUint64(b[at+40:], uint64(size))
		le.PutUint64(b[at+48:], 8)
	}
	put(head, elf.PT_LOAD, 0, len(b))
	put(head+segment, elf.PT_DYNAMIC, dynamic, text-dynamic)
	entry := dynamic
	for _, e := range []struct {
		tag   elf.DynTag
		value int
	}{{elf.DT_STRTAB, base + text}, {elf.DT_STRSZ, len(soname) + 2}, {elf.DT_SONAME, 1}} {
		if e.tag == elf.DT_SONAME && soname == "" {
			break
		}
		le.PutUint64(b[entry:], uint64(e.tag))
		le.PutUint64(b[entry+8:], uint64(e.value))
		entry += 16
	}
	return string(b)
}
