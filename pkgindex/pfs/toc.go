package pfs

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The table of contents is an object with the keys version, frames and entries,
// in this order. frames has for each frame how many bytes it has in the package
// file and unpacked; readers of zstd:chunked pass over it. entries are the
// members in the order of the archive, with the fields of zstd:chunked.
const tocVersion = 1

// A tocEntry is one element of entries.
type tocEntry struct {
	name, typ, modtime, link string

	size, mode, uid, gid      int64
	offset, inner             int64 // of the frame in the package file; in the frame, unpacked
	chunkOffset, chunkSize    int64
	digest, chunkDigest       [32]byte
	hasDigest, hasChunkDigest bool

	xattrs map[string]string
}

// appendTOCEntry writes an element. What is zero is left out.
func appendTOCEntry(b []byte, e *tocEntry) []byte {
	text := func(key, value string) {
		if value != "" {
			b = append(b, `,"`+key+`":`...)
			b, _ = jsontext.AppendQuote(b, value) // it was checked to be UTF-8
		}
	}
	number := func(key string, n int64) {
		if n != 0 {
			b = append(b, `,"`+key+`":`...)
			b = strconv.AppendInt(b, n, 10)
		}
	}
	sum := func(key string, has bool, digest [32]byte) {
		if has {
			b = append(b, `,"`+key+`":"`+digestPrefix...)
			b = hex.AppendEncode(b, digest[:])
			b = append(b, '"')
		}
	}
	b = append(b, `{"name":`...)
	b, _ = jsontext.AppendQuote(b, e.name)
	text("type", e.typ)
	number("size", e.size)
	text("modtime", e.modtime)
	text("linkName", e.link)
	number("mode", e.mode)
	number("uid", e.uid)
	number("gid", e.gid)
	number("offset", e.offset)
	number("innerOffset", e.inner)
	if len(e.xattrs) > 0 {
		b = append(b, `,"xattrs":{`...)
		for i, name := range slices.Sorted(maps.Keys(e.xattrs)) {
			if i > 0 {
				b = append(b, ',')
			}
			b, _ = jsontext.AppendQuote(b, name)
			b = append(b, ':', '"')
			b = base64.StdEncoding.AppendEncode(b, []byte(e.xattrs[name]))
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	sum("digest", e.hasDigest, e.digest)
	number("chunkOffset", e.chunkOffset)
	number("chunkSize", e.chunkSize)
	sum("chunkDigest", e.hasChunkDigest, e.chunkDigest)
	return append(b, '}')
}

const digestPrefix = "sha256:"

// timeText writes a modification time, timeOf reads it.
func timeText(sec int64) string { return time.Unix(sec, 0).UTC().Format(time.RFC3339) }

func timeOf(text string) (int64, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Nanosecond() != 0 {
		return 0, fmt.Errorf("modtime %q is not a time in whole seconds", text)
	}
	return t.Unix(), nil
}

// A tocReader reads a table of contents as it comes, in bounded memory. jsontext is
// here for that: the decoder of encoding/json makes a new value of each token.
type tocReader struct {
	dec   *jsontext.Decoder
	entry tocEntry
	buf   []byte
}

func newTOCReader(r io.Reader) *tocReader {
	// Decoding costs a fifth less where duplicates are left to the reader, which
	// refuses them below.
	return &tocReader{dec: jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true))}
}

// read calls frame for each frame and then entry for each entry, which is valid
// during the call. Text behind the table is an error.
func (t *tocReader) read(frame func(packed, size int64) error, entry func(*tocEntry) error) error {
	if err := t.token('{'); err != nil {
		return err
	}
	if err := t.key("version"); err != nil {
		return err
	}
	if v, err := t.number(); err != nil || v != tocVersion {
		return fmt.Errorf("version %d; only %d can be read", v, tocVersion)
	}
	if err := t.key("frames"); err != nil {
		return err
	}
	if err := t.each(func() error { return t.frame(frame) }); err != nil {
		return err
	}
	if err := t.key("entries"); err != nil {
		return err
	}
	if err := t.each(func() error { return t.element(entry) }); err != nil {
		return err
	}
	if err := t.token('}'); err != nil {
		return err
	}
	if _, err := t.dec.ReadToken(); err != io.EOF {
		return errors.New("there is more text behind it")
	}
	return nil
}

// token reads one delimiter.
func (t *tocReader) token(want jsontext.Kind) error {
	tok, err := t.dec.ReadToken()
	if err == nil && tok.Kind() != want {
		err = fmt.Errorf("has %s where %s belongs", tok.Kind(), want)
	}
	return unexpectedEnd(err)
}

// unexpectedEnd: a table has its end in itself.
func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// key reads the name of a member that must come next.
func (t *tocReader) key(want string) error {
	v, err := t.dec.ReadValue()
	if err == nil && string(v) != `"`+want+`"` {
		err = fmt.Errorf("has %.100s where %q belongs", v, want)
	}
	return unexpectedEnd(err)
}

