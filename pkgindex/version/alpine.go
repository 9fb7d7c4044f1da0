package version

import "strings"

// The parts of an Alpine version,
//
//	digit{.digit}…{letter}{_suffix{number}}…{~hash}{-r#}
//
// in the order in which the version that has the part, where the other has
// something else, is the earlier one: 1.2_rc1 < 1.2 < 1.2-r1 < 1.2_p1 <
// 1.2a < 1.2.1.
type alpinePart uint8

const (
	alpinePreSuffix alpinePart = iota // _alpha _beta _pre _rc
	alpineInvalid                     // all that follows breaks the syntax
	alpineEnd
	alpineRevision
	alpineHash
	alpineSuffixNumber
	alpineSuffix // _cvs _svn _git _hg _p
	alpineLetter
	alpineDigit
	alpineFirstDigit
)

// alpineStage says what may follow a part: a part may not come after one of a
// later stage.
var alpineStage = [...]uint8{
	alpineFirstDigit: 0, alpineDigit: 1, alpineLetter: 2, alpinePreSuffix: 3, alpineSuffix: 3,
	alpineSuffixNumber: 4, alpineHash: 5, alpineRevision: 6, alpineEnd: 7, alpineInvalid: 8,
}

// alpineSuffixes are in their order. Those from alpinePostSuffixes on are later
// than no suffix.
var alpineSuffixes = [...]string{"alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"}

const alpinePostSuffixes = 4

// An alpineScanner reads a version part by part.
type alpineScanner struct {
	rest  string
	part  alpinePart
	value string // the digits, letter or hash; what is left for alpineInvalid
	rank  int    // of a suffix
}

func (s *alpineScanner) first(version string) {
	s.rest, s.part = version, alpineFirstDigit
	s.number()
}

// number takes a run of digits as the value of the part.
func (s *alpineScanner) number() {
	n := digits(s.rest)
	if n == 0 {
		s.invalid()
		return
	}
	s.value, s.rest = s.rest[:n], s.rest[n:]
}

func (s *alpineScanner) invalid() {
	s.part, s.value, s.rest = alpineInvalid, s.rest, ""
}

// next moves to the next part. It must not be called after alpineEnd or
// alpineInvalid.
func (s *alpineScanner) next() {
	if s.rest == "" {
		s.part, s.value = alpineEnd, ""
		return
	}
	stage := alpineStage[s.part]
	switch c := s.rest[0]; {
	case 'a' <= c && c <= 'z' && stage < alpineStage[alpineLetter]:
		s.part, s.value, s.rest = alpineLetter, s.rest[:1], s.rest[1:]
	case c == '.' && stage < alpineStage[alpineLetter]:
		s.part, s.rest = alpineDigit, s.rest[1:]
		s.number()
	case isDigit(c) && stage == alpineStage[alpineSuffix]:
		s.part = alpineSuffixNumber
		s.number()
	case c == '_' && stage <= alpineStage[alpineSuffixNumber]:
		s.suffix()
	case c == '~' && stage < alpineStage[alpineHash]:
		s.hash()
	case c == '-' && stage < alpineStage[alpineRevision] && strings.HasPrefix(s.rest, "-r"):
		s.part, s.rest = alpineRevision, s.rest[2:]
		s.number()
	default:
		s.invalid()
	}
}

func (s *alpineScanner) suffix() {
	n := 1
	for n < len(s.rest) && 'a' <= s.rest[n] && s.rest[n] <= 'z' {
		n++
	}
	for rank, suffix := range alpineSuffixes {
		if s.rest[1:n] != suffix {
			continue
		}
		s.part = alpineSuffix
		if rank < alpinePostSuffixes {
			s.part = alpinePreSuffix
		}
		s.rank, s.value, s.rest = rank, s.rest[1:n], s.rest[n:]
		return
	}
	s.invalid()
}

func (s *alpineScanner) hash() {
	n := 1
	for n < len(s.rest) && (isDigit(s.rest[n]) || 'a' <= s.rest[n] && s.rest[n] <= 'f') {
		n++
	}
	if n == 1 {
		s.invalid()
		return
	}
	s.part, s.value, s.rest = alpineHash, s.rest[1:n], s.rest[n:]
}

// compare orders two scanners that stand at the same part.
func (s *alpineScanner) compare(o *alpineScanner) int {
	switch s.part {
	case alpineFirstDigit, alpineSuffixNumber, alpineRevision:
		return compareNumbers(s.value, o.value)
	case alpineDigit:
		// A leading zero makes it a decimal fraction, ordered as text.
		if s.value[0] == '0' || o.value[0] == '0' {
			return strings.Compare(s.value, o.value)
		}
		return compareNumbers(s.value, o.value)
	case alpinePreSuffix, alpineSuffix:
		return s.rank - o.rank
	default:
		return strings.Compare(s.value, o.value)
	}
}

// walkAlpine steps through both versions while their parts agree, and returns
// the scanners at the first difference and how that part compares.
func walkAlpine(a, b string) (sa, sb alpineScanner, c int) {
	sa.first(a)
	sb.first(b)
	for sa.part == sb.part {
		if c = sa.compare(&sb); c != 0 || sa.part == alpineEnd || sa.part == alpineInvalid {
			return sa, sb, c
		}
		sa.next()
		sb.next()
	}
	return sa, sb, int(sa.part) - int(sb.part)
}

func compareAlpine(a, b string) int {
	_, _, c := walkAlpine(a, b)
	return c
}

// alpineHasPrefix is apk's fuzzy match: have equals want, or want ends where
// have goes on with another part.
func alpineHasPrefix(have, want string) bool {
	sh, sw, c := walkAlpine(have, want)
	return c == 0 || sw.part == alpineEnd && sh.part != alpineEnd
}
