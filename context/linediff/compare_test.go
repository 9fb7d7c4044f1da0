package linediff

import (
	"bytes"
	"math/rand"
	"testing"
)

// TestCompare compares texts in which lines are the same by chance, small ones and
// such as are too much for the library: what lies between the spans is the same,
// and spans neither touch nor begin or end with what is the same.
func TestCompare(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for n := range 3000 {
		lines, kinds := rng.Intn(20), 1+rng.Intn(6)
		if n%50 == 0 {
			lines, kinds = rng.Intn(2000), 1+rng.Intn(1000)
		}
		text := func() []byte {
			var b []byte
			for range rng.Intn(lines + 1) {
				b = append(b, byte('a'+rng.Intn(kinds)%26), byte('a'+rng.Intn(kinds)/26), '\n')
			}
			return b[:max(0, len(b)-rng.Intn(2))] // with the last line's end or without
		}
		c := cutter{}
		a, b := c.cut(text()), c.cut(text())
		spans, err := compare(t.Context(), a, b, len(c))
		if err != nil {
			t.Fatal(err)
		}
		x, y, changed := 0, 0, 0
		for i, s := range append(spans, span{len(a.lines), len(a.lines), len(b.lines), len(b.lines)}) {
			if s.a0 < x || s.b0 < y || !bytes.Equal(a.part(x, s.a0), b.part(y, s.b0)) {
				t.Fatalf("%q and %q: %v: other than the same before number %d", a.body, b.body, spans, i)
			}
			if i < len(spans) && (s.size() <= 0 || i > 0 && s.a0 == x) {
				t.Fatalf("%q and %q: %v: number %d is empty or touches the one before", a.body, b.body, spans, i)
			}
			x, y, changed = s.a1, s.b1, changed+s.size()
		}
		if lines < 20 && changed != len(a.lines)+len(b.lines)-2*longest(a.lines, b.lines) {
			t.Fatalf("%q and %q: %v: it can be less", a.body, b.body, spans)
		}
	}
}

// longest returns how many lines two texts have in common, in order.
func longest(a, b []rune) int {
	best := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := best[j+1]
			if x == y {
				best[j+1] = diagonal + 1
			} else {
				best[j+1] = max(above, best[j])
			}
			diagonal = above
		}
	}
	return best[len(b)]
}
