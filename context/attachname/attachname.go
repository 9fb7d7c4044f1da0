package attachname

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A Kind is what the base of an attach name names.
type Kind uint8

const (
	KindOwn      Kind = iota // the user who attaches: the empty base
	KindUser                 // user:NAME-or-UID
	KindGroup                // group:NAME-or-GID
	KindPackage              // package:NAME[=VERSION]
	KindAll                  // all
	KindControl              // ctl
	KindContexts             // contexts
)

const (
	maxLength   = 4096 // bytes
	maxName     = 200  // bytes of a user's or group's name, escaped
	maxSegments = 64   // parts between plus signs
)

// A Name is a parsed attach name. Attach names that differ only in the
// leading slash or in needless escapes are equal.
//
// Escapes. %XX stands for the byte with that hexadecimal number. What does not
// go through mount options or into a file name raw is written so: comma, slash,
// percent, control characters, blanks; and a plus sign that separates nothing.
//
// Plus signs. Names (g++) and versions (3.11.2-6+deb12u5) of packages have plus
// signs of their own, so an attach name is read in the light of what is
// installed: of all the ways to take its plus signs as separators or as part of
// a name or version, the one counts that leaves the fewest selectors not
// installed, then the one in which those that are installed take up most of the
// text, then the one whose first selector is longest. So
// package:python3.11=3.11.2-6+deb12u5 and user:alice+g+++gcc=4:12.2.0-3+python3.11
// mean what they seem to. %2B never separates, and whoever writes it in a selector
// writes it for every plus sign of that selector.
type Name struct {
	Kind Kind
	Name string // of a user or group: the name or the number as given

	// selectors is the canonical text of the selectors, without a leading
	// plus sign; a package's own is the first.
	selectors string
}

// Parse reads an attach name. Its errors are of the class ErrSyntax.
func Parse(s string) (Name, error) {
	n, err := parse(s)
	if err != nil {
		return Name{}, &Error{Name: Printable(s), Class: ErrSyntax, Reason: err.Error()}
	}
	return n, nil
}

func parse(s string) (n Name, err error) {
	switch {
	case len(s) > maxLength:
		return n, fmt.Errorf("it is longer than %d bytes", maxLength)
	case strings.Contains(s, ","):
		return n, fmt.Errorf("it has a comma; write it %%2C")
	}
	s = strings.TrimPrefix(s, "/")
	if rest, ok := strings.CutPrefix(s, "package:"); ok {
		n.Kind = KindPackage
		n.selectors, err = canonicalSelectors(rest)
		return n, err
	}
	base, plus, cut := strings.Cut(s, "+")
	if n.Kind, n.Name, err = parseBase(base); err != nil {
		return n, err
	}
	if !cut {
		return n, nil
	}
	if n.Kind == KindControl || n.Kind == KindContexts {
		return n, fmt.Errorf("%s takes no packages", base)
	}
	n.selectors, err = canonicalSelectors(plus)
	return n, err
}

func parseBase(base string) (Kind, string, error) {
	switch base {
	case "":
		return KindOwn, "", nil
	case "all":
		return KindAll, "", nil
	case "ctl":
		return KindControl, "", nil
	case "contexts":
		return KindContexts, "", nil
	}
	kind := KindUser
	name, ok := strings.CutPrefix(base, "user:")
	if !ok {
		kind = KindGroup
		name, ok = strings.CutPrefix(base, "group:")
	}
	if !ok {
		return 0, "", fmt.Errorf("want user:NAME, group:NAME, package:NAME[=VERSION], all, ctl or contexts")
	}
	name, err := unescape(name)
	if err != nil {
		return 0, "", err
	}
	switch {
	case name == "":
		return 0, "", fmt.Errorf("the name behind the colon is empty")
	case name == "." || name == ".." || strings.Contains(name, "/"):
		return 0, "", fmt.Errorf("a name has no slash, and neither . nor .. is one")
	case len(escape(name)) > maxName:
		return 0, "", fmt.Errorf("the name is longer than %d bytes", maxName)
	}
	return kind, name, nil
}

// canonicalSelectors checks that the selectors can be read at all, and returns
// them with needed escapes only.
func canonicalSelectors(s string) (string, error) {
	segments := strings.Split(s, "+")
	if len(segments) > maxSegments {
		return "", fmt.Errorf("it has more than %d plus signs", maxSegments-1)
	}
	for i, segment := range segments {
		plain, err := unescape(segment)
		if err != nil {
			return "", err
		}
		segments[i] = escape(plain)
	}
	if readSelectors(segments, func(pkgmeta.Ref) bool { return false }) == nil {
		return "", fmt.Errorf("want packages as NAME or NAME=VERSION with plus signs between them")
	}
	return strings.Join(segments, "+"), nil
}

