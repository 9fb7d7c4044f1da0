package relation

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Relations in a package.toml are written as in Debian. A name that Debian could
// not write, such as rpm's perl(strict), stands in double quotes there, with a
// backslash before each double quote and backslash in it.

// MaxName is the length in bytes of the longest name of a capability.
const MaxName = 1024

// FormatNative writes a clause.
func FormatNative(c Clause) string {
	terms := make([]string, len(c))
	for i, t := range c {
		terms[i] = FormatNativeTerm(t)
	}
	return strings.Join(terms, " | ")
}

func FormatNativeTerm(t Term) string {
	plain := t.String()
	if !strings.ContainsAny(plain, `"|,`) {
		if read, applies, err := parseDebianTerm(plain, ""); err == nil && applies && read == t {
			return plain
		}
	}
	rest := t
	rest.Name = ""
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t.Name) + `"` + rest.String()
}

// ParseNative reads what nativeClause writes, and lists of it with commas
// between. Terms that are restricted to architectures other than arch are left
// out.
func ParseNative(s, arch string) ([]Clause, error) {
	if !strings.Contains(s, `"`) {
		return ParseDebian(s, arch)
	}
	return parseClauses(s, arch, splitUnquoted, parseNativeTerm)
}

func parseNativeTerm(s, arch string) (t Term, applies bool, err error) {
	rest, quoted := strings.CutPrefix(s, `"`)
	if !quoted {
		return parseDebianTerm(s, arch)
	}
	var name strings.Builder
	for {
		at := strings.IndexAny(rest, `\"`)
		if at < 0 || rest[at] == '\\' && at+1 == len(rest) {
			return t, false, errors.New("its name has no closing quote")
		}
		name.WriteString(rest[:at])
		if rest[at] == '"' {
			rest = rest[at+1:]
			break
		}
		name.WriteByte(rest[at+1])
		rest = rest[at+2:]
	}
	const stand = "x" // in the name's place
	if t, applies, err = parseDebianTerm(stand+rest, arch); err == nil && t.Name != stand {
		err = fmt.Errorf("%q is out of place", rest)
	}
	t.Name = name.String()
	if err == nil && !ValidCapability(t.Name) {
		err = fmt.Errorf("%q is no name of a package or capability", t.Name[:min(len(t.Name), 100)])
	}
	return t, applies, err
}

// ValidCapability holds for what can be the name of a package or a capability, as
// rpm calls what packages provide: perl(strict), /usr/bin/sh.
func ValidCapability(s string) bool {
	return s != "" && len(s) <= MaxName && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// splitUnquoted splits s at each sep, a byte, that is not in double quotes.
func splitUnquoted(s, sep string) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted, from := false, 0
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '"':
				quoted = !quoted
			case s[i] == '\\' && quoted:
				i++
			case s[i] == sep[0] && !quoted:
				if !yield(s[from:i]) {
					return
				}
				from = i + 1
			}
		}
		yield(s[from:])
	}
}
