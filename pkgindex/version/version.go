package version

import (
	"cmp"
	"strings"
)

// A Scheme is a way to order versions.
type Scheme string

const (
	Debian Scheme = "debian"
	Alpine Scheme = "alpine"
	Pacman Scheme = "pacman"
	Rpm    Scheme = "rpm"
)

// Compare orders two versions by the rules of the scheme: negative if a is
// earlier than b, positive if it is later, 0 if neither. It is a total order
// over all strings: a version that breaks the scheme's syntax has its fixed
// place too. An unknown scheme orders as Debian does.
//
// It differs from vercmp where vercmp is no order: a version without pkgrel,
// which vercmp takes as equal to that version with any pkgrel, is the earlier
// one here (Satisfies has vercmp's meaning), and so is a version that ends in
// separators where the other goes on. In rpm's scheme a version without release
// is the earlier one, as rpm sorts them.
func (s Scheme) Compare(a, b string) int {
	if a == b {
		return 0
	}
	switch s {
	case Alpine:
		return compareAlpine(a, b)
	case Pacman:
		c, tie := comparePacman(a, b)
		return cmp.Or(c, tie)
	case Rpm:
		c, tie := compareRpm(a, b)
		return cmp.Or(c, tie)
	default:
		return compareDebian(a, b)
	}
}

// Satisfies reports whether a package or a virtual package of version have
// meets the relation "op want". An empty have, a virtual package without a
// version, meets OpAny only; by rpm's rules it meets every relation.
func (s Scheme) Satisfies(have string, op Op, want string) bool {
	if op == OpAny {
		return true
	}
	if have == "" {
		return s == Rpm
	}
	if op == OpPrefix {
		return s.hasPrefix(have, want)
	}
	var c int
	switch s {
	case Pacman:
		c, _ = comparePacman(have, want)
	case Rpm:
		c, _ = compareRpm(have, want)
	default:
		c = s.Compare(have, want)
	}
	switch op {
	case OpEarlier:
		return c < 0
	case OpEarlierEqual:
		return c <= 0
	case OpEqual:
		return c == 0
	case OpLaterEqual:
		return c >= 0
	case OpLater:
		return c > 0
	}
	return false
}

// hasPrefix reports whether have begins with want's components. Only Alpine
// has a rule of its own for it; elsewhere a component ends where a digit or
// letter is followed by something else.
func (s Scheme) hasPrefix(have, want string) bool {
	if s == Alpine {
		return alpineHasPrefix(have, want)
	}
	if !strings.HasPrefix(have, want) {
		return false
	}
	return len(have) == len(want) || want == "" || !isAlnum(have[len(want)]) || !isAlnum(want[len(want)-1])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }

// digits returns the length of the run of digits at the start of s.
func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// compareNumbers orders two runs of digits of any length by their value. An
// empty run is zero.
func compareNumbers(a, b string) int {
	for len(a) > 0 && a[0] == '0' {
		a = a[1:]
	}
	for len(b) > 0 && b[0] == '0' {
		b = b[1:]
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// splitEpoch cuts a leading EPOCH: off. Where what is before the colon is not
// a number, there is no epoch.
func splitEpoch(v string) (epoch, rest string) {
	if n := digits(v); n > 0 && n < len(v) && v[n] == ':' {
		return v[:n], v[n+1:]
	}
	return "", v
}

// splitRevision cuts at the last hyphen.
func splitRevision(v string) (upstream, revision string, cut bool) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:], true
	}
	return v, "", false
}
