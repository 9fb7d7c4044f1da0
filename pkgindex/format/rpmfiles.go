package format

import (
	"archive/tar"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// Tags of the main header that are lists, with a value for each file.
const (
	rpmTagOldFileNames  = 1027
	rpmTagFileSizes     = 1028
	rpmTagFileModes     = 1030
	rpmTagFileMTimes    = 1034
	rpmTagFileDigests   = 1035
	rpmTagFileLinkTos   = 1036
	rpmTagFileFlags     = 1037
	rpmTagFileUserName  = 1039
	rpmTagFileGroupName = 1040
	rpmTagFileDevices   = 1095
	rpmTagFileInodes    = 1096
	rpmTagDirIndexes    = 1116
	rpmTagBaseNames     = 1117
	rpmTagDirNames      = 1118
	rpmTagLongFileSizes = 5008
	rpmTagFileCaps      = 5010
	rpmTagDigestAlgo    = 5011 // one value
)

const (
	rpmFileConfig = 1 << 0
	rpmFileGhost  = 1 << 6 // not in the payload
)

// rpmFiles is the header's list of files.
type rpmFiles struct {
	paths   []string // clean and relative
	numbers map[string]int

	sizes, modes, mtimes, flags, devices, inodes rpmInts
	digests, targets, users, groups, caps        []string

	newHash func() hash.Hash
}

// rpmFileList reads the list and checks that all of it is there.
func rpmFileList(h *rpmHeader) (*rpmFiles, error) {
	t := &tagReader{h: h}
	f := &rpmFiles{
		sizes: t.ints(rpmTagFileSizes), modes: t.ints(rpmTagFileModes), mtimes: t.ints(rpmTagFileMTimes),
		flags: t.ints(rpmTagFileFlags), devices: t.ints(rpmTagFileDevices), inodes: t.ints(rpmTagFileInodes),
		digests: t.texts(rpmTagFileDigests), targets: t.texts(rpmTagFileLinkTos), users: t.texts(rpmTagFileUserName),
		groups: t.texts(rpmTagFileGroupName), caps: t.texts(rpmTagFileCaps),
	}
	if h.has(rpmTagLongFileSizes) {
		f.sizes = t.ints(rpmTagLongFileSizes)
	}
	algorithm := t.ints(rpmTagDigestAlgo)
	if t.err != nil {
		return nil, t.err
	}
	if err := f.names(h); err != nil {
		return nil, err
	}
	n := len(f.paths)
	for _, list := range [...]rpmInts{f.sizes, f.modes, f.mtimes, f.flags} {
		t.check(list.len() == n, "its lists of files are of unequal length")
	}
	for _, list := range [...][]string{f.digests, f.targets, f.users, f.groups} {
		t.check(len(list) == n, "its lists of files are of unequal length")
	}
	t.check(len(f.caps) == n || f.caps == nil, "its lists of files are of unequal length")
	t.check(f.devices.len() == f.inodes.len() && (f.inodes.len() == n || f.inodes.len() == 0), "its lists of files are of unequal length")
	if t.err != nil {
		return nil, t.err
	}
	number := uint64(1)
	if algorithm.len() > 0 {
		number = algorithm.at(0)
	}
	f.newHash = map[uint64]func() hash.Hash{
		1: md5.New, 2: sha1.New, 8: sha256.New, 9: sha512.New384, 10: sha512.New, 11: sha256.New224,
	}[number]
	if f.newHash == nil {
		return nil, fmt.Errorf("its files have digests of the kind %d, which is not known", number)
	}
	return f, nil
}

// names puts the paths together.
func (f *rpmFiles) names(h *rpmHeader) error {
	t := &tagReader{h: h}
	bases, dirs, at := t.texts(rpmTagBaseNames), t.texts(rpmTagDirNames), t.ints(rpmTagDirIndexes)
	if bases == nil {
		bases, dirs = t.texts(rpmTagOldFileNames), []string{""}
		at = rpmInts{string(make([]byte, len(bases))), 1}
	}
	t.check(at.len() == len(bases), "its files are not all in directories")
	if t.err != nil {
		return t.err
	}
	left := h.limits.Paths
	f.paths, f.numbers = make([]string, len(bases)), make(map[string]int, len(bases))
	for i, base := range bases {
		d := at.at(i)
		if d >= uint64(len(dirs)) {
			return firstOf(nil, false, "a file is in no directory")
		}
		if left -= int64(len(dirs[d]) + len(base)); left < 0 {
			return fmt.Errorf("the paths of the package have more than %d bytes", h.limits.Paths)
		}
		name := "./" + dirs[d] + base
		p, err := cleanPath(name, h.limits)
		if err != nil {
			return fmt.Errorf("%q: %w", name[2:], err)
		}
		f.paths[i], f.numbers[p] = p, i
	}
	return nil
}

// has says whether the package has a file at an absolute path as in a relation.
func (f *rpmFiles) has(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	_, ok := f.numbers[path[1:]]
	return ok
}

const (
	unixTypes   = 0o170000
	unixRegular = 0o100000
	unixDir     = 0o040000
	unixLink    = 0o120000
	unixFifo    = 0o010000
	unixChar    = 0o020000
	unixBlock   = 0o060000
)

func (f *rpmFiles) kind(i int) uint64 { return f.modes.at(i) & unixTypes }
func (f *rpmFiles) isDir(i int) bool  { return f.kind(i) == unixDir }
func (f *rpmFiles) ghost(i int) bool  { return f.flags.at(i)&rpmFileGhost != 0 }
func (f *rpmFiles) config(i int) bool { return f.flags.at(i)&rpmFileConfig != 0 }

// contentSize is how many bytes the payload has for file i, of no group.
func (f *rpmFiles) contentSize(i int) int64 {
	switch f.kind(i) {
	case unixRegular:
		return int64(f.sizes.at(i))
	case unixLink:
		return int64(len(f.targets[i]))
	}
	return 0
}

// header describes file i as an archive's member. Owners are names: root and
// numbers are taken, and what belongs to anybody else is root's, without the
// mode bits that would act in that name.
func (f *rpmFiles) header(i int) (*tar.Header, error) {
	mode := int64(f.modes.at(i) & 0o7777)
	uid, known := rpmOwner(f.users[i])
	if !known {
		mode &^= 0o4000
	}
	gid, known := rpmOwner(f.groups[i])
	if !known {
		mode &^= 0o2000
	}
	h := &tar.Header{Name: "./" + f.paths[i], Mode: mode, Uid: uid, Gid: gid, ModTime: time.Unix(int64(f.mtimes.at(i)), 0)}
	switch f.kind(i) {
	case unixRegular:
		h.Typeflag, h.Size = tar.TypeReg, int64(f.sizes.at(i))
	case unixDir:
		h.Typeflag = tar.TypeDir
	case unixLink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.targets[i]
	case unixFifo:
		h.Typeflag = tar.TypeFifo
	case unixChar, unixBlock:
		h.Typeflag = tar.TypeChar
	default:
		return nil, fmt.Errorf("files of the mode %o are not allowed in packages", f.modes.at(i))
	}
	if f.caps != nil && f.caps[i] != "" && h.Typeflag == tar.TypeReg {
		value, err := fileCaps(f.caps[i])
		if err != nil {
			return nil, err
		}
		if value != "" {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": value}
		}
	}
	return h, nil
}

func rpmOwner(name string) (id int, known bool) {
	if name == "root" {
		return 0, true
	}
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, false
	}
	return int(n), true
}

// begin and end compare the files with the header's digests.
func (f *rpmFiles) begin(e *pkgmeta.Entry, _ *tar.Header) (hash.Hash, error) {
	if e.Type != pkgmeta.Regular {
		return nil, nil
	}
	i := f.numbers[e.Path]
	if e.HardLink != "" {
		if first := f.numbers[e.HardLink]; f.digests[i] != f.digests[first] {
			return nil, errors.New("is a hard link, but its digest is another one than that of the file")
		}
		return nil, nil
	}
	if f.digests[i] == "" && e.Size == 0 {
		return nil, nil
	}
	return f.newHash(), nil
}

func (f *rpmFiles) end(e *pkgmeta.Entry, _ *tar.Header, h hash.Hash) error {
	if h == nil {
		return nil
	}
	have, want := hex.EncodeToString(h.Sum(nil)), f.digests[f.numbers[e.Path]]
	if have != want {
		return fmt.Errorf("its content does not match its digest: has %s, want %q", have, want)
	}
	return nil
}
