package server

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A transcript is a text of messages on one connection. Lines that begin with
// T are sent, lines that begin with R are replies that have to come next, in
// the form of messageText. A message without "tag N" has tag 1, a Tversion none;
// a reply without it has that of the message sent last. In a reply, "dir"
// stands for a qid of that type, "*" for any word, and "..." at the end for the
// rest. "hex" sends bytes, "closed" expects the end of the connection,
// "connect" begins a new one, "attached" likewise, with fid 0 attached. #
// begins a comment.
//
// Files whose names begin with "fast-" are run on files with the optional
// interfaces only.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d transcripts found: %v", len(files), err)
	}
	for _, file := range files {
		for _, fast := range []bool{true, false} {
			if !fast && strings.HasPrefix(filepath.Base(file), "fast-") {
				continue
			}
			t.Run(fmt.Sprintf("%s/fast=%v", filepath.Base(file), fast), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				runTranscript(t, string(text), fast)
			})
		}
	}
}

func runTranscript(t *testing.T, text string, fast bool) {
	tree := newMemTree(fast,
		"usr/bin/env=#!env\n", "usr/bin/python->python3.11", "usr/bin/python3.11=\x7fELF", "etc/motd=hello, world\n",
		"fifo|", "some names/a b=c")
	tree.find("etc/motd").xattrs = map[string]string{"user.a": "value a", "user.b": ""}
	connect := serveUnix(t, &Server{Attacher: tree, Limits: Limits{MaxMsize: 64 << 10}})
	c := connect()
	tag := uint16(1)
	for i, line := range strings.Split(text, "\n") {
		where := fmt.Sprintf("line %d: %s", i+1, line)
		line, _, _ = strings.Cut(line, "#!")
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || word[0] == '#':
		case word == "connect":
			c = connect()
		case word == "attached":
			c = connect()
			c.start(0)
		case word == "closed":
			if err := c.closed(); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
		case word == "hex":
			b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			c.raw(b)
		case word[0] == 'T':
			b, err := parseMessage(line)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			tag = le.Uint16(b[5:])
			c.raw(b)
		case word[0] == 'R':
			got := messageText(c.recv())
			if !matches(got, line, tag) {
				t.Fatalf("%s\ngot %s", where, got)
			}
		default:
			t.Fatalf("%s: not a line of a transcript", where)
		}
	}
}

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

func matches(got, pattern string, tag uint16) bool {
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

// parseMessage is the inverse of messageText, for requests.
func parseMessage(line string) ([]byte, error) {
	w := splitWords(line)
	typ := -1
	for i, l := range layouts {
		if l.name == w[0] {
			typ = i
		}
	}
	if typ < 0 {
		return nil, fmt.Errorf("no message %s", w[0])
	}
	tag := uint16(1)
	if byte(typ) == msgTversion {
		tag = noTag
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
	b := appendHeader(nil, byte(typ), tag)
	for _, f := range layouts[typ].fields {
		b = p.field(b, f)
	}
	if len(p.words) > 0 && p.err == nil {
		p.err = fmt.Errorf("words left: %q", p.words)
	}
	setSize(b, 0)
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
		return uint64(noFid)
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

func (p *wordParser) field(b []byte, f field) []byte {
	if f.name != "" {
		if w := p.next(); w != f.name && p.err == nil {
			p.err = fmt.Errorf("field %q, want %q", w, f.name)
		}
	}
	switch f.kind {
	case kindU8:
		return append(b, byte(p.number(8)))
	case kindU16:
		return le.AppendUint16(b, uint16(p.number(16)))
	case kindU32, kindHex32, kindMode, kindErrno:
		return le.AppendUint32(b, uint32(p.number(32)))
	case kindU64, kindHex64:
		return le.AppendUint64(b, p.number(64))
	case kindStr:
		return appendStr(b, p.str())
	case kindNames:
		b = le.AppendUint16(b, uint16(len(p.words)))
		for len(p.words) > 0 {
			b = appendStr(b, p.str())
		}
	case kindData:
		n, s := p.number(32), p.str()
		if int(n) != len(s) && p.err == nil {
			p.err = fmt.Errorf("%d bytes of data, want %d", len(s), n)
		}
		return append(le.AppendUint32(b, uint32(n)), s...)
	default:
		p.err = fmt.Errorf("kind of field %d is of replies only", f.kind)
	}
	return b
}
