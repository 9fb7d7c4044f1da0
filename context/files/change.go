package files

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// A ChangeOp is what a Change does to a key of a context file.
type ChangeOp string

const (
	OpAdd   ChangeOp = "add"   // put values into a list that are not there yet
	OpDel   ChangeOp = "del"   // take values out of a list; each must be there
	OpSet   ChangeOp = "set"   // give a single value, or replace a whole list
	OpUnset ChangeOp = "unset" // take the key out of the file
)

// A Change is one change of one context file.
//
// The lists are allow, deny, toplevel, prefer and members. The single values are
// dependencies, mutable and public. Of pin, whose Values are NAME=VERSION, add and
// set pin these names and leave other pins as they are; del and unset take Values
// that are NAME alone, and unset without Values takes out all pins.
type Change struct {
	Context string // "system", or the attach name of a user or group
	Op      ChangeOp
	Key     string
	Values  []string
}

const (
	pinKey = "pin"

	// maxValues bounds one Edit, since each value may take a pass over the file.
	maxValues = 1000
)

// String writes the change as a person would say it: add toplevel gcc gdb.
func (c Change) String() string {
	return strings.Join(append([]string{string(c.Op), c.Key}, c.Values...), " ")
}

// An editError is an error in words that belongs to a class, for errors.Is.
type editError struct {
	text  string
	class error
}

func (e *editError) Error() string { return e.text }
func (e *editError) Unwrap() error { return e.class }

// refusef is the error for a change that makes no sense.
func refusef(format string, args ...any) error {
	return &editError{fmt.Sprintf(format, args...), fs.ErrInvalid}
}

// absentf is the error for something that is not there.
func absentf(format string, args ...any) error {
	return &editError{fmt.Sprintf(format, args...), fs.ErrNotExist}
}

// decodeRaw reads a text that Parse accepts.
func decodeRaw(text []byte) (*rawFile, error) {
	var raw rawFile
	if err := toml.NewDecoder(bytes.NewReader(text)).Decode(&raw); err != nil {
		return nil, describeTOML(err)
	}
	return &raw, nil
}

// list returns where the list of that key is, or nil if the key has none.
func (f *rawFile) list(key string) **[]string {
	switch key {
	case "allow":
		return &f.Allow
	case "deny":
		return &f.Deny
	case "toplevel":
		return &f.Toplevel
	case "prefer":
		return &f.Prefer
	case "members":
		return &f.Members
	}
	return nil
}

