package format

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

func TestRich(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"(a and b >= 2 and c)", "a, b (>= 2), c"},
		{"(a or b or c)", "a | b | c"},
		{"(a or (b and c))", "a | b, a | c"},
		{"((a and b) or (c and d))", "a | c, a | d, b | c, b | d"},
		{"(a if b)", ""},
		{"((a if b) and c)", "c"},
		{"(a if b else c)", "c | a"},
		{"(a if (b or c) else (d and e))", "d | a, e | a"},
		{"(a unless b)", "a"},
		{"(a unless b else c)", "c | a"},
		{"(a without b)", "a"},
		{"(a >= 1 with a < 2)", "a (>= 1), a (<< 2)"},
		{"(lib.so.1()(64bit) or pkgconfig(x) = 1)", "lib.so.1()(64bit) | pkgconfig(x) (= 1)"},
		{"(/bin/sh or rpmlib(X) <= 1)", ""},
		{"(a)", "a"},
		{"(a or b", `no (`},
		{"(a or b and c)", `"and" after "or" needs parentheses`},
		{"(a if b if c)", `"if" twice`},
		{"(a xor b)", `"xor" is none of`},
		{"(a or b) c", `c" is out of place`},
		{"(a or )", "is no name"},
		{"(a >= or b)", "is no name"},
		{"()", "is no name"},
		{strings.Repeat("(", 20) + "a" + strings.Repeat(")", 20), "more than 16 levels"},
		{"(" + strings.Repeat("a and ", 100) + "a)", "more than 64 parts"},
		{"(" + strings.Repeat("a or ", 100) + "a)", "more than 64 alternatives"},
	} {
		clauses, err := parseRich(c.text)
		have := relationField(clauses)
		if err != nil {
			have = err.Error()
		}
		if have != c.want && (err == nil || c.want != "no (" && !strings.Contains(have, c.want)) {
			t.Errorf("%s: %s, want %s", c.text, have, c.want)
		}
	}
}

func TestFileCaps(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"cap_net_raw=ep":                "01000002 00200000 00000000 00000000 00000000",
		"= cap_net_raw+ep":              "01000002 00200000 00000000 00000000 00000000",
		"cap_net_admin,cap_net_raw=p":   "00000002 00300000 00000000 00000000 00000000",
		"cap_bpf,cap_chown=eip":         "01000002 01000000 01000000 80000000 80000000",
		"cap_chown=ep cap_chown-ep":     "",
		"=ep cap_checkpoint_restore-ep": "01000002 ffffffff 00000000 ff000000 00000000",
		"cap_nothing=ep":                "there is no capability",
		"cap_chown=x":                   "none of e, i, p",
		"cap_chown":                     "want NAMES=FLAGS",
		"cap_chown=ep cap_net_raw=p":    "all of them effective or none",
	} {
		value, err := fileCaps(text)
		have := strings.TrimSpace(groups4(fmt.Sprintf("%x", value)))
		if err != nil {
			have = err.Error()
		}
		if have != want && (err == nil || !strings.Contains(have, want)) {
			t.Errorf("%q: %s, want %s", text, have, want)
		}
	}
}

// groups4 puts a space behind every four bytes of a hexadecimal number.
func groups4(s string) string {
	var b strings.Builder
	for len(s) >= 8 {
		b.WriteString(s[:8] + " ")
		s = s[8:]
	}
	return b.String() + s
}

