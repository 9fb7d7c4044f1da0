package server

import (
	stdcontext "context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/p9l"
)

// BenchmarkAttachKnown attaches to contexts whose views are known: ten thousand
// of them, over a thousand packages.
func BenchmarkAttachKnown(b *testing.B) {
	const contexts, packages = 10_000, 1000
	dir, state := b.TempDir(), b.TempDir()
	for i := range packages {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("p%03d.deb", i)))
		if err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprintf("p%03d", i)
		err = mkpkg.Deb(f, mkpkg.Spec{Name: name, Compression: mkpkg.Plain, Files: []mkpkg.File{{Path: "usr/bin/" + name, Body: name}}})
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
	files := filepath.Join(state, "contexts")
	if err := os.Mkdir(files, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range contexts {
		text := fmt.Sprintf("toplevel = [\"p%03d\", \"p%03d\", \"p%03d\"]\n", i%packages, i/7%packages, i*13%packages)
		if err := os.WriteFile(filepath.Join(files, fmt.Sprintf("group:g%d.toml", i)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	fs, err := New(Config{Packages: []string{dir}, State: state, Listen: []string{"unix:" + filepath.Join(b.TempDir(), "s")}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	ended := make(chan error)
	go func() { ended <- fs.Serve(ctx) }()
	defer func() { cancel(); <-ended }()
	if err := fs.Settle(ctx); err != nil {
		b.Fatal(err)
	}
	fs.contexts.Directory = fakeUsers{}
	i := 0
	attach := func() {
		f, err := fs.Attach(p9l.AttachRequest{
			Peer: p9l.Peer{Network: "unix", HasCred: true}, UID: p9l.NoUID, Aname: fmt.Sprintf("group:g%d", i%contexts),
		})
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
		i++
	}
	for range contexts {
		attach()
	}
	for b.Loop() {
		attach()
	}
}
