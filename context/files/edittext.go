package files

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// editText makes one change in the text of a context file, and leaves everything
// else as it is: comments, order, blank lines and ways of writing. The change makes
// sense, and its values are ones that a context file can have.
func editText(text []byte, c Change) ([]byte, error) {
	d, err := parseDocument(text)
	if err != nil {
		return nil, err
	}
	p := d.find(c.Key)
	switch {
	case c.Key == pinKey:
		return editPins(text, c)
	case c.Op == OpUnset:
		if p == nil {
			return text, nil
		}
		return d.withoutLines(p), nil
	case new(rawFile).list(c.Key) == nil:
		value := quote(c.Values[0])
		if c.Key == "public" {
			value = c.Values[0]
		}
		if p == nil {
			return d.withKey(c.Key, value), nil
		}
		return d.spliced(splice{p.value, p.end, value}), nil
	case p == nil:
		return d.withKey(c.Key, "["+strings.Join(quoteAll(unique(c.Values)), ", ")+"]"), nil
	}
	switch c.Op {
	case OpAdd:
		return d.withItems(p, quoteAll(lacking(p, unique(c.Values)))), nil
	case OpDel:
		return withoutItems(text, c.Key, func(s string) bool { return slices.Contains(c.Values, s) })
	}
	return setList(d, p, unique(c.Values))
}

// setList replaces what is in a list. What stays keeps its place and its comments,
// where the order allows.
func setList(d *document, p *pair, want []string) ([]byte, error) {
	const most = 50 // items taken out one by one
	out := 0
	var kept []string
	for _, it := range p.items {
		if slices.Contains(want, it.text) {
			kept = append(kept, it.text)
		} else {
			out++
		}
	}
	if out > most || !slices.Equal(kept, want[:min(len(kept), len(want))]) {
		return d.spliced(splice{p.value, p.end, d.rebuilt(p, want)}), nil
	}
	text, err := withoutItems(d.text, p.path[0], func(s string) bool { return !slices.Contains(want, s) })
	if err != nil {
		return nil, err
	}
	return editText(text, Change{Op: OpAdd, Key: p.path[0], Values: want})
}

