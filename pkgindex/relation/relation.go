package relation

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/version"
)

// A Term is one package relation without alternatives: "libc6 (>= 2.36)".
type Term struct {
	Name    string
	Arch    string // Debian's qualifier behind a colon, mostly empty
	Op      version.Op
	Version string // empty where Op is OpAny
}

// A Clause is a list of alternatives, in order of preference: "a | b (>= 2)".
type Clause []Term

// String writes a term as Debian does: "libc6:amd64 (>= 2.36)".
func (t Term) String() string {
	s := t.Name
	if t.Arch != "" {
		s += ":" + t.Arch
	}
	if t.Op != version.OpAny {
		s += " (" + string(t.Op) + " " + t.Version + ")"
	}
	return s
}

// String writes a clause as Debian does: "mta | exim4 (>= 4.90)".
func (c Clause) String() string {
	terms := make([]string, len(c))
	for i, t := range c {
		terms[i] = t.String()
	}
	return strings.Join(terms, " | ")
}

// ParseDebian reads a relation field as Debian writes it, such as
// "a (>= 1) | b:any, c". It reads what Clause.String writes, Alpine's "~" and
// names with colons included. Terms that are restricted to architectures other
// than arch are left out, none if arch is empty; build profiles count as not set.
func ParseDebian(s, arch string) ([]Clause, error) {
	return parseClauses(s, arch, strings.SplitSeq, parseDebianTerm)
}

// parseClauses reads clauses with commas between, whose terms have bars between.
func parseClauses(s, arch string, split func(s, sep string) iter.Seq[string],
	parse func(s, arch string) (t Term, applies bool, err error)) ([]Clause, error) {
	var clauses []Clause
	for part := range split(s, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		var clause Clause
		for alternative := range split(part, "|") {
			t, applies, err := parse(strings.TrimSpace(alternative), arch)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", strings.TrimSpace(part), err)
			}
			if applies {
				clause = append(clause, t)
			}
		}
		if clause != nil {
			clauses = append(clauses, clause)
		}
	}
	return clauses, nil
}

// parseDebianTerm reads "name:arch (op version) [arch …] <profile …> …".
func parseDebianTerm(s, arch string) (t Term, applies bool, err error) {
	s = strings.TrimSpace(s)
	end := strings.IndexAny(s, " \t\r\n([<")
	if end < 0 {
		end = len(s)
	}
	t.Name, t.Arch = splitArch(s[:end])
	if !validName(t.Name) {
		return t, false, fmt.Errorf("%q is no package name", s[:end])
	}
	rest := strings.TrimSpace(s[end:])
	if inner, after, ok, err := bracketed(rest, '(', ')'); err != nil {
		return t, false, err
	} else if ok {
		if t.Op, t.Version, err = parseDebianVersion(inner); err != nil {
			return t, false, err
		}
		rest = after
	}
	applies = true
	if inner, after, ok, err := bracketed(rest, '[', ']'); err != nil {
		return t, false, err
	} else if ok {
		applies = arch == "" || archApplies(strings.Fields(inner), arch)
		rest = after
	}
	applies, rest, err = profilesApply(rest, applies)
	if err == nil && rest != "" {
		err = fmt.Errorf("%q is out of place", rest)
	}
	return t, applies, err
}

// bracketed cuts "OPEN inner CLOSE" off the start of s, if s starts with it.
func bracketed(s string, open, closing byte) (inner, rest string, ok bool, err error) {
	if s == "" || s[0] != open {
		return "", s, false, nil
	}
	end := strings.IndexByte(s, closing)
	if end < 0 {
		return "", s, false, fmt.Errorf("%q is not closed by %q", s, closing)
	}
	return strings.TrimSpace(s[1:end]), strings.TrimSpace(s[end+1:]), true, nil
}

// parseDebianVersion reads what stands in parentheses. The obsolete < and >
// mean <= and >=.
func parseDebianVersion(s string) (version.Op, string, error) {
	end := len(s) - len(strings.TrimLeft(s, "<=>~"))
	want := strings.TrimSpace(s[end:])
	if !ValidVersion(want) {
		return "", "", fmt.Errorf("(%s) has no version", s)
	}
	switch op := version.Op(s[:end]); op {
	case "<":
		return version.OpEarlierEqual, want, nil
	case ">":
		return version.OpLaterEqual, want, nil
	case "": // dpkg takes a version alone for =
		return version.OpEqual, want, nil
	case version.OpEarlier, version.OpEarlierEqual, version.OpEqual, version.OpLaterEqual, version.OpLater, version.OpPrefix:
		return op, want, nil
	}
	return "", "", fmt.Errorf("%q is none of << <= = >= >>", s[:end])
}

// archApplies evaluates an architecture restriction: names, or all of them
// negated. Wildcards are any, OS-any and any-CPU.
func archApplies(list []string, arch string) bool {
	negated := false
	for _, pattern := range list {
		name, not := strings.CutPrefix(pattern, "!")
		negated = negated || not
		if archMatches(name, arch) {
			return !not
		}
	}
	return negated
}

