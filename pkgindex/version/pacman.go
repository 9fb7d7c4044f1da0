package version

import "strings"

// comparePacman orders as vercmp does: epoch, then version, then pkgrel. tie
// orders what vercmp takes as equal because only one has a pkgrel.
func comparePacman(a, b string) (c, tie int) { return compareReleases(a, b, comparePacmanPart) }

// compareReleases orders by epoch, version and release, the latter two by part; tie
// orders what is equal because only one has a release.
func compareReleases(a, b string, part func(a, b string) int) (c, tie int) {
	epochA, a := splitPacmanEpoch(a)
	epochB, b := splitPacmanEpoch(b)
	if c := compareNumbers(epochA, epochB); c != 0 {
		return c, 0
	}
	versionA, relA, hasRelA := splitRevision(a)
	versionB, relB, hasRelB := splitRevision(b)
	if c := part(versionA, versionB); c != 0 {
		return c, 0
	}
	switch {
	case hasRelA && hasRelB:
		return part(relA, relB), 0
	case hasRelA:
		return 0, 1
	case hasRelB:
		return 0, -1
	}
	return 0, 0
}

// splitPacmanEpoch is splitEpoch that takes an empty epoch for 0.
func splitPacmanEpoch(v string) (epoch, rest string) {
	if strings.HasPrefix(v, ":") {
		return "", v[1:]
	}
	return splitEpoch(v)
}

// comparePacmanPart compares segments of letters and of digits in turn; what
// stands between them counts by its length alone. A version that ends is
// later than one that goes on with letters at once (1.0 > 1.0rc) and earlier
// than any other. vercmp takes separators at the end for later than letters
// and earlier than digits behind separators of any number, which is circular;
// here they are later than the end only.
func comparePacmanPart(a, b string) int {
	for {
		sepA, a1 := skipSeparators(a)
		sepB, b1 := skipSeparators(b)
		a, b = a1, b1
		if a == "" || b == "" || sepA != sepB {
			return pacmanRank(a, sepA) - pacmanRank(b, sepB)
		}
		number := isDigit(a[0])
		if number != isDigit(b[0]) {
			return pacmanRank(a, sepA) - pacmanRank(b, sepB)
		}
		segA, restA := pacmanSegment(a)
		segB, restB := pacmanSegment(b)
		var c int
		if number {
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

// pacmanRank places what follows a segment: letters at once, the end,
// separators and the end, digits at once, then by the number of separators
// and letters before digits.
func pacmanRank(rest string, separators int) int {
	switch {
	case rest == "":
		return 1 + min(separators, 1)
	case separators == 0 && isAlpha(rest[0]):
		return 0
	case isAlpha(rest[0]):
		return 2 + 2*separators
	default:
		return 3 + 2*separators
	}
}

// skipSeparators cuts what is neither letter nor digit off the start of s.
func skipSeparators(s string) (n int, rest string) {
	for n < len(s) && !isAlnum(s[n]) {
		n++
	}
	return n, s[n:]
}

// pacmanSegment cuts the run of digits or letters at the start of s, which
// starts with one of them.
func pacmanSegment(s string) (segment, rest string) {
	n := digits(s)
	if n == 0 {
		for n < len(s) && isAlpha(s[n]) {
			n++
		}
	}
	return s[:n], s[n:]
}
