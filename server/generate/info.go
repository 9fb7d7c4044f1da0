package generate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/union"
)

const (
	infoPath = "usr/share/info/dir"

	maxInfoFiles = 10_000
	maxInfoHead  = 64 << 10 // bytes in which a manual says where it belongs, compressed or not
)

// infoDir makes the list of manuals that info begins with. A manual says itself
// what the list has of it.
func (s *Set) infoDir(t *union.Tree) ([]file, error) {
	var manuals []union.File
	var from sources
	h := sha256.New()
	for name, f := range t.Files("usr/share/info") {
		if !strings.HasSuffix(name, ".info") && !strings.HasSuffix(name, ".info.gz") || len(manuals) >= maxInfoFiles {
			continue
		}
		digest := f.Layer.Digest(f.Ino)
		fmt.Fprintf(h, "%s %s %x\n", name, f.Package().Ref, digest)
		manuals = append(manuals, f)
		from.add(f)
	}
	if len(manuals) == 0 || !t.Vacant(infoPath) {
		return nil, nil
	}
	f := file{path: infoPath, sec: from.sec, stamp: [32]byte(h.Sum(nil))}
	f.late = func() ([]byte, string, error) {
		text := infoText(manuals)
		if text == nil {
			return nil, "", nil
		}
		return text, "lists the manuals of " + from.String(), nil
	}
	return []file{f}, nil
}

// infoText returns nil if no manual says where it belongs.
func infoText(manuals []union.File) []byte {
	sections := make(map[string][]string)
	for _, f := range manuals {
		head, err := infoHead(f)
		if err != nil {
			continue // what is no manual is in no list
		}
		for section, entries := range infoEntries(head) {
			sections[section] = append(sections[section], entries...)
		}
	}
	if len(sections) == 0 {
		return nil
	}
	var b bytes.Buffer
	b.WriteString("This is the file .../info/dir, which contains the topmost node of the Info\n" +
		"hierarchy, called (dir)Top.\n\x1f\nFile: dir,\tNode: Top,\tThis is the top of the INFO tree.\n\n* Menu:\n")
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		fmt.Fprintf(&b, "\n%s\n", section)
		entries := sections[section]
		slices.Sort(entries)
		for _, e := range slices.Compact(entries) {
			b.WriteString(e)
		}
	}
	return b.Bytes()
}

// infoHead reads the beginning of a manual.
func infoHead(f union.File) (string, error) {
	data, err := f.Head(maxInfoHead)
	if err != nil {
		return "", err
	}
	var r io.Reader = bytes.NewReader(data)
	if strings.HasSuffix(f.Path, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			return "", err
		}
	}
	head, err := io.ReadAll(io.LimitReader(r, maxInfoHead))
	if len(head) > 0 {
		err = nil // what there is, is enough
	}
	return string(head), err
}

// infoEntries reads what a manual says of itself: entries of the list, a section
// each. An entry is one line or more, the first of which begins with an asterisk.
func infoEntries(head string) map[string][]string {
	out := make(map[string][]string)
	section := "Miscellaneous"
	inside := false
	var entry strings.Builder
	end := func() {
		if entry.Len() > 0 {
			out[section] = append(out[section], entry.String())
		}
		entry.Reset()
	}
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Buffer(nil, maxInfoHead+1)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " \t\r")
		name, isSection := strings.CutPrefix(line, "INFO-DIR-SECTION ")
		switch {
		case strings.ContainsAny(line, "\x1f\x00"): // the marks between a manual's parts
		case isSection && !inside:
			section = strings.TrimSpace(name)
		case line == "START-INFO-DIR-ENTRY":
			inside = true
		case line == "END-INFO-DIR-ENTRY":
			end()
			inside = false
		case !inside || line == "":
		case line[0] == '*':
			end()
			entry.WriteString(line + "\n")
		case entry.Len() > 0:
			entry.WriteString(line + "\n")
		}
	}
	end()
	return out
}