// TestRpmOwners: what belongs to somebody unknown is root's, and does not act in
// the name of root.
func TestRpmOwners(t *testing.T) {
	data := write(t, "plain.rpm", mkpkg.Spec{NoChecksums: true, Files: []mkpkg.File{
		{Path: "a", Mode: 0o6755, UID: 12345, GID: 12345}, {Path: "b", Mode: 0o6755},
	}})
	data = bytes.Replace(data, []byte("12345\x00root"), []byte("wwwww\x00root"), 2)
	r, err := readBytes(t, "x.rpm", data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if e := r.entries[0]; e.UID != 0 || e.GID != 0 || e.Mode != 0o755 {
		t.Errorf("%+v", e)
	}
	if e := r.entries[1]; e.UID != 0 || e.Mode != 0o6755 {
		t.Errorf("%+v", e)
	}
}

// TestHostileRpm has what other formats have in hostile_test, and what header
// and payload can disagree in.
func TestHostileRpm(t *testing.T) {
	file := func(p string) []mkpkg.File { return []mkpkg.File{{Path: p, Body: "body"}} }
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		name     string
		files    []mkpkg.File
		old, new string // replaced in the bytes, all of them
		want     string
	}{
		{name: "up and out", files: file("usr/../../etc/passwd"), want: `".." in its path`},
		{name: "name of 256 bytes", files: file("usr/" + long), want: "has 256 bytes; 255 is the most"},
		{name: "path of 4098 bytes", files: file(strings.Repeat("d/", 2049) + "x"), want: "4096 is the most"},
		{name: "line end", files: file("a\nb"), want: "control character"},
		{name: "no UTF-8", files: file("a\xffb")},
		{name: "twice", files: append(file("a"), file("a")...), want: "is there already"},
		{name: "below a symlink", files: []mkpkg.File{{Path: "s", Target: "/etc"}, {Path: "s/x", Body: "x"}}, want: "is there already"},
		{name: "long target", files: []mkpkg.File{{Path: "s", Target: long + strings.Repeat("/xxx", 1000)}}, want: "symlink target has"},
		{name: "device", files: []mkpkg.File{{Path: "d", Fifo: true}}, old: "\x11\xa4", new: "\x21\xa4", want: "device nodes are not allowed"},
		{name: "socket", files: []mkpkg.File{{Path: "d", Fifo: true}}, old: "\x11\xa4", new: "\xc1\xa4", want: "files of the mode 140644"},
		{name: "not in the header", files: file("a/b"), old: "./a/b\x00", new: "./a/c\x00", want: "in the payload, but not in the header"},
		{name: "not in the payload", files: file("a/b"), old: "./a/b\x00", new: "./a\x00xx", want: "name without an end"},
		{name: "another target", files: []mkpkg.File{{Path: "a", Target: "one"}}, old: "a\x00\x00\x00one", new: "a\x00\x00\x00two", want: "its header says"},
		{name: "not the content", files: file("a"), old: "body", new: "BODY", want: "does not match its digest"},
		{name: "another size", files: file("ab"), old: "00000004", new: "00000003", want: "has 3 bytes, its header says 4"},
		{name: "no archive", files: file("a"), old: "070701", new: "070709", want: `begins with "070709"`},
		{name: "no number", files: file("a"), old: "00000004", new: "-0000004", want: "is no number"},
		{name: "hard link without content", files: []mkpkg.File{{Path: "a", Body: "body"}, {Path: "b", HardLink: "a"}},
			old: "00000004", new: "00000000", want: "corrupt"},
		{name: "lzma", files: file("a"), old: "0707010000", new: "\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff", want: "compressed with lzma"},
		{name: "delta", files: file("a"), old: "cpio\x00", new: "drpm\x00", want: `of the format "drpm"`},
		{name: "operator", files: file("a"), old: "rpmlib(CompressedFileNames)", new: "(a or b and compressed_nam)", want: "needs parentheses"},
	} {
		data := write(t, "plain.rpm", mkpkg.Spec{NoChecksums: true, Files: c.files})
		if c.old != "" && c.new != "" {
			changed := bytes.ReplaceAll(data, []byte(c.old), []byte(c.new))
			if bytes.Equal(changed, data) {
				t.Errorf("%s: %q is not in it", c.name, c.old)
			}
			data = changed
		}
		_, err := readBytes(t, "x.rpm", data, Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// TestRpmHeaders damages the table of a header in every way that its sizes and
// types allow: nothing may be believed.
func TestRpmHeaders(t *testing.T) {
	data := write(t, "plain.rpm", mkpkg.Spec{NoChecksums: true, Files: someFiles[:5], Depends: []string{"a >= 1", "(b or c)"}})
	start := bytes.LastIndex(data, []byte(rpmHeaderMagic))
	for at := start + 8; at < start+16+40*rpmEntrySize; at++ {
		for _, v := range []byte{0, 1, 2, 7, 8, 9, 0x7f, 0x80, 0xff} {
			changed := bytes.Clone(data)
			changed[at] = v
			// It must not panic, and keep the Sink's contract.
			readBytes(t, "x.rpm", changed, fuzzLimits)
		}
	}
}

func TestRpmLimits(t *testing.T) {
	files := []mkpkg.File{{Path: "usr/bin/x", Body: "x"}, {Path: "usr/bin/y", Body: "y"}}
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Members: 3}, "3 is the most"},
		{Limits{Control: 10}, "10 is the most"},
		{Limits{Checksums: 10}, "10 is the most"},
		{Limits{Paths: 20}, "more than 20 bytes"},
		{Limits{Path: 8}, "8 is the most"},
		{Limits{Name: 2}, "2 is the most"},
	} {
		_, err := readBytes(t, "x.rpm", write(t, "x.rpm", mkpkg.Spec{Files: files}), c.limits)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.limits, err)
		}
	}
	body := strings.Repeat("x", 200_000)
	_, err := readBytes(t, "x.rpm", write(t, "x.rpm", mkpkg.Spec{Files: []mkpkg.File{{Path: "a", Body: body}}}), Limits{Ratio: 1, RatioFloor: 100_000})
	if err == nil || !strings.Contains(err.Error(), "decompression bomb") {
		t.Errorf("bomb: %v", err)
	}
}

// TestRpmRelations: what is required by path, and by what no script needs.
func TestRpmRelations(t *testing.T) {
	r, err := readBytes(t, "x.rpm", write(t, "x.rpm", mkpkg.Spec{
		Version: "2:1.0-3", Files: []mkpkg.File{{Path: "usr/share/own", Body: "x"}, {Path: "usr/sbin/d", Body: "x"}, {Path: "usr/bin/dir/"}},
		Depends:   []string{"/usr/share/own", "/bin/sh", "/usr/bin/sh", "/etc/other", "lib(x)(64bit) >= 1", "(a if b)"},
		Provides:  []string{"virtual = 1", "many >= 2", "/bin/d"},
		Conflicts: []string{"old < 2", "(a and b)"}, Replaces: []string{"older <= 3"},
	}), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	have := fmt.Sprint(r.meta.Ref, " needs ", relationField(r.meta.Depends), " provides ", r.meta.Provides,
		" conflicts ", r.meta.Conflicts, " replaces ", r.meta.Replaces)
	want := "x=2:1.0-3 needs /usr/bin/sh, /etc/other, lib(x)(64bit) (>= 1) provides [virtual (= 1) many /usr/bin/d /usr/sbin/d]" +
		" conflicts [old (<< 2)] replaces [older (<= 3)]"
	if have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}
