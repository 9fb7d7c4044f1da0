package mkpkg

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Rpm writes s as an rpm, compressed by gzip unless s has another Compression.
// Relations are "NAME" or "NAME OP VERSION". Of Xattrs nothing is kept, and
// Extra and Raw cannot be.
func Rpm(w io.Writer, s Spec) error {
	s, err := s.withDefaults("1.0-1", "noarch")
	if err != nil {
		return err
	}
	if s.Raw != nil || len(s.Extra) > 0 {
		return errors.New("write rpm: it has no place for Raw and Extra")
	}
	var archive bytes.Buffer
	s.cpio(&archive)
	var payload bytes.Buffer
	z, err := compressor(&payload, s.Compression)
	if err != nil {
		return err
	}
	if _, err := z.Write(archive.Bytes()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	header, err := s.rpmHeader(payload.Bytes())
	if err != nil {
		return fmt.Errorf("write package %s: %w", s.Name, err)
	}
	main := header.encode()
	signature := &rpmTags{}
	signature.int32(1000, uint32(len(main)+payload.Len()))
	if !s.NoChecksums {
		sum := md5.Sum(append(slices.Clip(main), payload.Bytes()...))
		signature.text(273, fmt.Sprintf("%x", sha256.Sum256(main)))
		signature.bytes(1004, sum[:])
	}
	file := make([]byte, 96)
	copy(file, "\xed\xab\xee\xdb\x03\x00\x00\x00\x00\x01")
	copy(file[10:75], s.Name+"-"+s.Version)
	file[77], file[79] = 1, 5
	file = append(file, signature.encode()...)
	file = append(file, make([]byte, -len(file)&7)...)
	_, err = w.Write(slices.Concat(file, main, payload.Bytes()))
	return err
}

// rpmHeader is the main header of a package with that payload.
func (s Spec) rpmHeader(payload []byte) (*rpmTags, error) {
	t := &rpmTags{}
	version, release, _ := strings.Cut(s.Version, "-")
	if epoch, rest, ok := strings.Cut(version, ":"); ok {
		n, err := strconv.ParseUint(epoch, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("epoch: %w", err)
		}
		t.int32(1003, uint32(n))
		version = rest
	}
	t.text(1000, s.Name)
	t.text(1001, version)
	t.text(1002, cmp.Or(release, "1"))
	t.text(1004, s.Summary)
	t.text(1005, s.Description)
	t.int32(1006, uint32(s.Time))
	t.text(1014, s.License)
	t.text(1015, s.Maintainer)
	t.text(1020, s.Homepage)
	t.text(1021, "linux")
	t.text(1022, s.Architecture)
	t.text(1044, cmp.Or(s.Source, s.Name)+"-"+version+"-1.src.rpm")
	t.text(1124, "cpio")
	t.relations(1047, 1112, 1113, append(slices.Clip(s.Provides), s.Name+" = "+s.Version))
	t.relations(1049, 1048, 1050, append(slices.Clip(s.Depends), "rpmlib(CompressedFileNames) <= 3.0.4-1"))
	t.relations(1054, 1053, 1055, s.Conflicts)
	t.relations(1090, 1114, 1115, s.Replaces)
	if !s.NoChecksums {
		t.texts(5092, []string{fmt.Sprintf("%x", sha256.Sum256(payload))})
		t.int32(5093, 8)
	}
	s.rpmFiles(t)
	return t, nil
}

// rpmFiles adds the lists of files.
func (s Spec) rpmFiles(t *rpmTags) {
	var sizes, mtimes, flags, devices, inodes, dirs []uint32
	var modes []uint16
	var digests, targets, users, groups, bases, dirNames []string
	for i, f := range s.Files {
		h := s.header(f, "")
		name := strings.TrimSuffix(f.Path, "/")
		dir := "/" + strings.TrimPrefix(path.Dir(name)+"/", "./")
		if !slices.Contains(dirNames, dir) {
			dirNames = append(dirNames, dir)
		}
		body, regular := s.body(f)
		digest := ""
		if regular {
			digest = fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
		}
		flag := uint32(0)
		if f.Conffile {
			flag = 1
		}
		sizes, mtimes, flags = append(sizes, uint32(len(body))), append(mtimes, uint32(h.ModTime.Unix())), append(flags, flag)
		devices, inodes = append(devices, 1), append(inodes, s.inode(i))
		dirs, modes = append(dirs, uint32(slices.Index(dirNames, dir))), append(modes, s.unixMode(f))
		digests, targets, bases = append(digests, digest), append(targets, f.Target), append(bases, path.Base(name))
		users, groups = append(users, rpmOwner(f.UID)), append(groups, rpmOwner(f.GID))
	}
	t.int32(1028, sizes...)
	t.int16(1030, modes...)
	t.int32(1034, mtimes...)
	t.texts(1035, digests)
	t.texts(1036, targets)
	t.int32(1037, flags...)
	t.texts(1039, users)
	t.texts(1040, groups)
	t.int32(1095, devices...)
	t.int32(1096, inodes...)
	t.int32(1116, dirs...)
	t.texts(1117, bases)
	t.texts(1118, dirNames)
	t.int32(5011, 8)
}

func rpmOwner(id int) string {
	if id == 0 {
		return "root"
	}
	return strconv.Itoa(id)
}

// inode numbers file i; hard links have one number.
func (s Spec) inode(i int) uint32 {
	for s.Files[i].HardLink != "" {
		j := slices.IndexFunc(s.Files, func(f File) bool { return f.Path == s.Files[i].HardLink })
		if j < 0 {
			break
		}
		i = j
	}
	return uint32(i + 1)
}

// unixMode is the mode with the bits of the type.
func (s Spec) unixMode(f File) uint16 {
	mode := uint16(s.header(f, "").Mode)
	switch _, regular := s.body(f); {
	case regular:
		return mode | 0o100000
	case f.Target != "":
		return mode | 0o120000
	case f.Fifo:
		return mode | 0o010000
	}
	return mode | 0o040000
}

// cpio writes the archive. Of hard links the last has the content.
func (s Spec) cpio(b *bytes.Buffer) {
	pad := func() { b.Write(make([]byte, -b.Len()&3)) }
	member := func(name string, inode, mode, links uint32, mtime int64, body string) {
		fmt.Fprintf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			inode, mode, 0, 0, links, mtime, len(body), 0, 1, 0, 0, len(name)+1, 0, name)
		pad()
		b.WriteString(body)
		pad()
	}
	for i, f := range s.Files {
		body, regular := s.body(f)
		links, last := uint32(0), 0
		for j := range s.Files {
			if s.inode(j) == s.inode(i) {
				links, last = links+1, j
			}
		}
		if !regular {
			body = f.Target
		} else if last != i {
			body = ""
		}
		if s.LargeFiles {
			fmt.Fprintf(b, "07070X%08x", i)
			pad()
			b.WriteString(body)
			pad()
			continue
		}
		member("./"+strings.TrimSuffix(f.Path, "/"), s.inode(i), uint32(s.unixMode(f)), links, s.header(f, "").ModTime.Unix(), body)
	}
	member("TRAILER!!!", 0, 0, 1, 0, "")
}

