package files

import (
	"slices"
	"strings"
)

// Pins are written as an inline table, below the header [pin], or as keys pin.NAME.
// New ones go where the others are.

// editPins makes one change of pins in the text of a context file.
func editPins(text []byte, c Change) ([]byte, error) {
	switch {
	case c.Op == OpUnset && len(c.Values) == 0:
		return withoutPins(text)
	case c.Op == OpDel || c.Op == OpUnset:
		return eachPin(text, unique(c.Values), (*document).withoutPin)
	}
	return eachPin(text, c.Values, (*document).withPin)
}

// eachPin edits a text once for each value.
func eachPin(text []byte, values []string, edit func(*document, string) []byte) ([]byte, error) {
	for _, v := range values {
		d, err := parseDocument(text)
		if err != nil {
			return nil, err
		}
		text = edit(d, v)
	}
	return text, nil
}

// pin returns the pair of a pin that is one, or nil.
func (d *document) pin(name string) *pair {
	i := slices.IndexFunc(d.pairs, func(p pair) bool { return isPin(p) && p.path[1] == name })
	if i < 0 {
		return nil
	}
	return &d.pairs[i]
}

func isPin(p pair) bool { return len(p.path) == 2 && p.path[0] == pinKey }

// withPin sets one pin, NAME=VERSION.
func (d *document) withPin(pin string) []byte {
	name, version, _ := strings.Cut(pin, "=")
	value := quote(version)
	if p := d.pin(name); p != nil {
		return d.spliced(splice{p.value, p.end, value})
	}
	if p := d.find(pinKey); p != nil {
		for _, it := range p.items {
			if it.text == name {
				return d.spliced(splice{it.value, it.end, value})
			}
		}
		return d.withItems(p, []string{quote(name) + " = " + value})
	}
	var pins []pair
	for _, p := range d.pairs {
		if isPin(p) {
			pins = append(pins, p)
		}
	}
	switch {
	case d.header < 0 && len(pins) == 0:
		return d.withKey(pinKey, "{ "+quote(name)+" = "+value+" }")
	case len(pins) == 0:
		at := d.lineEnd(d.header)
		return d.spliced(splice{at, at, d.newline() + quote(name) + " = " + value})
	}
	last := pins[len(pins)-1]
	key := quote(name)
	if !last.inTable {
		key = pinKey + "." + key
	}
	blanks, _ := d.indent(last.start)
	at := d.lineEnd(last.end)
	return d.spliced(splice{at, at, d.newline() + blanks + key + d.equals(pins, len(key)) + value})
}

// withoutPin takes one pin out.
func (d *document) withoutPin(name string) []byte {
	if p := d.pin(name); p != nil {
		return d.withoutLines(p)
	}
	if p := d.find(pinKey); p != nil {
		if i := slices.IndexFunc(p.items, func(it item) bool { return it.text == name }); i >= 0 {
			return d.withoutItem(p, i)
		}
	}
	return d.text
}

// withoutPins takes all of them out.
func withoutPins(text []byte) ([]byte, error) {
	d, err := parseDocument(text)
	if err != nil {
		return nil, err
	}
	var lines []splice
	for _, p := range d.pairs {
		if p.path[0] != pinKey {
			continue
		}
		if p.inTable && !slices.ContainsFunc(lines, func(s splice) bool { return s.start == d.lineStart(d.header) }) {
			lines = append(lines, splice{d.lineStart(d.header), d.nextLine(d.header), ""})
		}
		lines = append(lines, splice{d.lineStart(p.start), d.nextLine(p.end), ""})
	}
	if len(lines) == 0 && d.header >= 0 {
		lines = append(lines, splice{d.lineStart(d.header), d.nextLine(d.header), ""})
	}
	return d.spliced(lines...), nil
}
