//go:build archive

package context

import (
	stdcontext "context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format"
)

// debianArchive reads the Debian Packages file that PACKAGEFS_ARCHIVE names.
func debianArchive(b *testing.B) *pkgindex.Set {
	b.Helper()
	f, err := os.Open(os.Getenv("PACKAGEFS_ARCHIVE"))
	if err != nil {
		b.Fatalf("PACKAGEFS_ARCHIVE names no Debian Packages file: %v; test/debcheck fetches one", err)
	}
	defer f.Close()
	var all []*pkgindex.Package
	for m, err := range format.ReadPackagesFile(f) {
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, &pkgindex.Package{Meta: m, ID: uint64(len(all) + 1)})
	}
	return pkgindex.NewSet(1, all, nil)
}

// BenchmarkClosures attaches to the context of each package of an archive by one
// goroutine, when each package has been looked at before.
func BenchmarkClosures(b *testing.B) {
	set := debianArchive(b)
	contexts := &Contexts{Directory: people(""), Architecture: "amd64"}
	if _, err := contexts.Check(stdcontext.Background(), set, Caller{Trusted: true}, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var took []time.Duration
		for _, p := range set.Packages {
			name := attachname.OfPackage(p.Ref)
			start := time.Now()
			_, _ = contexts.Resolve(set, name, Caller{Trusted: true})
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		at := func(part float64) float64 { return took[int(part*float64(len(took)-1))].Seconds() * 1000 }
		b.ReportMetric(at(0.5), "ms-median")
		b.ReportMetric(at(0.99), "ms-99th-percentile")
		b.ReportMetric(at(1), "ms-slowest")
		b.ReportMetric(float64(len(took)), "packages")
	}
}
