package mkpkg

import "encoding/binary"

// SharedObject returns the least that is a shared library in ELF for a 64-bit,
// little-endian machine: nothing but a name, or not even that if soname is empty.
func SharedObject(machine uint16, soname string) string {
	const (
		head, segment, base = 64, 56, 0x1000
		dynamic             = head + 2*segment
		text                = dynamic + 4*16
	)
	le := binary.LittleEndian
	b := make([]byte, text, text+len(soname)+2)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 3) // ET_DYN
	le.PutUint16(b[18:], machine)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], head)
	le.PutUint16(b[52:], head)
	le.PutUint16(b[54:], segment)
	le.PutUint16(b[56:], 2)
	b = append(b, "\x00"+soname+"\x00"...)
	put := func(at int, kind uint32, offset, size int) {
		le.PutUint32(b[at:], kind)
		le.PutUint32(b[at+4:], 4) // readable
		le.PutUint64(b[at+8:], uint64(offset))
		le.PutUint64(b[at+16:], uint64(base+offset))
		le.PutUint64(b[at+24:], uint64(base+offset))
		le.PutUint64(b[at+32:], uint64(size))
		le.PutUint64(b[at+40:], uint64(size))
		le.PutUint64(b[at+48:], 8)
	}
	put(head, 1, 0, len(b))
	put(head+segment, 2, dynamic, text-dynamic)
	entry := dynamic
	for _, e := range [][2]uint64{{5, base + text}, {10, uint64(len(soname) + 2)}, {14, 1}} {
		if e[0] == 14 && soname == "" {
			break
		}
		le.PutUint64(b[entry:], e[0])
		le.PutUint64(b[entry+8:], e[1])
		entry += 16
	}
	return string(b)
}