// Selectors reads the packages that the name selects; a package: name's own is
// the first. has says whether a selector names a package that is installed; it
// decides which plus signs separate.
func (n Name) Selectors(has func(pkgmeta.Ref) bool) []pkgmeta.Ref {
	if n.selectors == "" {
		return nil
	}
	return readSelectors(strings.Split(n.selectors, "+"), has)
}

// Selection is the text of the selectors in canonical form: the same for names that
// select the same, whatever their bases are.
func (n Name) Selection() string { return n.selectors }

// Selects says whether the name selects packages beside its base, or is that of
// a package.
func (n Name) Selects() bool { return n.selectors != "" }

// A reading of the segments from one on.
type reading struct {
	missing int // selectors that are not installed
	covered int // segments that installed selectors take up
	end     int // of the first selector
	ref     pkgmeta.Ref
	ok      bool
}

func (r reading) better(o reading) bool {
	switch {
	case r.ok != o.ok:
		return r.ok
	case r.missing != o.missing:
		return r.missing < o.missing
	}
	return r.covered > o.covered
}

// readSelectors finds the best reading from the back: the best reading of a tail
// does not depend on what stands before it. It returns nil if there is none.
func readSelectors(segments []string, has func(pkgmeta.Ref) bool) []pkgmeta.Ref {
	best := make([]reading, len(segments)+1)
	best[len(segments)].ok = true
	for i := len(segments) - 1; i >= 0; i-- {
		for end := len(segments); end > i; end-- {
			rest := best[end]
			if !rest.ok {
				continue
			}
			text := strings.Join(segments[i:end], "+")
			ref, ok := parseSelector(text)
			if !ok || end > i+1 && strings.Contains(text, "%2B") {
				continue
			}
			r := reading{rest.missing, rest.covered, end, ref, true}
			if has(ref) {
				r.covered += end - i
			} else {
				r.missing++
			}
			if r.better(best[i]) {
				best[i] = r
			}
		}
	}
	if !best[0].ok {
		return nil
	}
	var refs []pkgmeta.Ref
	for i := 0; i < len(segments); i = best[i].end {
		refs = append(refs, best[i].ref)
	}
	return refs
}

// parseSelector reads one selector in its escaped form.
func parseSelector(s string) (pkgmeta.Ref, bool) {
	if strings.Count(s, "=") > 1 {
		return pkgmeta.Ref{}, false
	}
	plain, err := unescape(s)
	if err != nil || strings.HasPrefix(plain, "+") {
		return pkgmeta.Ref{}, false
	}
	ref, err := pkgmeta.ParseRef(plain)
	if err != nil || ref.Name == "." || ref.Name == ".." {
		return pkgmeta.Ref{}, false
	}
	return ref, true
}

// OfUser is the attach name of a user's context.
func OfUser(user string) Name { return Name{Kind: KindUser, Name: user} }

// OfPackage is the attach name of a package's context.
func OfPackage(ref pkgmeta.Ref) Name {
	return Name{Kind: KindPackage, selectors: escape(ref.String())}
}

// For returns the name with an empty base replaced by that user.
func (n Name) For(user string) Name {
	if n.Kind == KindOwn {
		n.Kind, n.Name = KindUser, user
	}
	return n
}

// With returns the name with these packages in the place of all that it selects,
// their own plus signs escaped. For a package: name, refs begins with the package
// itself.
func (n Name) With(refs ...pkgmeta.Ref) Name {
	text := make([]string, len(refs))
	for i, ref := range refs {
		text[i] = escape(ref.String())
	}
	n.selectors = strings.Join(text, "+")
	return n
}

// String returns the canonical form, which Parse reads back. It has no
// comma and no slash.
func (n Name) String() string {
	var base string
	switch n.Kind {
	case KindOwn:
	case KindUser:
		base = "user:" + escape(n.Name)
	case KindGroup:
		base = "group:" + escape(n.Name)
	case KindPackage:
		return "package:" + n.selectors
	case KindAll:
		base = "all"
	case KindControl:
		base = "ctl"
	case KindContexts:
		base = "contexts"
	}
	if n.selectors == "" {
		return base
	}
	return base + "+" + n.selectors
}

const upperHex = "0123456789ABCDEF"

func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c == 0x7f || strings.IndexByte("%+,/", c) >= 0:
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape is the reverse of escape; it refuses what no name may have.
func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", fmt.Errorf("behind %% stand two hexadecimal digits; write %%25 for the sign itself")
			}
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("it has a control character")
		}
		b = append(b, c)
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("it is not UTF-8")
	}
	return string(b), nil
}

func unhex(c byte) int {
	return strings.IndexByte(upperHex, upper(c))
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// Printable makes any bytes fit for a message.
func Printable(s string) string {
	if len(s) > 128 {
		s = s[:128] + "…"
	}
	return strings.Trim(fmt.Sprintf("%q", s), `"`)
}
