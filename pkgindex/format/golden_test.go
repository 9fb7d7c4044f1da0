package format

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/packagefs/packagefs/pkgindex/pfs"
)

// nativeFeatures are small native packages with one feature each.
var nativeFeatures = map[string]struct {
	metadata string
	entries  []pfs.Entry
}{
	"files":     {"", []pfs.Entry{{Path: "usr", Type: pfs.Directory, Mode: 0o755}, {Path: "usr/a"}, {Path: "usr/b", Mode: 0o4755}}},
	"links":     {"links = { '/usr/bin/w' = 'x' }\n", []pfs.Entry{{Path: "usr/bin/x"}, {Path: "usr/bin/y", Type: pfs.HardLink, Target: "usr/bin/x"}, {Path: "usr/bin/z", Type: pfs.Symlink, Mode: 0o777, Target: "x"}}},
	"chunks":    {"", []pfs.Entry{{Path: "usr/big", Size: 1_200_000}, {Path: "usr/small"}}},
	"fifo":      {"", []pfs.Entry{{Path: "run/pipe", Type: pfs.Fifo}}},
	"owners":    {"", []pfs.Entry{{Path: "var/a", UID: 33, GID: 33}, {Path: "var/b", UID: 3_000_000, GID: 1<<32 - 2}}},
	"attrs":     {"capabilities = { '/usr/bin/ping' = 'cap_net_raw=ep' }\n[xattrs.'/usr/b']\n'user.b' = 'B'\n", []pfs.Entry{{Path: "usr/a", Xattrs: map[string]string{"user.a": "A\n"}}, {Path: "usr/b"}, {Path: "usr/bin/ping"}}},
	"names":     {"", []pfs.Entry{{Path: strings.Repeat("long/", 60) + "größe"}, {Path: "l", Type: pfs.Symlink, Mode: 0o777, Target: strings.Repeat("x", 150)}}},
	"mutable":   {"mutable = ['/etc/**']\n", []pfs.Entry{{Path: "etc/x.conf"}, {Path: "usr/x.conf"}}},
	"relations": {"depends = ['a (>= 1) | b, c']\nprovides = ['v (= 2)']\nconflicts = ['o']\nreplaces = ['o']\n", nil},
	"quoted":    {"depends = ['\"perl(A::B)\" (>= 1) | \"/usr/bin/perl\", c']\nprovides = ['\"x(y)\" (= 2)']\n", nil},
	"root":      {"mutable = ['/etc/\\[x\\]']\nroot = { mode = '0750', uid = 3, gid = 4, time = 1500000000 }\n", []pfs.Entry{{Path: "etc/[x]"}, {Path: "etc/x"}}},
	"services":  {"services = ['x.timer']\n", []pfs.Entry{{Path: "usr/lib/systemd/system/x.service"}}},
	"about":     {"summary = 'S'\ndescription = 'D'\nlicence = 'MIT'\nhomepage = 'https://example.org'\nmaintainer = 'N'\nsource = 'src'\n", nil},
}

// goldenArchive is the archive in a package file: what is compared, because the
// compressor may change.
func goldenArchive(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	archive, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// goldenText lists what was read, big contents by their digests.
func goldenText(r *recorder) string {
	for path, body := range r.bodies {
		if len(body) > 1000 {
			r.bodies[path] = fmt.Sprintf("%d bytes, SHA-256 %x", len(body), sha256.Sum256([]byte(body)))
		}
	}
	return r.String()
}

// TestNativeGolden: package files that were written once are read as they were,
// and the same archives are written today. To make the files, remove them.
func TestNativeGolden(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(nativeFeatures)) {
		feature := nativeFeatures[name]
		fresh := nativeFile(t, nativeHead+feature.metadata, feature.entries...)
		file := filepath.Join("testdata", "native", name+".pfs")
		data, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			r, err := readBytes(t, name, fresh, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, fresh, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file+".txt", []byte(goldenText(r)), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s is made; look at it", file)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		r, err := readBytes(t, name, data, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		if have := goldenText(r); have != string(want) {
			t.Errorf("%s:\nhave\n%swant\n%s", file, have, want)
		}
		if !bytes.Equal(goldenArchive(t, data), goldenArchive(t, fresh)) {
			t.Errorf("%s: another archive is written today", file)
		}
	}
}