// rpmTags is a header that is being made.
type rpmTags struct {
	entries []rpmTag
	store   []byte
}

type rpmTag struct{ tag, kind, off, count uint32 }

// add enters a value that begins at a multiple of align.
func (t *rpmTags) add(tag, kind uint32, count, align int, value []byte) {
	if count == 0 {
		return
	}
	for len(t.store)%align != 0 {
		t.store = append(t.store, 0)
	}
	t.entries = append(t.entries, rpmTag{tag, kind, uint32(len(t.store)), uint32(count)})
	t.store = append(t.store, value...)
}

func (t *rpmTags) text(tag uint32, value string) {
	if value != "" {
		t.add(tag, 6, 1, 1, append([]byte(value), 0))
	}
}

func (t *rpmTags) texts(tag uint32, values []string) {
	t.add(tag, 8, len(values), 1, []byte(strings.Join(values, "\x00")+"\x00"))
}

func (t *rpmTags) bytes(tag uint32, value []byte) { t.add(tag, 7, len(value), 1, value) }

func (t *rpmTags) int16(tag uint32, values ...uint16) {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	t.add(tag, 3, len(values), 2, b)
}

func (t *rpmTags) int32(tag uint32, values ...uint32) {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	t.add(tag, 4, len(values), 4, b)
}

// relations enters relations as three lists.
func (t *rpmTags) relations(names, flags, versions uint32, relations []string) {
	var n, v []string
	var f []uint32
	for _, r := range relations {
		words := strings.Fields(r)
		if len(words) != 3 || strings.HasPrefix(r, "(") {
			n, f, v = append(n, r), append(f, 0), append(v, "")
			continue
		}
		var flag uint32
		for _, c := range words[1] {
			flag |= map[rune]uint32{'<': 2, '>': 4, '=': 8}[c]
		}
		n, f, v = append(n, words[0]), append(f, flag), append(v, words[2])
	}
	t.texts(names, n)
	t.int32(flags, f...)
	t.texts(versions, v)
}

// encode lays the header out, the entries by tag.
func (t *rpmTags) encode() []byte {
	slices.SortFunc(t.entries, func(a, b rpmTag) int { return cmp.Compare(a.tag, b.tag) })
	be := binary.BigEndian
	b := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00")
	b = be.AppendUint32(b, uint32(len(t.entries)))
	b = be.AppendUint32(b, uint32(len(t.store)))
	for _, e := range t.entries {
		for _, v := range [...]uint32{e.tag, e.kind, e.off, e.count} {
			b = be.AppendUint32(b, v)
		}
	}
	return append(b, t.store...)
}
