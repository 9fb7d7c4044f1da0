package wire_test

import (
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestDecoderBounds cuts a body with fields of all kinds at every length: only
// the whole one is good, and none is read past its end.
func TestDecoderBounds(t *testing.T) {
	whole := p9ltest.Body(uint8(1), uint16(2), uint32(3), uint64(4), "five", "six", uint32(5), []byte("seven"), make([]byte, wire.QIDSize))
	for n := range len(whole) + 2 {
		b := append(append([]byte(nil), whole...), 0)[:n:n]
		d := wire.Decode(b)
		d.U8()
		d.U16()
		d.U32()
		d.U64()
		a, v, data, q := d.Str(), d.View(), d.Data(), d.QID()
		if got, want := d.End(), n == len(whole); got != want {
			t.Errorf("%d of %d bytes: end %v", n, len(whole), got)
		}
		if n == len(whole) && (a != "five" || v != "six" || string(data) != "seven" || q != (p9.QID{})) {
			t.Errorf("decoded %q %q %q %v", a, v, data, q)
		}
	}
}
