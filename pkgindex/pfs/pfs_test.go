package pfs

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const testMetadata = "name = \"sample\"\nversion = \"1.0\"\narchitecture = \"all\"\n"

// body is content of that size: text if it is to be compressed, else noise.
func body(seed uint64, size int, text bool) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for b.Len() < size {
		if text {
			fmt.Fprintf(&b, "%d: the %d words of line %d\n", random.IntN(100), random.IntN(1000), random.IntN(30))
		} else {
			b.WriteByte(byte(random.Uint32()))
		}
	}
	return b.String()[:size]
}

// sample is an entry with its content.
type sample struct {
	Entry
	body string
}

func file(path, body string) sample {
	return sample{Entry{Path: path, Type: Regular, Mode: 0o644, Size: int64(len(body)), Time: 1700000000}, body}
}

// samples have every feature of the format.
func samples() []sample {
	long := strings.Repeat("directory-of-a-long-name/", 7)
	capable := file("usr/bin/ping", "capable")
	capable.Mode, capable.Xattrs = 0o755, map[string]string{
		"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"user.text":           "a=b\nü",
	}
	owned := file("usr/share/owned", "by somebody")
	owned.UID, owned.GID, owned.Mode, owned.Time = 1<<32-2, 1<<21, 0o6755, 1<<33+5
	return []sample{
		{Entry: Entry{Path: "usr", Type: Directory, Mode: 0o755, Time: 1700000000}},
		{Entry: Entry{Path: "usr/tmp", Type: Directory, Mode: 0o1777, UID: 12, GID: 34}},
		file("usr/empty", ""),
		file("usr/small", "small\n"),
		file("usr/grüße", "UTF-8"),
		capable, owned,
		{Entry: Entry{Path: "usr/bin/link", Type: Symlink, Mode: 0o777, Target: "../no/where"}},
		{Entry: Entry{Path: "usr/bin/long", Type: Symlink, Mode: 0o777, Target: strings.Repeat("x/", 200)}},
		{Entry: Entry{Path: "usr/bin/hard", Type: HardLink, Mode: 0o755, Target: "usr/bin/ping"}},
		{Entry: Entry{Path: "run/fifo", Type: Fifo, Mode: 0o600}},
		file(long+"file", "far down"),
		{Entry: Entry{Path: long + "again", Type: HardLink, Mode: 0o644, Target: long + "file"}},
		file("usr/block", body(1, 512, true)),
		file("usr/text", body(2, 100_000, true)),
		file("usr/noise", body(3, 100_000, false)),
		file("usr/chunks", body(4, 5*chunkBytes+17, true)),
		file("usr/exact", body(5, 5*chunkBytes, true)),
		file("usr/last", "the end\n"),
	}
}

func write(t testing.TB, o Options, list []sample) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, []byte(testMetadata), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if err := w.Add(s.Entry, strings.NewReader(s.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read walks a package file.
func read(data []byte) (list []sample, err error) {
	err = Walk(bytes.NewReader(data), int64(len(data)), nil, func(text []byte, _ int) error {
		if string(text) != testMetadata {
			return fmt.Errorf("metadata %q", text)
		}
		return nil
	}, func(m *Member, content io.Reader) error {
		s := sample{Entry: m.Entry}
		if content != nil {
			text, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			if s.body = string(text); sha256.Sum256(text) != m.Digest {
				return fmt.Errorf("%q: wrong digest", m.Path)
			}
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

// TestRoundTrip: what was written is read, whatever the number of workers, and
// the same entries make the same bytes.
func TestRoundTrip(t *testing.T) {
	want := samples()
	data := write(t, Options{}, want)
	for workers := 1; workers < 4; workers++ {
		if !bytes.Equal(data, write(t, Options{Workers: workers}, want)) {
			t.Errorf("%d workers make another file", workers)
		}
	}
	got, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("entry %d is %+v, want %+v", i, got[i].Entry, want[i].Entry)
		}
	}
}

// TestArchive: what any reader of .tar.zst finds.
func TestArchive(t *testing.T) {
	want := samples()
	z, err := zstd.NewReader(bytes.NewReader(write(t, Options{}, want)))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	tr := tar.NewReader(z)
	for i := -1; ; i++ {
		h, err := tr.Next()
		if err == io.EOF {
			if i != len(want) {
				t.Errorf("%d members, want %d", i, len(want))
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if i < 0 {
			if h.Name != MetadataPath || string(text) != testMetadata {
				t.Errorf("the first member is %q: %q", h.Name, text)
			}
			continue
		}
		e := want[i].Entry
		if h.Name != e.name() || h.Mode != int64(e.Mode) || h.Uid != int(e.UID) || h.Gid != int(e.GID) || h.Size != e.Size ||
			h.ModTime.Unix() != e.Time || h.Linkname != e.Target || h.Typeflag != typeflags[e.Type] || string(text) != want[i].body {
			t.Errorf("%+v\nis the header %+v", e, h)
		}
		for name, value := range e.Xattrs {
			if h.PAXRecords["SCHILY.xattr."+name] != value {
				t.Errorf("%s has the records %q", e.Path, h.PAXRecords)
			}
		}
	}
}

// TestCut: files that share frames are kept together where they are alike, and
// cut where it costs little.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		name  string
		alike bool
	}{{"alike", true}, {"unlike", false}} {
		same := body(1, 300_000, false)
		var list []sample
		for i := range 10 {
			if !c.alike {
				same = body(uint64(i), 300_000, false)
			}
			list = append(list, file(fmt.Sprint("usr/", i), same))
		}
		data := write(t, Options{}, list)
		largest := 0
		for i, table := 0, open(t, data); i < table.Frames(); i++ {
			largest = max(largest, table.content(i))
		}
		if (largest > sharedBytes) != c.alike {
			t.Errorf("%s: the largest frame has %d bytes", c.name, largest)
		}
		if got, err := read(data); err != nil || len(got) != len(list) {
			t.Errorf("%s: %d entries, %v", c.name, len(got), err)
		}
	}
}
