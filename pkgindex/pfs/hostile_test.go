package pfs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// tocOf returns a package file's frames and the text of its table of contents.
func tocOf(t testing.TB, data []byte) (frames []byte, toc string) {
	t.Helper()
	at, err := readTail(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(data[at.off:][:at.packed], nil)
	if err != nil {
		t.Fatal(err)
	}
	return data[:at.off-frameHead], string(text)
}

// withTOC ends frames with a table of contents, sealed as it should be.
func withTOC(t testing.TB, frames []byte, toc string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	packed := z.EncodeAll([]byte(toc), nil)
	at := tail{off: int64(len(frames)) + frameHead, packed: int64(len(packed)), size: int64(len(toc)), digest: sha256.Sum256(packed)}
	return at.append(append(appendSkippable(bytes.Clone(frames), len(packed)), packed...))
}

// TestHostileTables: a table that does not describe its archive is refused when
// it is read, or when the contents are.
func TestHostileTables(t *testing.T) {
	frames, toc := tocOf(t, write(t, Options{}, samples()))
	if _, err := read(withTOC(t, frames, toc)); err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("small\n")))
	other := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		name, from, to string
		want           string // in the error of Open, or of Walk behind an exclamation mark
	}{
		{"another name", `"usr/small"`, `"usr/smalL"`, "!header or padding"},
		{"another mode", `"name":"usr/small","type":"reg","size":6,"modtime":"2023-11-14T22:13:20Z","mode":420`, `"name":"usr/small","type":"reg","size":6,"modtime":"2023-11-14T22:13:20Z","mode":2541`, "!header or padding"},
		{"another time", `"2023-11-14T22:13:20Z"`, `"2023-11-14T22:13:21Z"`, "!header or padding"},
		{"another owner", `"uid":12`, `"uid":13`, "!header or padding"},
		{"another type", `"name":"run/fifo","type":"fifo"`, `"name":"run/fifo","type":"hardlink","linkName":"usr/small"`, "!header or padding"},
		{"another target", `../no/where`, `../to/where`, "!header or padding"},
		{"another digest", hash, other, "!does not match its digest"},
		{"another size", `"size":6`, `"size":7`, "!does not match its digest"},
		{"a larger size", `"size":6`, `"size":6000000`, "goes beyond its frame"},
		{"another attribute", `"user.text"`, `"user.tExt"`, "!header or padding"},
		{"a capability more", `"name":"usr/small","type":"reg"`, `"name":"usr/small","type":"reg","xattrs":{"security.capability":"AAAA"}`, "by the frames is at"},
		{"an entry less", `{"name":"run/fifo","type":"fifo","modtime":"1970-01-01T00:00:00Z","mode":384},` + "\n", ``, "by the frames is at"},
		{"an entry twice", `{"name":"run/fifo"`, `{"name":"run/fifo","type":"fifo","modtime":"1970-01-01T00:00:00Z","mode":384},{"name":"run/fifo"`, "by the frames is at"},
		{"another offset", `"innerOffset":`, `"innerOffset":1`, "by the frames is at"},
		{"another chunk", `"chunkOffset":262144`, `"chunkOffset":262145`, "is not the next one"},
		{"a chunk less", `"type":"chunk"`, `"type":"reg"`, "lacks one"},
		{"a chunk without digest", `"chunkDigest":"sha256:`, `"digest":"sha256:`, "field twice"},
		{"a frame more", `"frames":[`, `"frames":[[10,10],`, "by the frames is at"},
		{"a huge frame", `"frames":[[`, `"frames":[[1,99999999],[`, "cannot have"},
		{"another version", `"version":1`, `"version":2`, "only 1 can be read"},
		{"an unknown field", `"name":"usr/small"`, `"name":"usr/small","nlink":2`, "unknown field"},
		{"a field twice", `"name":"usr/small"`, `"name":"usr/small","name":"usr/small"`, "field twice"},
		{"a negative number", `"uid":12`, `"uid":-12`, "not a number"},
		{"a float", `"uid":12`, `"uid":12.5`, "not a number"},
		{"a device", `"type":"fifo"`, `"type":"char"`, "not allowed in packages"},
		{"text behind", "]}\n", "]}{}", "more text"},
		{"cut short", "]}\n", "]", "unexpected EOF"},
		{"metadata elsewhere", `".packagefs/package.toml"`, `".packagefs/package.tOml"`, "first member"},
		{"absolute", `"usr/small"`, `"/sr/small"`, "not a relative path"},
		{"an empty file with a place", `"name":"usr/empty"`, `"name":"usr/empty","offset":5`, "but a place of it"},
		{"a directory without slash", `"usr/"`, `"usr"`, "ends in a slash"},
		{"a symlink without target", `,"linkName":"../no/where"`, ``, "every link has one"},
	} {
		edited := strings.Replace(toc, c.from, c.to, 1)
		if edited == toc {
			t.Errorf("%s: nothing to change in\n%s", c.name, toc)
			continue
		}
		data := withTOC(t, frames, edited)
		_, openErr := Open(bytes.NewReader(data), int64(len(data)), func([]byte, int) error { return nil }, func(*Member) error { return nil })
		err := Check(bytes.NewReader(data), int64(len(data)), nil)
		want, later := strings.CutPrefix(c.want, "!")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", c.name, err, want)
		}
		if later != (openErr == nil) {
			t.Errorf("%s: Open says %v", c.name, openErr)
		}
	}
}

// TestWholeDigest: the digest of a file of several chunks is verified, too.
func TestWholeDigest(t *testing.T) {
	big := body(1, 5*chunkBytes, true)
	frames, toc := tocOf(t, write(t, Options{}, []sample{file("big", big)}))
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(big)))
	data := withTOC(t, frames, strings.Replace(toc, hash, strings.Repeat("5", 64), 1))
	err := Check(bytes.NewReader(data), int64(len(data)), nil)
	if err == nil || !strings.Contains(err.Error(), `"big" does not match its digest`) {
		t.Error(err)
	}
}

// FuzzTOC: whatever a table says, reading it ends, and what is read of the
// contents is what the frames hold.
func FuzzTOC(f *testing.F) {
	list := []sample{file("usr/a", "aaa"), file("usr/b", strings.Repeat("b", bigFile+5)), {Entry: Entry{Path: "usr/c", Type: Symlink, Mode: 0o777, Target: "a"}}}
	frames, toc := tocOf(f, write(f, Options{}, list))
	f.Add(toc)
	f.Add(`{"version":1,"frames":[],"entries":[]}`)
	f.Add(`{"version":1,"frames":[[1,1]],"entries":[{"name":".packagefs/package.toml","type":"reg","size":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		data := withTOC(t, frames, text)
		err := Walk(bytes.NewReader(data), int64(len(data)), nil, func([]byte, int) error { return nil }, func(m *Member, content io.Reader) error {
			if content == nil {
				return nil
			}
			got, err := io.ReadAll(content)
			if err == nil && sha256.Sum256(got) != m.Digest {
				t.Errorf("%q has other content than its digest says", m.Path)
			}
			return err
		})
		if err == nil && text != toc {
			frames, entries := 0, 0
			readErr := newTOCReader(strings.NewReader(text)).read(func(int64, int64) error { frames++; return nil }, func(*tocEntry) error { entries++; return nil })
			if readErr != nil || frames == 0 || entries < len(list)+1 {
				t.Errorf("accepted: %s", text)
			}
		}
	})
}
