package files

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/pelletier/go-toml/v2"
)

// Dependencies says whether a context shows what its packages depend on.
type Dependencies string

// Mutability says whether a context has a mutable layer.
type Mutability string

const (
	Hidden  Dependencies = "hidden"
	Visible Dependencies = "visible"

	MutableOwn  Mutability = "own"
	MutableNone Mutability = "none"
)

// A Pin holds the packages whose name matches at the versions that match.
type Pin struct {
	Name    string // a glob
	Version string // a glob
}

// MatchesName says whether the pin holds packages of that name.
func (p Pin) MatchesName(name string) bool { return match(p.Name, name) }

// MatchesVersion says whether a package that the pin holds may have that version.
func (p Pin) MatchesVersion(version string) bool { return match(p.Version, version) }

// A File is what a context file says. A nil list is one that the file does not
// have; an empty one is there and matches nothing.
type File struct {
	Allow, Deny, Toplevel, Prefer []Pattern

	Pin          []Pin        // the most specific name first
	Dependencies Dependencies // empty where not said
	Mutable      Mutability   // empty where not said
	Members      []string     // names or numbers of users; groups only
	Public       *bool        // nil where not said
}

const (
	Suffix = ".toml"

	maxFileSize = 1 << 20 // bytes
	maxGlobs    = 1000    // a list, since each is tried on every package
)

// rawFile has a field for each key that a context file may have.
type rawFile struct {
	Allow        *[]string         `toml:"allow"`
	Deny         *[]string         `toml:"deny"`
	Toplevel     *[]string         `toml:"toplevel"`
	Pin          map[string]string `toml:"pin"`
	Prefer       *[]string         `toml:"prefer"`
	Dependencies *string           `toml:"dependencies"`
	Mutable      *string           `toml:"mutable"`
	Members      *[]string         `toml:"members"`
	Public       *bool             `toml:"public"`
}

var fileKeys = []string{"allow", "deny", "toplevel", "pin", "prefer", "dependencies", "mutable", "members", "public"}

// fileTypes says what the values are.
var fileTypes = map[string]string{
	"allow":        listOfStrings,
	"deny":         listOfStrings,
	"toplevel":     listOfStrings,
	"pin":          `a table of strings: { "NAME" = "VERSION" }`,
	"prefer":       listOfStrings,
	"dependencies": `"hidden" or "visible"`,
	"mutable":      `"own" or "none"`,
	"members":      listOfStrings,
	"public":       "true or false, without quotes",
}

const listOfStrings = `a list of strings: ["…", "…"]`

// Parse reads a context file; base is its base name, of which its context
// follows. An error names the line and says what to do.
func Parse(base string, data []byte) (*File, error) {
	name, err := contextOfFile(base)
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s: longer than %d bytes", base, maxFileSize)
	}
	var raw rawFile
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&raw); err != nil {
		return nil, fmt.Errorf("%s: %w", base, describeTOML(err))
	}
	if err := checkCase(data); err != nil {
		return nil, fmt.Errorf("%s: %w", base, err)
	}
	r := fileReader{data: data}
	f := r.file(name, &raw)
	if r.err != nil {
		return nil, fmt.Errorf("%s: %w", base, r.err)
	}
	return f, nil
}

// System is the context whose file applies to everyone. It is not attached
// to, so it is no attach name.
const System = "system"

// contextOfFile returns the context that a file of that base name is for:
// "system", or the canonical text of an attach name.
func contextOfFile(base string) (string, error) {
	name, ok := strings.CutSuffix(base, Suffix)
	if name == System {
		return name, nil
	}
	n, err := attachname.Parse(name)
	if !ok || err != nil || n.Kind != attachname.KindUser && n.Kind != attachname.KindGroup || n.Selects() || strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("%s is not a context file: name it system.toml, user:NAME.toml or group:NAME.toml", attachname.Printable(base))
	}
	if want := n.String(); name != want {
		return "", fmt.Errorf("%s is not a context file: name it %s", attachname.Printable(base), want+Suffix)
	}
	return name, nil
}

// fileReader turns raw values into checked ones. The first error stays.
type fileReader struct {
	data []byte // nil: there is no text to find lines in
	err  error
}

func (r *fileReader) file(context string, raw *rawFile) *File {
	return &File{
		Allow:        r.patterns("allow", raw.Allow),
		Deny:         r.patterns("deny", raw.Deny),
		Toplevel:     r.patterns("toplevel", raw.Toplevel),
		Prefer:       r.patterns("prefer", raw.Prefer),
		Pin:          r.pins(raw.Pin),
		Dependencies: Dependencies(r.oneOf("dependencies", raw.Dependencies, string(Hidden), string(Visible))),
		Mutable:      Mutability(r.oneOf("mutable", raw.Mutable, string(MutableOwn), string(MutableNone))),
		Members:      r.members(context, raw.Members),
		Public:       raw.Public,
	}
}

