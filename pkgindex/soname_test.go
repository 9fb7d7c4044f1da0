package pkgindex

import (
	"debug/elf"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

func TestSharedObject(t *testing.T) {
	const amd64 = elf.EM_X86_64
	for _, c := range []struct{ data, want string }{
		{mkpkg.SharedObject(amd64, "libfoo.so.1"), "libfoo.so.1"},
		{mkpkg.SharedObject(amd64, ""), ""},
		{mkpkg.SharedObject(amd64, "l"+strings.Repeat("o", 254)), "l" + strings.Repeat("o", 254)},
		{mkpkg.SharedObject(amd64, "l"+strings.Repeat("o", 255)), "none"},
		{mkpkg.SharedObject(0, "libfoo.so.1"), "none"},
		{"", "none"},
		{"/* GNU ld script */ GROUP ( libc.so.6 )" + strings.Repeat(" ", 64), "none"},
		{mkpkg.SharedObject(amd64, "libfoo.so.1")[:150], "none"},
		{mkpkg.SharedObject(amd64, "libfoo.so.1")[:200], "none"},
	} {
		o, err := readSharedObject(strings.NewReader(c.data))
		got := o.Soname
		if err != nil {
			got = "none"
		}
		if got != c.want || err == nil && o.Machine != amd64 {
			t.Errorf("%q: %+v, %v, want %q", c.data[:min(len(c.data), 20)], o, err, c.want)
		}
	}
}

// TestSharedObjectDamage changes bytes: whatever is in a file, reading it ends, and
// with a name that could be one or with an error.
func TestSharedObjectDamage(t *testing.T) {
	whole := mkpkg.SharedObject(elf.EM_X86_64, "libfoo.so.1")
	rng := rand.New(rand.NewPCG(1, 2))
	values := []byte{0, 1, 0x7f, 0x80, 0xff}
	read := 0
	for range 50_000 {
		b := []byte(whole)
		for range 1 + rng.IntN(3) {
			b[rng.IntN(len(b))] = values[rng.IntN(len(values))]
		}
		if o, err := readSharedObject(strings.NewReader(string(b))); err == nil {
			read++
			if len(o.Soname) > maxSoname || strings.Contains(o.Soname, "\x00") {
				t.Fatalf("%q has the name %q", b, o.Soname)
			}
		}
	}
	if read == 0 || read == 50_000 {
		t.Errorf("%d of 50000 were read", read)
	}
}
