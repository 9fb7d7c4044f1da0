package server

import (
	"bytes"
	"math/rand"
	"strings"
	"testing"
)

func TestMerge3(t *testing.T) {
	for _, c := range []struct {
		name, base, mine, theirs, want string
		conflicts                      int
	}{
		{"nothing changed", "a b c", "a b c", "a b c", "a b c", 0},
		{"mine changed", "a b c", "a X c", "a b c", "a X c", 0},
		{"theirs changed", "a b c", "a b c", "a X c", "a X c", 0},
		{"both the same", "a b c", "a X c", "a X c", "a X c", 0},
		{"apart", "a b c d e", "X b c d e", "a b c d Y", "X b c d Y", 0},
		{"added at both ends", "a b", "X a b", "a b Y", "X a b Y", 0},
		{"removed and changed elsewhere", "a b c d", "a c d", "a b c Y", "a c Y", 0},
		{"conflict", "a b c", "a X c", "a Y c", "a <<<<<<<_mine X ======= Y >>>>>>>_theirs c", 1},
		{"removed and changed", "a b c", "a c", "a Y c", "a <<<<<<<_mine ======= Y >>>>>>>_theirs c", 1},
		{"two conflicts", "a b c d e", "1 b c d 2", "3 b c d 4",
			"<<<<<<<_mine 1 ======= 3 >>>>>>>_theirs b c d <<<<<<<_mine 2 ======= 4 >>>>>>>_theirs", 2},
		{"of nothing", "", "a", "b", "<<<<<<<_mine a ======= b >>>>>>>_theirs", 1},
	} {
		text := func(s string) []byte {
			if s == "" {
				return nil
			}
			return []byte(strings.ReplaceAll(strings.ReplaceAll(s, " ", "\n"), "_", " ") + "\n")
		}
		got, n := merge3(text(c.base), text(c.mine), text(c.theirs), "mine", "theirs")
		if want := text(c.want); !bytes.Equal(got, want) || n != c.conflicts {
			t.Errorf("%s: %q, %d conflicts; want %q, %d", c.name, got, n, want, c.conflicts)
		}
	}
}

// TestMerge3Laws merges random texts.
func TestMerge3Laws(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	text := func() []byte {
		var b []byte
		for range rng.Intn(12) {
			b = append(b, byte('a'+rng.Intn(4)), '\n')
		}
		return b
	}
	for range 3000 {
		base, a, b := text(), text(), text()
		if got, n := merge3(base, a, base, "", ""); !bytes.Equal(got, a) || n != 0 {
			t.Fatalf("only mine changed: base %q mine %q: %q, %d conflicts", base, a, got, n)
		}
		if got, n := merge3(base, base, b, "", ""); !bytes.Equal(got, b) || n != 0 {
			t.Fatalf("only theirs changed: base %q theirs %q: %q, %d conflicts", base, b, got, n)
		}
		if got, n := merge3(base, a, a, "", ""); !bytes.Equal(got, a) || n != 0 {
			t.Fatalf("both changed alike: base %q to %q: %q, %d conflicts", base, a, got, n)
		}
		_, n := merge3(base, a, b, "", "")
		_, m := merge3(base, b, a, "", "")
		if n != m {
			t.Fatalf("base %q, %q and %q: %d conflicts one way, %d the other", base, a, b, n, m)
		}
	}
}
