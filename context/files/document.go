package files

import (
	"bytes"
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A document is the text of a context file that Parse accepts, and where in
// it stands what can be edited. Offsets are in bytes. The text is edited by hand since
// TOML libraries write anew what they read, without its comments and its order; from
// go-toml's unstable parser come the places of keys and values, which its stable
// decoder, by which files are read, does not tell.
type document struct {
	text   []byte
	pairs  []pair // keys with values, in order
	header int    // offset within the line of the header [pin], or −1
}

// A pair is a key with its value, outside of inline tables.
type pair struct {
	path    []string // "allow", or "pin" and a name
	inTable bool     // below the header, of which path has the first part

	start, keyEnd int // of the key
	value, end    int // of the value
	brackets      bool
	items         []item // of a value in brackets
}

// An item is an element of a list or of an inline table.
type item struct {
	start, end int
	text       string // of an element; of an inline table's, the key
	value      int    // offset of the value
}

func parseDocument(text []byte) (*document, error) {
	d := &document{text: text, header: -1}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		switch node := p.Expression(); node.Kind {
		case unstable.Table:
			path, start, _ := keyOf(node)
			table, d.header = path, start
		case unstable.KeyValue:
			path, start, keyEnd := keyOf(node)
			kv := pair{
				path: append(table[:len(table):len(table)], path...), inTable: table != nil,
				start: start, keyEnd: keyEnd, value: d.valueAfter(keyEnd), end: endOf(node),
			}
			kv.items, kv.brackets = d.items(node.Value())
			d.pairs = append(d.pairs, kv)
		default:
			return nil, fmt.Errorf("unexpected %s", node.Kind)
		}
	}
	return d, p.Error()
}

// keyOf returns the parts of a key, and where the text of it is.
func keyOf(node *unstable.Node) (path []string, start, end int) {
	for it := node.Key(); it.Next(); {
		if path == nil {
			start = int(it.Node().Raw.Offset)
		}
		path = append(path, string(it.Node().Data))
		end = endOf(it.Node())
	}
	return path, start, end
}

func endOf(node *unstable.Node) int { return int(node.Raw.Offset) + int(node.Raw.Length) }

// valueAfter returns where the value is whose key ends at i.
func (d *document) valueAfter(i int) int {
	i = skip(d.text, i, " \t")
	return skip(d.text, i+len("="), " \t")
}

func (d *document) items(value *unstable.Node) (items []item, brackets bool) {
	if value.Kind != unstable.Array && value.Kind != unstable.InlineTable {
		return nil, false
	}
	for it := value.Children(); it.Next(); {
		switch node := it.Node(); node.Kind {
		case unstable.KeyValue:
			path, start, keyEnd := keyOf(node)
			items = append(items, item{start, endOf(node), path[0], d.valueAfter(keyEnd)})
		default:
			start := int(node.Raw.Offset)
			items = append(items, item{start, endOf(node), string(node.Data), start})
		}
	}
	return items, true
}

// find returns the pair of a key outside of tables, or nil.
func (d *document) find(key string) *pair {
	for i := range d.pairs {
		if p := &d.pairs[i]; len(p.path) == 1 && p.path[0] == key {
			return p
		}
	}
	return nil
}

// A splice replaces a part of a text.
type splice struct {
	start, end int
	with       string
}

// spliced applies splices, which are in order and do not overlap.
func (d *document) spliced(list ...splice) []byte {
	var out []byte
	at := 0
	for _, s := range list {
		out = append(append(out, d.text[at:s.start]...), s.with...)
		at = s.end
	}
	return append(out, d.text[at:]...)
}

// newline is how lines end in the text.
func (d *document) newline() string {
	if i := bytes.IndexByte(d.text, '\n'); i > 0 && d.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineStart returns where the line of i begins.
func (d *document) lineStart(i int) int { return bytes.LastIndexByte(d.text[:i], '\n') + 1 }

// lineEnd returns where the line of i ends, before its newline.
func (d *document) lineEnd(i int) int {
	end := bytes.IndexByte(d.text[i:], '\n')
	if end < 0 {
		return len(d.text)
	}
	if end += i; end > i && d.text[end-1] == '\r' {
		end--
	}
	return end
}

// nextLine returns where the line after that of i begins.
func (d *document) nextLine(i int) int {
	if end := bytes.IndexByte(d.text[i:], '\n'); end >= 0 {
		return i + end + 1
	}
	return len(d.text)
}

// indent returns the blanks that the line of i begins with, and whether there is
// nothing else before i.
func (d *document) indent(i int) (blanks string, only bool) {
	start := d.lineStart(i)
	end := skip(d.text, start, " \t")
	return string(d.text[start:min(end, i)]), end >= i
}

// commaAfter returns where the comma behind an item that ends at i is, or −1.
func (d *document) commaAfter(i int) int {
	for i < len(d.text) {
		switch i = skip(d.text, i, " \t\r\n"); {
		case i == len(d.text):
		case d.text[i] == '#':
			i = d.nextLine(i)
		case d.text[i] == ',':
			return i
		default:
			return -1
		}
	}
	return -1
}

// skip returns the first offset from i on that has none of these bytes.
func skip(text []byte, i int, set string) int {
	for i < len(text) && bytes.IndexByte([]byte(set), text[i]) >= 0 {
		i++
	}
	return i
}

// hasComment says whether there is a comment in a part of the text that has
// neither keys nor values.
func (d *document) hasComment(start, end int) bool {
	return bytes.IndexByte(d.text[start:end], '#') >= 0
}
