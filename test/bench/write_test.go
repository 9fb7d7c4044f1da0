package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/guest"
	"github.com/packagefs/packagefs/test/harness"
)

// BenchmarkWrite writes through the kernel's client, in a guest, to packagefs
// and to diod. What it does is guest.WriteSpeed.
func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		bin := harness.Program(b)
		if err := (harness.GuestData{Program: bin}).Save(dir); err != nil {
			b.Fatal(err)
		}
		tests := harness.GuestProgram(b)
		g := harness.Guest{Binary: tests, Env: map[string]string{harness.GuestDataEnv: dir}, Timeout: 20 * time.Minute}
		console, err := g.Boot(dir, guest.WriteSpeed)
		if err != nil {
			out, _ := os.ReadFile(filepath.Join(dir, "out"))
			b.Fatalf("%v\nthe guest's tests ended with:\n%s\nits console with:\n%s", err, harness.Tail(out, 60), harness.Tail(console, 60))
		}
		table, err := os.ReadFile(filepath.Join(dir, "status.table"))
		if err != nil {
			b.Fatal(err)
		}
		fmt.Printf("\n%s", table)
	}
}
