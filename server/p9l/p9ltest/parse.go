package p9ltest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// splitWords splits at blanks outside of quotes.
func splitWords(s string) (words []string) {
	var word strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted && i+1 < len(s):
			word.WriteString(s[i : i+2])
			i++
			continue
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ' ' && !quoted:
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			continue
		}
		word.WriteByte(s[i])
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

// Matches tells whether a message in text form is one of a transcript: there a
// tag that is the one given may be left out, "dir" stands for a qid of that type,
// "*" for any word, and "..." at the end for the rest.
func Matches(got, pattern string, tag uint16) bool {
	g, p := splitWords(got), splitWords(pattern)
	if len(p) < 2 || p[1] != "tag" {
		p = append([]string{p[0], "tag", strconv.Itoa(int(tag))}, p[1:]...)
	}
	for i, w := range p {
		if w == "..." && i == len(p)-1 {
			return true
		}
		if i >= len(g) {
			return false
		}
		kind, _, isQID := strings.Cut(g[i], "#")
		if w != "*" && w != g[i] && !(isQID && w == kind) {
			return false
		}
	}
	return len(g) == len(p)
}

// Parse is the inverse of wire.Text, for requests. Without "tag N" the tag is 1,
// that of a Tversion none.
func Parse(line string) ([]byte, error) {
	w := splitWords(line)
	typ := -1
	for i := range 256 {
		if wire.Name(byte(i)) == w[0] {
			typ = i
		}
	}
	if typ < 0 {
		return nil, fmt.Errorf("no message %s", w[0])
	}
	tag := uint16(1)
	if byte(typ) == wire.Tversion {
		tag = wire.NoTag
	}
	w = w[1:]
	if len(w) > 1 && w[0] == "tag" {
		n, err := strconv.ParseUint(w[1], 0, 16)
		if err != nil {
			return nil, err
		}
		tag, w = uint16(n), w[2:]
	}
	p := wordParser{words: w}
	b := wire.AppendHeader(nil, byte(typ), tag)
	for _, f := range wire.LayoutOf(byte(typ)).Fields {
		b = p.field(b, f)
	}
	if len(p.words) > 0 && p.err == nil {
		p.err = fmt.Errorf("words left: %q", p.words)
	}
	wire.PutSize(b, 0)
	return b, p.err
}

type wordParser struct {
	words []string
	err   error
}

func (p *wordParser) next() string {
	if len(p.words) == 0 {
		p.err = fmt.Errorf("a field is missing")
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *wordParser) number(bits int) uint64 {
	w := p.next()
	if w == "none" {
		return uint64(wire.NoFid)
	}
	n, err := strconv.ParseUint(w, 0, bits)
	if err != nil {
		p.err = err
	}
	return n
}

func (p *wordParser) str() string {
	w := p.next()
	if strings.HasPrefix(w, `"`) {
		s, err := strconv.Unquote(w)
		if err != nil {
			p.err = err
		}
		return s
	}
	return w
}

func (p *wordParser) field(b []byte, f wire.Field) []byte {
	if f.Name != "" {
		if w := p.next(); w != f.Name && p.err == nil {
			p.err = fmt.Errorf("field %q, want %q", w, f.Name)
		}
	}
	switch f.Kind {
	case wire.KindU8:
		return append(b, byte(p.number(8)))
	case wire.KindU16:
		return le.AppendUint16(b, uint16(p.number(16)))
	case wire.KindU32, wire.KindHex32, wire.KindMode, wire.KindErrno:
		return le.AppendUint32(b, uint32(p.number(32)))
	case wire.KindU64, wire.KindHex64:
		return le.AppendUint64(b, p.number(64))
	case wire.KindStr:
		return wire.AppendStr(b, p.str())
	case wire.KindNames:
		b = le.AppendUint16(b, uint16(len(p.words)))
		for len(p.words) > 0 {
			b = wire.AppendStr(b, p.str())
		}
	case wire.KindData:
		n, s := p.number(32), p.str()
		if int(n) != len(s) && p.err == nil {
			p.err = fmt.Errorf("%d bytes of data, want %d", len(s), n)
		}
		return append(le.AppendUint32(b, uint32(n)), s...)
	default:
		p.err = fmt.Errorf("kind of field %d is of replies only", f.Kind)
	}
	return b
}