func archMatches(pattern, arch string) bool {
	if pattern == arch || pattern == "any" && arch != "all" {
		return true
	}
	if arch == "all" {
		return false
	}
	os, cpu, ok := strings.Cut(arch, "-")
	if !ok {
		os, cpu = "linux", arch
	}
	wantOS, wantCPU, _ := strings.Cut(pattern, "-")
	return wantCPU == "any" && wantOS == os || wantOS == "any" && wantCPU == cpu
}

// profilesApply evaluates "<!a b> <c> …" with no build profile set: one group
// with nothing but negated names is enough.
func profilesApply(rest string, applies bool) (bool, string, error) {
	groups, met := false, false
	for {
		inner, after, ok, err := bracketed(rest, '<', '>')
		if err != nil {
			return false, rest, err
		}
		if !ok {
			return applies && (met || !groups), rest, nil
		}
		groups, rest = true, after
		holds := true
		for _, profile := range strings.Fields(inner) {
			holds = holds && strings.HasPrefix(profile, "!")
		}
		met = met || holds
	}
}

// debianArchs are the qualifiers that may follow a name and a colon. Alpine's
// names have colons too (so:libc.musl-x86_64.so.1, cmd:sh).
var debianArchs = map[string]bool{
	"any": true, "all": true, "native": true, "alpha": true, "amd64": true, "arc": true, "arm64": true,
	"armel": true, "armhf": true, "hppa": true, "hurd-amd64": true, "hurd-i386": true, "i386": true,
	"ia64": true, "kfreebsd-amd64": true, "kfreebsd-i386": true, "loong64": true, "m68k": true, "mips": true,
	"mips64el": true, "mipsel": true, "powerpc": true, "ppc64": true, "ppc64el": true, "riscv64": true,
	"s390x": true, "sh4": true, "sparc": true, "sparc64": true, "x32": true,
}

func splitArch(s string) (name, arch string) {
	if i := strings.LastIndexByte(s, ':'); i > 0 && debianArchs[s[i+1:]] {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// Visible holds for a string of visible ASCII characters.
func Visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// validName holds for what can be the name of a package or virtual package.
func validName(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsAny(s, "<>=~!@|,/()[]\"'\\") && Visible(s)
}

func ValidVersion(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsAny(s, "<>=|,/()[]\"'\\") && Visible(s)
}

// comparisons are the operators of Alpine and Arch.
var comparisons = map[string]version.Op{
	"<": version.OpEarlier, "<=": version.OpEarlierEqual, "=": version.OpEqual, ">=": version.OpLaterEqual, ">": version.OpLater,
	"~": version.OpPrefix, "=~": version.OpPrefix, "~=": version.OpPrefix, ">~": version.OpLaterEqual,
}

// ParseAlpine reads "name>=1.2", "!name", "name@tag". A conflict is marked
// by an exclamation mark.
func ParseAlpine(s string) (t Term, conflict bool, err error) {
	plain, conflict := strings.CutPrefix(s, "!")
	i := strings.IndexAny(plain, "<>=~@")
	if i < 0 {
		i = len(plain)
	}
	t.Name = plain[:i]
	rest := plain[i:]
	if strings.HasPrefix(rest, "@") {
		end := strings.IndexAny(rest, "<>=~")
		if end < 0 {
			end = len(rest)
		}
		rest = rest[end:]
	}
	rest, _, _ = strings.Cut(rest, "@")
	t.Op, t.Version, err = parseComparison(rest)
	if err == nil && !validName(t.Name) {
		err = errors.New("has no package name")
	}
	if err != nil {
		return t, conflict, fmt.Errorf("%q: %w", s, err)
	}
	return t, conflict, nil
}

// ParsePacman reads "name>=1.2".
func ParsePacman(s string) (Term, error) {
	i := strings.IndexAny(s, "<>=")
	if i < 0 {
		i = len(s)
	}
	t := Term{Name: s[:i]}
	var err error
	t.Op, t.Version, err = parseComparison(s[i:])
	if err == nil && !validName(t.Name) {
		err = errors.New("has no package name")
	}
	if err != nil {
		return t, fmt.Errorf("%q: %w", s, err)
	}
	return t, nil
}

// parseComparison reads an operator and a version, or nothing.
func parseComparison(s string) (version.Op, string, error) {
	if s == "" {
		return version.OpAny, "", nil
	}
	end := len(s) - len(strings.TrimLeft(s, "<>=~"))
	op, ok := comparisons[s[:end]]
	if !ok {
		return "", "", fmt.Errorf("%q is no comparison that can be kept", s[:end])
	}
	if !ValidVersion(s[end:]) {
		return "", "", fmt.Errorf("%q is no version", s[end:])
	}
	return op, s[end:], nil
}