func (r *fileReader) fail(key, value string, err error) {
	switch {
	case r.err != nil:
	case r.data == nil:
		r.err = fmt.Errorf("%s: %w", key, err)
	default:
		r.err = fmt.Errorf("line %d: %s: %w", lineOf(r.data, key, value), key, err)
	}
}

func (r *fileReader) patterns(key string, raw *[]string) []Pattern {
	if raw == nil {
		return nil
	}
	list := make([]Pattern, 0, len(*raw))
	globs := 0
	for _, s := range *raw {
		p, err := parsePattern(s)
		if err != nil {
			r.fail(key, s, err)
			return nil
		}
		if hasMeta(p.Name) {
			globs++
		}
		list = append(list, p)
	}
	if globs > maxGlobs {
		r.fail(key, "", fmt.Errorf("more than %d globs: write fewer and wider ones", maxGlobs))
	}
	return list
}

// pins puts the most specific pattern first: a name without a glob, then the
// longest text before the glob.
func (r *fileReader) pins(raw map[string]string) []Pin {
	var list []Pin
	globs := 0
	for name, version := range raw {
		list = append(list, Pin{name, version})
		if hasMeta(name) {
			globs++
		}
	}
	slices.SortFunc(list, func(a, b Pin) int {
		if x, y := hasMeta(a.Name), hasMeta(b.Name); x != y {
			if x {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(len(literal(b.Name)), len(literal(a.Name))), strings.Compare(a.Name, b.Name))
	})
	for _, p := range list {
		if _, err := parsePattern(p.Name + "=" + p.Version); err != nil || strings.Contains(p.Name, "=") {
			r.fail("pin", p.Name, fmt.Errorf("%q = %q: want a name and a version; * and ? match anything", p.Name, p.Version))
			return nil
		}
	}
	if globs > maxGlobs {
		r.fail("pin", "", fmt.Errorf("more than %d globs: write fewer and wider ones", maxGlobs))
	}
	return list
}

func (r *fileReader) oneOf(key string, raw *string, values ...string) string {
	switch {
	case raw == nil:
		return ""
	case !slices.Contains(values, *raw):
		r.fail(key, *raw, fmt.Errorf("%q: want %q", *raw, values))
		return ""
	}
	return *raw
}

func (r *fileReader) members(context string, raw *[]string) []string {
	if raw == nil {
		return nil
	}
	if !strings.HasPrefix(context, "group:") {
		r.fail("members", "", errors.New("only a group has members; remove the key"))
		return nil
	}
	for _, s := range *raw {
		if s == "" || strings.ContainsAny(s, "/*,") || strings.ContainsFunc(s, unicode.IsControl) {
			r.fail("members", s, fmt.Errorf("%q is not a user's name or number", s))
			return nil
		}
	}
	return *raw
}

// lineOf finds the line, from 1, of a value of a key. An empty value finds the
// key.
func lineOf(data []byte, key, value string) int {
	line, at := 0, 0
	for text := range bytes.Lines(data) {
		line++
		word := bytes.TrimLeft(text, " \t[\"'")
		if at == 0 && bytes.HasPrefix(word, []byte(key)) {
			at = line
		}
		if at > 0 && value != "" && bytes.Contains(text, []byte(value)) {
			return line
		}
	}
	return max(at, 1)
}

// describeTOML makes the decoder's error say line and key, and what to do.
func describeTOML(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		e := strict.Errors[0]
		line, _ := e.Position()
		return fmt.Errorf("line %d: %w", line, unknownKey(strings.Join(e.Key(), ".")))
	}
	var dec *toml.DecodeError
	if errors.As(err, &dec) {
		line, _ := dec.Position()
		text := strings.TrimPrefix(dec.Error(), "toml: ")
		if len(dec.Key()) == 0 {
			return fmt.Errorf("line %d: %s", line, text)
		}
		// Where the text is a matter of the value's type it is for Go programmers.
		if want, ok := fileTypes[dec.Key()[0]]; ok && strings.HasPrefix(text, "cannot decode") {
			text = "want " + want
		}
		return fmt.Errorf("line %d: %s: %s", line, strings.Join(dec.Key(), "."), text)
	}
	return err
}

// checkCase refuses keys that the decoder takes for ours only because it does not
// tell capitals from small letters: of Deny and deny it would drop one unsaid.
func checkCase(data []byte) error {
	var keys map[string]any
	if err := toml.Unmarshal(data, &keys); err != nil {
		return describeTOML(err)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(fileKeys, key) {
			return fmt.Errorf("line %d: %w", lineOf(data, key, ""), unknownKey(key))
		}
	}
	return nil
}

func unknownKey(key string) error {
	if near := nearest(key, fileKeys); near != "" {
		return fmt.Errorf("unknown key %q; did you mean %q?", key, near)
	}
	return fmt.Errorf("unknown key %q; there are %s", key, strings.Join(fileKeys, ", "))
}

// nearest returns the candidate that s is most likely a misspelling of, or
// nothing.
func nearest(s string, candidates []string) string {
	best, least := "", max(1, len(s)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the bytes to insert, remove or change to make b of a.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
