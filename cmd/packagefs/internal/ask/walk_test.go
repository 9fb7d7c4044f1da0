package ask

import "testing"

func TestModeText(t *testing.T) {
	for mode, want := range map[uint32]string{0o755: "-rwxr-xr-x", 0o4755: "-rwsr-xr-x", 0o2644: "-rw-r-Sr--", 0o1777: "-rwxrwxrwt", 0o1770: "-rwxrwx--T", 0: "----------"} {
		r := fileRow{Type: "file", Mode: mode}
		if got := r.modeText(); got != want {
			t.Errorf("%o: %s, want %s", mode, got, want)
		}
	}
}