// each reads an array, whose elements do reads.
func (t *tocReader) each(do func() error) error {
	if err := t.token('['); err != nil {
		return err
	}
	for t.dec.PeekKind() != ']' {
		if err := do(); err != nil {
			return err
		}
	}
	return t.token(']')
}

// number reads a number that is not negative.
func (t *tocReader) number() (int64, error) {
	v, err := t.dec.ReadValue()
	if err != nil {
		return 0, unexpectedEnd(err)
	}
	n, err := strconv.ParseUint(string(v), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%.100s is not a number from 0 on", v)
	}
	return int64(n), nil
}

// text reads a string. It is valid until the next call.
func (t *tocReader) text() ([]byte, error) {
	v, err := t.dec.ReadValue()
	if err != nil {
		return nil, unexpectedEnd(err)
	}
	if v.Kind() != '"' {
		return nil, fmt.Errorf("%.100s is not a string", v)
	}
	t.buf, err = jsontext.AppendUnquote(t.buf[:0], v)
	return t.buf, err
}

func (t *tocReader) frame(do func(packed, size int64) error) error {
	if err := t.token('['); err != nil {
		return err
	}
	packed, err := t.number()
	if err != nil {
		return err
	}
	size, err := t.number()
	if err != nil {
		return err
	}
	if err := t.token(']'); err != nil {
		return err
	}
	return do(packed, size)
}

// element reads one element of entries.
func (t *tocReader) element(do func(*tocEntry) error) error {
	if err := t.token('{'); err != nil {
		return err
	}
	t.entry = tocEntry{}
	var seen uint32
	for t.dec.PeekKind() == '"' {
		key, err := t.dec.ReadValue()
		if err != nil {
			return unexpectedEnd(err)
		}
		bit, err := t.field(key)
		if err != nil {
			return fmt.Errorf("entry %q: %w", t.entry.name, err)
		}
		if seen&bit != 0 {
			return fmt.Errorf("entry %q has a field twice", t.entry.name)
		}
		seen |= bit
	}
	if err := t.token('}'); err != nil {
		return err
	}
	return do(&t.entry)
}

// field reads the value of a field, and returns a bit that stands for it.
func (t *tocReader) field(key jsontext.Value) (bit uint32, err error) {
	e := &t.entry
	text := func(into *string) error {
		v, err := t.text()
		*into = string(v)
		return err
	}
	number := func(into *int64) (err error) { *into, err = t.number(); return err }
	switch string(key) {
	case `"name"`:
		return 1 << 0, text(&e.name)
	case `"type"`:
		v, err := t.text()
		e.typ = typeName(v)
		return 1 << 1, err
	case `"size"`:
		return 1 << 2, number(&e.size)
	case `"modtime"`:
		return 1 << 3, text(&e.modtime)
	case `"linkName"`:
		return 1 << 4, text(&e.link)
	case `"mode"`:
		return 1 << 5, number(&e.mode)
	case `"uid"`:
		return 1 << 6, number(&e.uid)
	case `"gid"`:
		return 1 << 7, number(&e.gid)
	case `"offset"`:
		return 1 << 8, number(&e.offset)
	case `"innerOffset"`:
		return 1 << 9, number(&e.inner)
	case `"xattrs"`:
		return 1 << 10, t.xattrs()
	case `"digest"`:
		e.hasDigest = true
		return 1 << 11, t.digest(&e.digest)
	case `"chunkOffset"`:
		return 1 << 12, number(&e.chunkOffset)
	case `"chunkSize"`:
		return 1 << 13, number(&e.chunkSize)
	case `"chunkDigest"`:
		e.hasChunkDigest = true
		return 1 << 14, t.digest(&e.chunkDigest)
	}
	return 0, fmt.Errorf("unknown field %.100s", key)
}

// typeName saves the allocation for a type that is known.
func typeName(v []byte) string {
	switch Type(v) {
	case Regular:
		return string(Regular)
	case Directory:
		return string(Directory)
	case chunk:
		return string(chunk)
	}
	return string(v)
}

func (t *tocReader) digest(into *[32]byte) error {
	v, err := t.text()
	if err != nil {
		return err
	}
	if len(v) == len(digestPrefix)+64 && string(v[:len(digestPrefix)]) == digestPrefix {
		if _, err := hex.Decode(into[:], v[len(digestPrefix):]); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%.100q is not a digest sha256:…", v)
}

func (t *tocReader) xattrs() error {
	if err := t.token('{'); err != nil {
		return err
	}
	t.entry.xattrs = make(map[string]string)
	for t.dec.PeekKind() == '"' {
		v, err := t.text()
		if err != nil {
			return err
		}
		name := string(v)
		if v, err = t.text(); err != nil {
			return err
		}
		value, err := base64.StdEncoding.Strict().DecodeString(string(v))
		if err != nil {
			return fmt.Errorf("xattr %q: %w", name, err)
		}
		if _, twice := t.entry.xattrs[name]; twice {
			return fmt.Errorf("xattr %q is there twice", name)
		}
		t.entry.xattrs[name] = string(value)
	}
	return t.token('}')
}
