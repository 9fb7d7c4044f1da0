package generate

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// A library is one entry of the cache of the C library's loader: where the shared
// library with a name is.
type library struct {
	soname string
	path   string // absolute
	flags  uint32
}

// machineFlags are the marks by which the loader of a machine knows its libraries,
// by the machine's number in ELF files.
var machineFlags = map[elf.Machine]uint32{
	elf.EM_X86_64:  0x0303,
	elf.EM_AARCH64: 0x0a03,
	elf.EM_RISCV:   0x1003, // double floats
	elf.EM_PPC64:   0x0503,
}

// The format is that of glibc 2.2 and later without its predecessor in front,
// as ldconfig writes it by default since 2.32: a head, entries, strings. Offsets
// of strings count from the beginning of the file.
const (
	cacheMagic        = "glibc-ld.so.cache1.1"
	cacheHead         = 48
	cacheEntry        = 24
	cacheLittleEndian = 2
)

// encodeCache returns the cache. Of libraries with one name and the same flags the
// loader takes the first.
func encodeCache(libraries []library) []byte {
	libraries = slices.Clone(libraries)
	slices.SortStableFunc(libraries, func(a, b library) int {
		return cmp.Or(compareSonames(b.soname, a.soname), cmp.Compare(b.flags, a.flags))
	})
	le := binary.LittleEndian
	out := make([]byte, cacheHead, cacheHead+len(libraries)*cacheEntry)
	copy(out, cacheMagic)
	le.PutUint32(out[20:], uint32(len(libraries)))
	out[28] = cacheLittleEndian
	var text strings.Builder
	base := uint32(cacheHead + len(libraries)*cacheEntry)
	at := make(map[string]uint32)
	place := func(s string) uint32 {
		off, ok := at[s]
		if !ok {
			off = base + uint32(text.Len())
			at[s] = off
			text.WriteString(s + "\x00")
		}
		return off
	}
	for _, l := range libraries {
		out = le.AppendUint32(out, l.flags)
		out = le.AppendUint32(out, place(l.soname))
		out = le.AppendUint32(out, place(l.path))
		out = append(out, make([]byte, 12)...) // any kernel, any processor
	}
	le.PutUint32(out[24:], uint32(text.Len()))
	return append(out, text.String()...)
}

// compareSonames orders names as the loader does when it searches: runs of digits
// by their value.
func compareSonames(a, b string) int {
	for a != "" && b != "" {
		switch x, y := isDigit(a[0]), isDigit(b[0]); {
		case x && y:
			var m, n int
			m, a = leadingNumber(a)
			n, b = leadingNumber(b)
			if m != n {
				return cmp.Compare(m, n)
			}
		case x:
			return 1
		case y:
			return -1
		case a[0] != b[0]:
			return cmp.Compare(a[0], b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return cmp.Compare(len(a), len(b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// leadingNumber cuts a run of digits off. Names with numbers that the loader
// cannot count to are never asked about; see usableName.
func leadingNumber(s string) (n int, rest string) {
	for s != "" && isDigit(s[0]) {
		n = min(n*10+int(s[0]-'0'), math.MaxInt32)
		s = s[1:]
	}
	return n, s
}

// usableName says whether a name may stand in the cache: the loader searches in
// it by an order that is one only for names such as these.
func usableName(s string) bool {
	run := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c > '~' || c == '/':
			return false
		case isDigit(c):
			if run++; run > 9 {
				return false
			}
		default:
			run = 0
		}
	}
	return s != "" && len(s) <= 255
}