func unique(values []string) (out []string) {
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// lacking returns the values that no item of p is.
func lacking(p *pair, values []string) []string {
	return slices.DeleteFunc(values, func(v string) bool {
		return slices.ContainsFunc(p.items, func(it item) bool { return it.text == v })
	})
}

// withoutItems takes the items out that match.
func withoutItems(text []byte, key string, match func(string) bool) ([]byte, error) {
	for {
		d, err := parseDocument(text)
		if err != nil {
			return nil, err
		}
		p := d.find(key)
		i := slices.IndexFunc(p.items, func(it item) bool { return match(it.text) })
		if i < 0 {
			return text, nil
		}
		text = d.withoutItem(p, i)
	}
}

// withItems puts elements at the end of a list or inline table, on lines of their
// own if the last one is.
func (d *document) withItems(p *pair, items []string) []byte {
	if len(items) == 0 {
		return d.text
	}
	if len(p.items) == 0 {
		return d.withFirstItems(p, items)
	}
	last := p.items[len(p.items)-1]
	at, comma := last.end, d.commaAfter(last.end)
	if comma >= 0 {
		at = comma + 1
	}
	between, tail := d.gap(p), ""
	if blanks, own := d.indent(last.start); own {
		between = d.newline() + blanks
		if rest := skip(d.text, at, " \t"); rest < len(d.text) && d.text[rest] == '#' {
			at = d.lineEnd(at)
		}
	}
	if comma >= 0 {
		tail = ","
	}
	text := between + strings.Join(items, ","+between) + tail
	if comma >= 0 {
		return d.spliced(splice{at, at, text})
	}
	return d.spliced(splice{last.end, last.end, ","}, splice{at, at, text})
}

// gap is what stands between comma and next item on a line of p.
func (d *document) gap(p *pair) string {
	if n := len(p.items); n > 1 {
		if comma := d.commaAfter(p.items[n-2].end); comma+1 == p.items[n-1].start {
			return ""
		}
	}
	return " "
}

// withFirstItems puts elements into a list or inline table that has none.
func (d *document) withFirstItems(p *pair, items []string) []byte {
	closing := p.end - 1
	if !d.hasComment(p.value, closing) {
		pad := ""
		if d.text[p.value] == '{' {
			pad = " "
		}
		open, end := string(d.text[p.value]), string(d.text[closing])
		return d.spliced(splice{p.value, p.end, open + pad + strings.Join(items, ", ") + pad + end})
	}
	// The last comment ends its line, so the bracket has only blanks before it.
	blanks, _ := d.indent(p.value + bytes.LastIndexByte(d.text[p.value:closing], '#'))
	if d.lineStart(closing) == d.nextLine(p.value) || blanks == "" {
		blanks = "    "
	}
	at := d.lineStart(closing)
	between := "," + d.newline()
	return d.spliced(splice{at, at, blanks + strings.Join(items, between+blanks) + between})
}

// withoutItem takes one element out, with the line and the comment that are its
// own.
func (d *document) withoutItem(p *pair, i int) []byte {
	it := p.items[i]
	comma := d.commaAfter(it.end)
	stop := it.end // of the item and a comma that is right behind it
	if comma >= 0 && skip(d.text, it.end, " \t") == comma {
		stop = comma + 1
	}
	rest := skip(d.text, stop, " \t")
	_, own := d.indent(it.start)
	ends := rest < p.end && bytes.IndexByte([]byte("#\r\n"), d.text[rest]) >= 0
	switch {
	case own && ends && (comma < 0 || stop == comma+1):
		line := splice{d.lineStart(it.start), d.nextLine(stop), ""}
		if comma < 0 && i > 0 {
			before := d.commaAfter(p.items[i-1].end)
			return d.spliced(splice{before, before + 1, ""}, line)
		}
		return d.spliced(line)
	case len(p.items) == 1 && !d.hasComment(p.value, it.start) && !d.hasComment(it.end, p.end):
		return d.spliced(splice{p.value + 1, p.end - 1, ""})
	case comma >= 0 && stop != comma+1:
		return d.spliced(splice{it.start, it.end, ""}, splice{comma, comma + 1, ""})
	case i+1 < len(p.items):
		return d.spliced(splice{it.start, rest, ""})
	case i > 0 && !d.hasComment(p.items[i-1].end, it.start):
		return d.spliced(splice{p.items[i-1].end, it.end, ""})
	}
	return d.spliced(splice{it.start, stop, ""})
}

// withoutLines takes a key out, with what else is on its lines.
func (d *document) withoutLines(p *pair) []byte {
	return d.spliced(splice{d.lineStart(p.start), d.nextLine(p.end), ""})
}

// withKey puts a key in: behind the others, and before a table.
func (d *document) withKey(key, value string) []byte {
	var others []pair
	for _, p := range d.pairs {
		if !p.inTable {
			others = append(others, p)
		}
	}
	line := key + d.equals(others, len(key)) + value
	nl := d.newline()
	switch {
	case len(others) > 0:
		last := others[len(others)-1]
		blanks, _ := d.indent(last.start)
		at := d.lineEnd(last.end)
		return d.spliced(splice{at, at, nl + blanks + line})
	case d.header >= 0:
		at := d.lineStart(d.header)
		for at > 0 && d.text[skip(d.text, d.lineStart(at-1), " \t")] == '#' {
			at = d.lineStart(at - 1) // what is said of the table stays with it
		}
		return d.spliced(splice{at, at, line + nl + nl})
	}
	if len(d.text) > 0 && d.text[len(d.text)-1] != '\n' {
		line = nl + line
	}
	return d.spliced(splice{len(d.text), len(d.text), line + nl})
}

// equals is what stands between a key of that length and its value, as others have
// it.
func (d *document) equals(others []pair, length int) string {
	if len(others) == 0 {
		return " = "
	}
	last := others[len(others)-1]
	aligned, differ := true, false
	column := func(p pair) int { return p.keyEnd - d.lineStart(p.start) }
	sign := func(p pair) int { return skip(d.text, p.keyEnd, " \t") - d.lineStart(p.start) }
	for _, p := range others {
		aligned = aligned && sign(p) == sign(last)
		differ = differ || column(p) != column(last)
	}
	blanks, _ := d.indent(last.start)
	switch pad := sign(last) - len(blanks) - length; {
	case aligned && differ && pad > 0:
		return strings.Repeat(" ", pad) + "= "
	case last.value == last.keyEnd+len("="):
		return "="
	}
	return " = "
}

// rebuilt writes a list anew, each value with the comments that it had.
func (d *document) rebuilt(p *pair, want []string) string {
	nl := d.newline()
	if !d.hasCommentIn(p) && !bytes.Contains(d.text[p.value:p.end], []byte("\n")) {
		return "[" + strings.Join(quoteAll(want), ", ") + "]"
	}
	base, _ := d.indent(p.start)
	inner := base + "    "
	if len(p.items) > 0 {
		if blanks, own := d.indent(p.items[0].start); own {
			inner = blanks
		}
	}
	above, beside, end := d.comments(p)
	var b strings.Builder
	b.WriteString("[" + nl)
	for _, v := range want {
		for _, c := range above[v] {
			b.WriteString(inner + c + nl)
		}
		b.WriteString(inner + quote(v) + ",")
		if c := beside[v]; c != "" {
			b.WriteString("  " + c)
		}
		b.WriteString(nl)
	}
	for _, c := range end {
		b.WriteString(inner + c + nl)
	}
	b.WriteString(base + "]")
	return b.String()
}

func (d *document) hasCommentIn(p *pair) bool {
	at := p.value
	for _, it := range p.items {
		if d.hasComment(at, it.start) {
			return true
		}
		at = it.end
	}
	return d.hasComment(at, p.end)
}

// comments returns the comments in a list: those on lines above a value, the one
// beside it, and those behind all values.
func (d *document) comments(p *pair) (above map[string][]string, beside map[string]string, end []string) {
	above, beside = make(map[string][]string), make(map[string]string)
	at, before := p.value+1, ""
	for i := 0; i <= len(p.items); i++ {
		stop := p.end - 1
		if i < len(p.items) {
			stop = p.items[i].start
		}
		var block []string
		for first := true; ; first = false {
			hash := bytes.IndexByte(d.text[at:stop], '#')
			if hash < 0 {
				break
			}
			hash += at
			comment := string(d.text[hash:d.lineEnd(hash)])
			if first && i > 0 && !bytes.Contains(d.text[at:hash], []byte("\n")) {
				beside[before] = comment
			} else {
				block = append(block, comment)
			}
			at = d.nextLine(hash)
		}
		if i == len(p.items) {
			end = block
			break
		}
		before, at = p.items[i].text, p.items[i].end
		above[before] = append(above[before], block...)
	}
	return above, beside, end
}

// quote writes a string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == utf8.RuneError || !unicode.IsPrint(r) && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func quoteAll(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = quote(v)
	}
	return out
}
