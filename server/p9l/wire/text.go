package wire

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"syscall"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

const (
	shownBytes = 64   // of data and of strange messages that a text shows
	shownText  = 4096 // of a text
)

// Text writes a whole message as text: its name, its tag, and its
// fields by name: "Twalk tag 1 fid 1 newfid 2 usr bin". What cannot be decoded
// is shown in hexadecimal.
func Text(frame []byte) string {
	if len(frame) < HeaderSize {
		return "short " + hex.EncodeToString(frame)
	}
	l := &layouts[frame[4]]
	name := l.Name
	if name == "" {
		name = "type" + strconv.Itoa(int(frame[4]))
	}
	b := append([]byte(name), " tag "...)
	b = strconv.AppendUint(b, uint64(le.Uint16(frame[5:])), 10)
	d := Decode(frame[HeaderSize:])
	body := d.b
	fields := b
	for _, f := range l.Fields {
		fields = appendField(fields, f, &d)
	}
	if d.End() {
		if len(fields) > shownText {
			fields = append(fields[:shownText], "..."...)
		}
		return string(fields)
	}
	shown := body[:min(len(body), shownBytes)]
	return fmt.Sprintf("%s malformed, %d bytes: %x", b, len(body), shown)
}

func appendField(b []byte, f Field, d *Decoder) []byte {
	if f.Name != "" {
		b = append(append(b, ' '), f.Name...)
	}
	switch f.Kind {
	case KindU8:
		return appendNumber(b, uint64(d.U8()), 10)
	case KindU16:
		return appendNumber(b, uint64(d.U16()), 10)
	case KindU32:
		return appendNumber(b, uint64(d.U32()), 10)
	case KindU64:
		return appendNumber(b, d.U64(), 10)
	case KindHex32:
		return appendNumber(b, uint64(d.U32()), 16)
	case KindHex64:
		return appendNumber(b, d.U64(), 16)
	case KindMode:
		return appendNumber(b, uint64(d.U32()), 8)
	case KindErrno:
		return append(append(b, ' '), ErrnoName(d.U32())...)
	case KindStr:
		return appendWord(b, d.View())
	case KindNames:
		for n := d.U16(); n > 0 && !d.bad; n-- {
			b = appendWord(b, d.View())
		}
	case KindQID:
		return appendQIDText(b, d.QID())
	case KindQIDs:
		for n := d.U16(); n > 0 && !d.bad; n-- {
			b = appendQIDText(b, d.QID())
		}
	case KindData:
		return appendData(b, d.Data())
	case KindDirents:
		for _, entry := range d.Dirents() {
			b = appendWord(b, entry.Name)
			b = append(strconv.AppendUint(append(b, '@'), entry.Offset, 10), ':')
			b = append(append(b, direntTypeName(uint8(entry.Type))...), appendQIDText(nil, entry.QID)...)
		}
	}
	return b
}

func appendNumber(b []byte, v uint64, base int) []byte {
	b = append(b, ' ')
	switch {
	case base == 16:
		b = append(b, "0x"...)
	case base == 8 && v != 0:
		b = append(b, '0')
	case v == uint64(NoFid):
		return append(b, "none"...)
	}
	return strconv.AppendUint(b, v, base)
}

// appendWord writes a string, quoted where it would not read as one word.
func appendWord(b []byte, s string) []byte {
	b = append(b, ' ')
	plain := s != ""
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' {
			plain = false
		}
	}
	if plain {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

func appendData(b, data []byte) []byte {
	b = append(strconv.AppendInt(append(b, ' '), int64(len(data)), 10), ' ')
	if len(data) > shownBytes {
		return append(strconv.AppendQuote(b, string(data[:shownBytes])), "..."...)
	}
	return strconv.AppendQuote(b, string(data))
}

// appendQIDText writes a qid as its type, path and version: "dir#1.0".
func appendQIDText(b []byte, q p9.QID) []byte {
	name := "qid" + strconv.Itoa(int(q.Type))
	switch q.Type {
	case p9.TypeRegular:
		name = "file"
	case p9.TypeDir:
		name = "dir"
	case p9.TypeSymlink:
		name = "symlink"
	case p9.TypeAppendOnly:
		name = "append"
	}
	b = append(append(b, ' '), name...)
	b = strconv.AppendUint(append(b, '#'), q.Path, 10)
	return strconv.AppendUint(append(b, '.'), uint64(q.Version), 10)
}

func direntTypeName(t uint8) string {
	switch t {
	case unix.DT_DIR:
		return "dir"
	case unix.DT_REG:
		return "reg"
	case unix.DT_LNK:
		return "lnk"
	case unix.DT_UNKNOWN:
		return "unknown"
	}
	return strconv.Itoa(int(t))
}

// ErrnoName is the name of an error number as Linux programs know it.
func ErrnoName(n uint32) string {
	if n == uint32(linux.EOPNOTSUPP) {
		return "EOPNOTSUPP" // x/sys has the other name, ENOTSUP
	}
	if name := unix.ErrnoName(syscall.Errno(n)); name != "" {
		return name
	}
	return strconv.Itoa(int(n))
}
