package server

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// merge3 brings the changes from base to mine and those from base to theirs
// together, line by line, and tells at how many places both changed the same
// lines in different ways. There both versions stand between marks with these
// names.
func merge3(base, mine, theirs []byte, mineName, theirsName string) (merged []byte, conflicts int) {
	b, m, t := lines(base), lines(mine), lines(theirs)
	inMine, inTheirs := matchLines(b, m), matchLines(b, t)
	var out bytes.Buffer
	bi, mi, ti := 0, 0, 0
	for bi <= len(b) {
		// The next line that all three have.
		k := bi
		for k < len(b) && (inMine[k] < mi || inTheirs[k] < ti) {
			k++
		}
		mk, tk := len(m), len(t)
		if k < len(b) {
			mk, tk = inMine[k], inTheirs[k]
		}
		was, ours, other := b[bi:k], m[mi:mk], t[ti:tk]
		switch {
		case slices.Equal(ours, was), slices.Equal(ours, other):
			write(&out, other)
		case slices.Equal(other, was):
			write(&out, ours)
		default:
			conflicts++
			mark(&out, "<<<<<<< "+mineName)
			write(&out, ours)
			mark(&out, "=======")
			write(&out, other)
			mark(&out, ">>>>>>> "+theirsName)
		}
		if k < len(b) {
			write(&out, b[k:k+1])
		}
		bi, mi, ti = k+1, mk+1, tk+1
	}
	return out.Bytes(), conflicts
}

// lines cuts a text behind its line ends.
func lines(text []byte) []string {
	l := strings.SplitAfter(string(text), "\n")
	if l[len(l)-1] == "" {
		l = l[:len(l)-1]
	}
	return l
}

// matchLines tells for each line of base where it is in other, -1 for nowhere.
func matchLines(base, other []string) []int {
	at := make([]int, len(base))
	for i := range at {
		at[i] = -1
	}
	for _, m := range difflib.NewMatcherWithJunk(base, other, false, nil).GetMatchingBlocks() {
		for i := range m.Size {
			at[m.A+i] = m.B + i
		}
	}
	return at
}

func write(out *bytes.Buffer, lines []string) {
	for _, l := range lines {
		out.WriteString(l)
	}
}

// mark writes a line of its own.
func mark(out *bytes.Buffer, text string) {
	if b := out.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
		out.WriteByte('\n')
	}
	out.WriteString(text + "\n")
}
