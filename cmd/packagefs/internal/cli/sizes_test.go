package cli

import "testing"

func TestByteSize(t *testing.T) {
	for in, want := range map[string]ByteSize{"0": 0, "4096": 4096, "64k": 64 << 10, "1M": 1 << 20, "2G": 2 << 30} {
		var b ByteSize
		if err := b.UnmarshalText([]byte(in)); err != nil || b != want {
			t.Errorf("%s: %d, %v", in, b, err)
		}
	}
	for _, in := range []string{"", "k", "-1", "3G", "1T", "4294967295G", "1.5M"} {
		if err := new(ByteSize).UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}
