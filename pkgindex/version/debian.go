package version

// compareDebian orders by Debian policy 5.6.12: the epoch as a number, then
// the upstream version, then the revision, where a missing one counts as 0.
func compareDebian(a, b string) int {
	epochA, a := splitEpoch(a)
	epochB, b := splitEpoch(b)
	if c := compareNumbers(epochA, epochB); c != 0 {
		return c
	}
	upstreamA, revisionA, _ := splitRevision(a)
	upstreamB, revisionB, _ := splitRevision(b)
	if c := compareDebianPart(upstreamA, upstreamB); c != 0 {
		return c
	}
	return compareDebianPart(revisionA, revisionB)
}

// compareDebianPart compares runs of non-digits and runs of digits in turn.
func compareDebianPart(a, b string) int {
	for len(a) > 0 || len(b) > 0 {
		for len(a) > 0 && !isDigit(a[0]) || len(b) > 0 && !isDigit(b[0]) {
			if c := debianOrder(a) - debianOrder(b); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
		}
		n, m := digits(a), digits(b)
		if c := compareNumbers(a[:n], b[:m]); c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
	return 0
}

// debianOrder ranks the first character of s: the tilde before everything,
// even the end; then the end or a digit; then letters; then all others.
func debianOrder(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isAlpha(s[0]):
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}
