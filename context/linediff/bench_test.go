package linediff

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"testing"
)

// size is how large the largest texts are that are compared.
const size = 4 << 20

// A trio is three versions of a text.
type trio struct {
	name               string
	base, mine, theirs []byte
}

// trios makes texts of about so many bytes that are hard to compare in different
// ways.
func trios(size int) []trio {
	rng := rand.New(rand.NewSource(1))
	cut := func(b []byte) []byte { return b[:bytes.LastIndexByte(b[:min(len(b), size)], '\n')+1] }
	filled := func(line func(n int) string) []byte {
		var b bytes.Buffer
		for n := 0; b.Len() < size; n++ {
			b.WriteString(line(n))
		}
		return cut(b.Bytes())
	}
	random := func(int) string { return fmt.Sprintf("%x\n", rng.Int63()) }
	of := func(kinds int) func(int) string {
		return func(int) string { return fmt.Sprintf("%c\n", 'a'+rng.Intn(kinds)) }
	}
	equal := filled(func(int) string { return "cache allow all\n" })
	empty := bytes.Repeat([]byte{'\n'}, size)
	unlike := func(b []byte, every int) []byte {
		lines := bytes.SplitAfter(b, []byte{'\n'})
		for i := rng.Intn(every); i < len(lines); i += every {
			lines[i] = []byte(random(0))
		}
		return cut(bytes.Join(lines, nil))
	}
	section := config(rng, 2000)
	config := slices.Repeat(section, 1+size/len(joined(section))) // no line is there once
	squid := edited(rng, config, 20, "base")
	mixed := filled(random)
	lines := bytes.SplitAfter(mixed, []byte{'\n'})
	shuffled := bytes.Clone(mixed[:0])
	for _, i := range rng.Perm(len(lines)) {
		shuffled = append(shuffled, lines[i]...)
	}
	half := mixed[bytes.IndexByte(mixed[size/2:], '\n')+size/2+1:]
	return []trio{
		{"equal", equal, cut(append([]byte("mine\n"), equal...)), equal[:len(equal)/2]},
		{"empty", empty, append([]byte("mine\n"), empty[1:]...), append(empty[:size/3:size/3], append([]byte("theirs\n"), empty[size/2:]...)...)},
		{"equal with changes", equal, unlike(equal, 1000), unlike(equal, 1001)},
		{"random", filled(random), filled(random), filled(random)},
		{"random with changes", mixed, unlike(mixed, 7), unlike(mixed, 1000)},
		{"random order", mixed, shuffled, mixed},
		{"halves exchanged", mixed, append(bytes.Clone(half), mixed[:len(mixed)-len(half)]...), unlike(mixed, 1000)},
		{"of two lines", filled(of(2)), filled(of(2)), filled(of(2))},
		{"of twenty lines", filled(of(20)), filled(of(20)), filled(of(20))},
		{"in turn", filled(func(n int) string { return fmt.Sprintf("%d\n", n%100) }), filled(func(n int) string { return fmt.Sprintf("%d\n", n%101) }),
			filled(func(n int) string { return fmt.Sprintf("%d\n", n%99) })},
		{"squid.conf", joined(squid), joined(edited(rng, squid, 20, "mine")), joined(edited(rng, squid, 20, "theirs"))},
		{"squid.conf, many changes", joined(squid), joined(edited(rng, squid, 3000, "mine")), joined(edited(rng, squid, 3000, "theirs"))},
	}
}

// BenchmarkMerge merges texts as large as they may be.
func BenchmarkMerge(b *testing.B) {
	for _, t := range trios(size) {
		b.Run(t.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, conflicts, err := Merge(b.Context(), t.base, t.mine, t.theirs, "mine", "theirs")
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(conflicts), "conflicts")
			}
		})
	}
}

// BenchmarkUnified compares texts as large as they may be.
func BenchmarkUnified(b *testing.B) {
	for _, t := range trios(size) {
		b.Run(t.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out, err := Unified(b.Context(), "base", t.base, "mine", t.mine)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(out)), "B-out")
			}
		})
	}
}
