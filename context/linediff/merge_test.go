package linediff

import (
	"bytes"
	"context"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

func TestMerge(t *testing.T) {
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
		got, n, _ := Merge(t.Context(), text(c.base), text(c.mine), text(c.theirs), "mine", "theirs")
		if want := text(c.want); !bytes.Equal(got, want) || n != c.conflicts {
			t.Errorf("%s: %q, %d conflicts; want %q, %d", c.name, got, n, want, c.conflicts)
		}
	}
}

// TestMergeLaws merges random texts.
func TestMergeLaws(t *testing.T) {
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
		if got, n, _ := Merge(t.Context(), base, a, base, "", ""); !bytes.Equal(got, a) || n != 0 {
			t.Fatalf("only mine changed: base %q mine %q: %q, %d conflicts", base, a, got, n)
		}
		if got, n, _ := Merge(t.Context(), base, base, b, "", ""); !bytes.Equal(got, b) || n != 0 {
			t.Fatalf("only theirs changed: base %q theirs %q: %q, %d conflicts", base, b, got, n)
		}
		if got, n, _ := Merge(t.Context(), base, a, a, "", ""); !bytes.Equal(got, a) || n != 0 {
			t.Fatalf("both changed alike: base %q to %q: %q, %d conflicts", base, a, got, n)
		}
		_, n, _ := Merge(t.Context(), base, a, b, "", "")
		_, m, _ := Merge(t.Context(), base, b, a, "", "")
		if n != m {
			t.Fatalf("base %q, %q and %q: %d conflicts one way, %d the other", base, a, b, n, m)
		}
	}
}

// TestMergeAsGit merges random changes of configuration files. What merges without
// conflict here and with git merges to the same, and what conflicts with git does so
// here.
func TestMergeAsGit(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	const cases = 300
	clean, more := 0, 0
	for n := range cases {
		lines := config(rng, 20+rng.Intn(400))
		base := joined(lines)
		mine, theirs := joined(edited(rng, lines, 1+rng.Intn(5), "mine")), joined(edited(rng, lines, 1+rng.Intn(5), "theirs"))
		got, conflicts, err := Merge(t.Context(), base, mine, theirs, "mine", "theirs")
		if err != nil {
			t.Fatal(err)
		}
		want, status := git(t, write(t, map[string][]byte{"base": base, "mine": mine, "theirs": theirs}), "merge-file", "-p", "mine", "base", "theirs")
		switch {
		case conflicts == 0 && status == 0:
			clean++
			if string(got) != want {
				d, _ := Unified(t.Context(), "git", []byte(want), "here", got)
				t.Errorf("case %d merges to another text than with git:\n%s", n, d)
			}
		case status == 0:
			more++
		case conflicts == 0:
			t.Errorf("case %d merges here and not with git", n)
		}
		if n := bytes.Count(got, []byte("<<<<<<< mine\n")); n != conflicts {
			t.Errorf("%d conflicts are marked and %d told", n, conflicts)
		}
	}
	if clean < cases*3/4 || more > cases/100 {
		t.Errorf("%d of %d cases merge, %d with git alone", clean, cases, more)
	}
}

// TestMergeManyChanges merges many changes of a text that has each line many times,
// which is more than the library is ready for.
func TestMergeManyChanges(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	lines := slices.Repeat(config(rng, 500), 20)
	base, mine, theirs := joined(lines), joined(edited(rng, lines, 200, "mine")), joined(edited(rng, lines, 200, "theirs"))
	_, conflicts, err := Merge(t.Context(), base, mine, theirs, "mine", "theirs")
	_, want := git(t, write(t, map[string][]byte{"base": base, "mine": mine, "theirs": theirs}), "merge-file", "-p", "mine", "base", "theirs")
	if err != nil || conflicts > want+2 {
		t.Errorf("%d conflicts, %v, and with git %d", conflicts, err, want)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Merge(ctx, []byte("a\n"), []byte("b\n"), []byte("c\n"), "", ""); err != context.Canceled {
		t.Errorf("merge: %v", err)
	}
	if _, err := Unified(ctx, "", []byte("a\n"), "", []byte("b\n")); err != context.Canceled {
		t.Errorf("diff: %v", err)
	}
}
