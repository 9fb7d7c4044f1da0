package version

import "strings"

// compareRpm orders as rpm does: epoch, where none counts as 0, then version,
// then release. tie orders what rpm's relations take as equal because only one
// has a release.
func compareRpm(a, b string) (c, tie int) { return compareReleases(a, b, compareRpmPart) }

// compareRpmPart compares segments of letters and of digits in turn; what stands
// between them only separates.
func compareRpmPart(a, b string) int {
	for {
		a, b = skipRpmSeparators(a), skipRpmSeparators(b)
		rank := rpmRank(a)
		if c := rank - rpmRank(b); c != 0 || rank == rpmEnd {
			return c
		}
		switch rank {
		case rpmTilde, rpmCaret:
			a, b = a[1:], b[1:]
			continue
		}
		segA, restA := pacmanSegment(a)
		segB, restB := pacmanSegment(b)
		var c int
		if rank == rpmDigit {
			c = compareNumbers(segA, segB)
		} else {
			c = strings.Compare(segA, segB)
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
}

// The ranks of what comes next: 1~rc < 1 < 1^git < 1.a < 1.1.
const (
	rpmTilde = iota
	rpmEnd
	rpmCaret
	rpmLetter
	rpmDigit
)

func rpmRank(s string) int {
	switch {
	case s == "":
		return rpmEnd
	case s[0] == '~':
		return rpmTilde
	case s[0] == '^':
		return rpmCaret
	case isDigit(s[0]):
		return rpmDigit
	}
	return rpmLetter
}

func skipRpmSeparators(s string) string {
	for s != "" && s[0] != '~' && s[0] != '^' && !isAlnum(s[0]) {
		s = s[1:]
	}
	return s
}
