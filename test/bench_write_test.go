//go:build e2e

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkWrite writes through the kernel's client, in a guest, to packagefs
// and to diod. What it does is in guest_write_test.go.
func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		bin, err := program()
		if err != nil {
			b.Fatal(err)
		}
		if err := (GuestData{Program: bin}).Save(dir); err != nil {
			b.Fatal(err)
		}
		tests, err := guestProgram()
		if err != nil {
			b.Fatal(err)
		}
		g := Guest{Binary: tests, Env: map[string]string{guestDataEnv: dir}, Timeout: 20 * time.Minute}
		console, err := g.boot(dir, "^TestGuestWriteSpeed$")
		if err != nil {
			out, _ := os.ReadFile(filepath.Join(dir, "out"))
			b.Fatalf("%v\nthe guest's tests ended with:\n%s\nits console with:\n%s", err, tail(out, 60), tail(console, 60))
		}
		table, err := os.ReadFile(filepath.Join(dir, "status.table"))
		if err != nil {
			b.Fatal(err)
		}
		fmt.Printf("\n%s", table)
	}
}
