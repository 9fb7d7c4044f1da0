package pfs

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// The archive has this form: POSIX ustar headers, with a PAX extended header
// before a header that cannot hold all. Owners have numbers and no names.
const (
	blockSize   = 512
	trailerSize = 2 * blockSize // zeros at the end of the archive
)

// typeflags of ustar headers.
var typeflags = map[Type]byte{Regular: '0', HardLink: '1', Symlink: '2', Directory: '5', Fifo: '6'}

// appendHeader appends the headers of a checked entry.
func appendHeader(b []byte, e *Entry) []byte {
	if records := paxRecords(e); len(records) > 0 {
		b = appendBlock(b, &ustar{name: "PaxHeaders/entry", mode: 0o644, size: int64(len(records)), typeflag: 'x'})
		b = append(b, records...)
		b = append(b, make([]byte, padding(int64(len(records))))...)
	}
	u := &ustar{
		name: e.name(), mode: int64(e.Mode), uid: int64(e.UID), gid: int64(e.GID),
		size: e.Size, mtime: e.Time, typeflag: typeflags[e.Type], link: e.Target,
	}
	return appendBlock(b, u)
}

// padding is how many zeros follow size bytes.
func padding(size int64) int64 { return -size & (blockSize - 1) }

// ustar is one header block. What is too large for its field is cut short or
// left 0: a PAX record has it.
type ustar struct {
	name           string
	mode, uid, gid int64
	size, mtime    int64
	typeflag       byte
	link           string
}

// The widths of fields in a header block, and the largest numbers in them.
const (
	nameSize = 100
	maxID    = 1<<21 - 1
	maxOctal = 1<<33 - 1
)

func appendBlock(b []byte, u *ustar) []byte {
	var block [blockSize]byte
	copy(block[0:nameSize], u.name)
	octal(block[100:108], u.mode, maxID)
	octal(block[108:116], u.uid, maxID)
	octal(block[116:124], u.gid, maxID)
	octal(block[124:136], u.size, maxOctal)
	octal(block[136:148], u.mtime, maxOctal)
	copy(block[148:156], "        ")
	block[156] = u.typeflag
	copy(block[157:257], u.link)
	copy(block[257:265], "ustar\x0000")
	octal(block[329:337], 0, maxID)
	octal(block[337:345], 0, maxID)
	octal(block[148:155], sumBytes(&block), maxID)
	block[155] = ' '
	return append(b, block[:]...)
}

// sumBytes adds the bytes of a block, eight at a time in lanes of 16 bits.
func sumBytes(block *[blockSize]byte) (sum int64) {
	const low = 0x00ff00ff00ff00ff
	lanes := uint64(0)
	for i := 0; i < blockSize; i += 8 {
		word := binary.LittleEndian.Uint64(block[i:])
		lanes += word&low + word>>8&low
	}
	for ; lanes > 0; lanes >>= 16 {
		sum += int64(lanes & 0xffff)
	}
	return sum
}

// octal fills a field with digits and a NUL.
func octal(field []byte, n, most int64) {
	if n > most {
		n = 0
	}
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = byte('0' + n&7)
		n >>= 3
	}
}

// paxRecords are the records of what the header block cannot hold, by key.
func paxRecords(e *Entry) []byte {
	if len(e.Xattrs) == 0 && len(e.Path) < nameSize && len(e.Target) <= nameSize &&
		e.UID <= maxID && e.GID <= maxID && e.Size <= maxOctal && e.Time <= maxOctal {
		return nil
	}
	var b []byte
	names := make([]string, 0, len(e.Xattrs))
	for name := range e.Xattrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendRecord(b, "SCHILY.xattr."+name, e.Xattrs[name])
	}
	number := func(key string, n, most int64) {
		if n > most {
			b = appendRecord(b, key, strconv.FormatInt(n, 10))
		}
	}
	number("gid", int64(e.GID), maxID)
	if len(e.Target) > nameSize {
		b = appendRecord(b, "linkpath", e.Target)
	}
	number("mtime", e.Time, maxOctal)
	if name := e.name(); len(name) > nameSize {
		b = appendRecord(b, "path", name)
	}
	number("size", e.Size, maxOctal)
	number("uid", int64(e.UID), maxID)
	return b
}

// appendRecord appends "LENGTH KEY=VALUE\n", where LENGTH counts itself.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(" ") + len(key) + len("=") + len(value) + len("\n")
	length := rest + len(strconv.Itoa(rest))
	if total := rest + len(strconv.Itoa(length)); total != length {
		length = total
	}
	return fmt.Appendf(b, "%d %s=%s\n", length, key, value)
}