// means says whether two files say the same.
func (f *rawFile) means(o *rawFile) bool {
	for _, key := range fileKeys {
		if list := f.list(key); list != nil {
			a, b := *list, *o.list(key)
			if (a == nil) != (b == nil) || a != nil && !slices.Equal(*a, *b) {
				return false
			}
		}
	}
	return maps.Equal(f.Pin, o.Pin) && same(f.Dependencies, o.Dependencies) &&
		same(f.Mutable, o.Mutable) && same(f.Public, o.Public)
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// apply makes f say what it says after c. It decides whether c makes sense; whether
// the values do is decided when the whole file is checked.
func (f *rawFile) apply(c Change) error {
	switch c.Op {
	case OpAdd, OpDel, OpSet:
		if len(c.Values) == 0 {
			return refusef("%s: no values; want: %s %s VALUE…", c.Key, c.Op, c.Key)
		}
	case OpUnset:
	default:
		return refusef("%q is not a change; there are %s, %s, %s and %s", c.Op, OpAdd, OpDel, OpSet, OpUnset)
	}
	for _, v := range c.Values {
		if !utf8.ValidString(v) {
			return refusef("%s: %q is not UTF-8", c.Key, v)
		}
	}
	switch list := f.list(c.Key); {
	case c.Key == pinKey:
		return f.applyPin(c)
	case list != nil:
		return applyList(list, c)
	case slices.Contains(fileKeys, c.Key):
		return f.applySingle(c)
	}
	return &editError{unknownKey(c.Key).Error(), fs.ErrInvalid}
}

func applyList(list **[]string, c Change) error {
	var old []string
	if *list != nil {
		old = **list
	}
	next := slices.Clone(old)
	switch c.Op {
	case OpUnset:
		if len(c.Values) > 0 {
			return refusef("unset %s takes the whole list out, and no values; to take values out: del %s", c.Key, strings.Join(append([]string{c.Key}, c.Values...), " "))
		}
		*list = nil
		return nil
	case OpSet:
		next = nil
		fallthrough
	case OpAdd:
		for _, v := range c.Values {
			if !slices.Contains(next, v) {
				next = append(next, v)
			}
		}
	case OpDel:
		for _, v := range c.Values {
			if !slices.Contains(old, v) {
				return absentf("%s has no %q; %s", c.Key, v, hasInstead(v, old))
			}
			next = slices.DeleteFunc(next, func(s string) bool { return s == v })
		}
	}
	*list = &next
	return nil
}

// hasInstead says what there is where v is not.
func hasInstead(v string, have []string) string {
	const most = 20
	switch near := nearest(v, have); {
	case len(have) == 0:
		return "it is empty"
	case near != "":
		return fmt.Sprintf("did you mean %q?", near)
	case len(have) > most:
		return fmt.Sprintf("it has %q and %d more", have[:most], len(have)-most)
	}
	return fmt.Sprintf("it has %q", have)
}

func (f *rawFile) applyPin(c Change) error {
	pins := maps.Clone(f.Pin)
	if pins == nil {
		pins = make(map[string]string)
	}
	switch {
	case c.Op == OpUnset && len(c.Values) == 0:
		pins = nil
	case c.Op == OpDel || c.Op == OpUnset:
		for _, name := range c.Values {
			if _, ok := pins[name]; !ok {
				return absentf("pin has no %q; %s", name, hasInstead(name, slices.Sorted(maps.Keys(pins))))
			}
		}
		for _, name := range c.Values {
			delete(pins, name)
		}
	default:
		for _, v := range c.Values {
			name, version, ok := strings.Cut(v, "=")
			if !ok || name == "" || version == "" {
				return refusef("pin: %q: want NAME=VERSION; * and ? match anything", v)
			}
			pins[name] = version
		}
	}
	f.Pin = pins
	return nil
}

func (f *rawFile) applySingle(c Change) error {
	var value *string
	switch {
	case c.Op == OpUnset && len(c.Values) == 0:
	case c.Op == OpSet && len(c.Values) == 1:
		value = &c.Values[0]
	default:
		return refusef("%s has one value: set %s VALUE, or unset %s; VALUE is %s", c.Key, c.Key, c.Key, fileTypes[c.Key])
	}
	switch c.Key {
	case "dependencies":
		f.Dependencies = value
	case "mutable":
		f.Mutable = value
	case "public":
		f.Public = nil
		if value != nil {
			yes, err := strconv.ParseBool(*value)
			if err != nil || *value != strconv.FormatBool(yes) {
				return refusef("public: %q: want true or false", *value)
			}
			f.Public = &yes
		}
	}
	return nil
}

// edited returns the text of a context file after changes. It fails and changes
// nothing unless the new text says exactly what was wanted.
func edited(base string, text []byte, changes []Change) ([]byte, error) {
	context, err := contextOfFile(base)
	if err != nil {
		return nil, err
	}
	want, err := decodeRaw(text)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := want.apply(c); err != nil {
			return nil, err
		}
	}
	check := fileReader{}
	if check.file(context, want); check.err != nil {
		return nil, &editError{check.err.Error(), fs.ErrInvalid}
	}
	for _, c := range changes {
		if text, err = editText(text, c); err != nil {
			return nil, err
		}
	}
	if _, err := Parse(base, text); err != nil {
		return nil, refusef("%v (after the change)", err)
	}
	if have, err := decodeRaw(text); err != nil || !have.means(want) {
		return nil, refusef("%s is written in a way that cannot be changed in place; change it with: packagefs context edit %s", base, context)
	}
	return text, nil
}
