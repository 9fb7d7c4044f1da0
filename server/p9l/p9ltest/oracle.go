package p9ltest

import (
	"fmt"
	"math/rand"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// A Difference is an answer that is meant to differ from p9.Server's. Answers
// are "ok", "part" for a walk that ended early, or an errno.
type Difference struct {
	Types        []byte // of requests
	Ours, Theirs string // one answer, or several divided by "|"
	Why          string
}

// ownEntries is how many entries our server adds to a directory, at its beginning.
const ownEntries = 2

var (
	anyType   = []byte{0}
	dirChange = []byte{wire.Tlcreate, wire.Tmkdir, wire.Tsymlink, wire.Tlink, wire.Tmknod, wire.Trename, wire.Trenameat, wire.Tunlinkat}
	makesFid  = []byte{wire.Twalk, wire.Tattach, wire.Txattrwalk}
)

// Differences is the whole list. Where one side makes a fid and the other does
// not, the fid is clunked on both before the test goes on.
var Differences = []Difference{
	{[]byte{wire.Twalk}, "part", "ENOENT|EINVAL", "p9.Server fails a walk that ends early; the protocol wants the qids so far"},
	{makesFid, "EBADF", "ok|ENOENT|EINVAL", "p9.Server silently replaces a fid that is in use"},
	{[]byte{wire.Twalk}, "ok|ENOENT", "EINVAL", "p9.Server refuses \"..\"; files that walk by themselves get it"},
	{[]byte{wire.Twalk}, "ENOTDIR", "EINVAL", "Linux expects ENOTDIR"},
	{[]byte{wire.Twalk}, "EINVAL", "ENOENT", "names with NUL, and more than 16 names, are wrong"},
	{[]byte{wire.Twalk}, "ENAMETOOLONG", "ENOENT|EINVAL", "Linux expects ENAMETOOLONG for names over 255 bytes"},
	{dirChange, "ENAMETOOLONG", "ok|EROFS|EINVAL|EBADF", "the same"},
	{dirChange, "ENOTDIR", "EINVAL", "Linux expects ENOTDIR"},
	{dirChange, "EINVAL", "ok|EROFS|EBADF", "names with NUL are wrong"},
	{dirChange, "EROFS", "EINVAL", "names are made and removed in open directories, too, and the root is a file like others"},
	{[]byte{wire.Trenameat}, "EROFS", "ok", "p9.Server succeeds where both names are the same"},
	{[]byte{wire.Tremove}, "EROFS", "EINVAL", "the root is a file like others"},
	{[]byte{wire.Tread, wire.Treaddir, wire.Twrite, wire.Tfsync}, "EBADF", "EINVAL", "Linux expects EBADF for files that are not open"},
	{[]byte{wire.Twrite}, "EBADF", "EPERM", "and for writes to files that are open to read"},
	{[]byte{wire.Tread}, "EISDIR", "ok", "Linux expects EISDIR for reads of directories"},
	{[]byte{wire.Tread}, "ok", "EINVAL", "p9.Server does not read attributes past their end"},
	{[]byte{wire.Treaddir}, "ENOTDIR", "EINVAL", "Linux expects ENOTDIR"},
	{[]byte{wire.Treaddir}, "EINVAL", "ok", "a count too small for one entry looks like the end otherwise"},
	{[]byte{wire.Tfsync}, "ok", "EROFS", "fsync of a file that cannot be written succeeds"},
	{[]byte{wire.Tlopen}, "ENXIO", "ok|EROFS", "the server opens no fifos and devices"},
	{[]byte{wire.Tlopen}, "EINVAL", "EROFS|EISDIR|ENXIO|ELOOP", "access mode 3 is none"},
	{[]byte{wire.Tlopen}, "ENOTDIR", "ok|EINVAL", "O_DIRECTORY is heeded"},
	{[]byte{wire.Tlopen}, "EISDIR", "EINVAL", "both are wrong of a directory that is open and shall be opened to write"},
	{[]byte{wire.Txattrwalk}, "ENODATA", "EINVAL", "p9.Server answers EINVAL to all failures with attributes"},
	{[]byte{wire.Txattrwalk}, "ok", "ok", "p9.Server says of a file without attributes that it has one with an empty name"},
	{[]byte{wire.Tlock}, "EBADF", "ok", "only open files are locked"},
	{[]byte{wire.Tgetlock}, "ok|EBADF", "EIO", "p9.Server has no getlock"},
	{[]byte{wire.Tauth}, "ENOENT", "ENOSYS", "ENOENT is how clients expect to hear that there is no authentication"},
	{anyType, "EBADF", "ok|EROFS|EINVAL", "the fid of an attribute is no file"},
}

func (d *Difference) is(ours, theirs string) bool {
	return slices.Contains(strings.Split(d.Ours, "|"), ours) && slices.Contains(strings.Split(d.Theirs, "|"), theirs)
}

// A Pair is one client of each server, over the same tree.
type Pair struct {
	t            *testing.T
	ours, theirs *Client
	Requests     int
	Agreed       int
	Seen         map[int]int     // how often each difference came up
	More         []Difference    // that come up with this tree only
	attrs        map[uint32]bool // fids that are, in one server at least, of an attribute
}

// NewPair compares our server, which the client has, with p9.Server over another
// tree.
func NewPair(t *testing.T, ours *Client, theirs p9.Attacher) *Pair {
	p := &Pair{t: t, ours: ours, Seen: map[int]int{}, attrs: map[uint32]bool{}}
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); p9.NewServer(theirs).Handle(far, far) }()
	t.Cleanup(func() { near.Close(); <-done })
	p.theirs = NewClient(t, near)
	p.ours.Start(0)
	p.theirs.Start(0)
	return p
}

// answer sums a reply up.
func answer(request, reply []byte) string {
	if reply[4] == wire.Rlerror {
		return wire.ErrnoName(le.Uint32(reply[wire.HeaderSize:]))
	}
	if reply[4] == wire.Twalk+1 && le.Uint16(reply[wire.HeaderSize:]) < le.Uint16(request[wire.HeaderSize+8:]) {
		return "part"
	}
	return "ok"
}

// Do sends one request to both and compares.
func (p *Pair) Do(request []byte) {
	p.t.Helper()
	p.Requests++
	theirRequest := request
	if request[4] == wire.Treaddir { // the offsets of p9.Server begin at the first name
		theirRequest = slices.Clone(request)
		offset := le.Uint64(request[wire.HeaderSize+4:])
		le.PutUint64(theirRequest[wire.HeaderSize+4:], max(offset, ownEntries)-ownEntries)
	}
	p.ours.Raw(request)
	p.theirs.Raw(theirRequest)
	a, b := slices.Clone(p.ours.Recv()), slices.Clone(p.theirs.Recv())
	ours, theirs := answer(request, a), answer(request, b)
	p.noteAttrs(request, ours, theirs)
	if ours == theirs && (ours != "ok" || sameReply(request, a, b)) {
		p.Agreed++
		return
	}
	if !p.intended(request, ours, theirs) {
		p.t.Errorf("%s\nours   %s\ntheirs %s", wire.Text(request), wire.Text(a), wire.Text(b))
	}
	p.level(request)
}

// noteAttrs keeps track of which fids are those of attributes.
func (p *Pair) noteAttrs(request []byte, ours, theirs string) {
	if ours != "ok" && theirs != "ok" {
		return
	}
	fid := le.Uint32(request[wire.HeaderSize:])
	switch request[4] {
	case wire.Txattrwalk:
		p.attrs[le.Uint32(request[wire.HeaderSize+4:])] = true
	case wire.Txattrcreate:
		p.attrs[fid] = true
	case wire.Tclunk, wire.Tremove:
		delete(p.attrs, fid)
	}
}

func (p *Pair) intended(request []byte, ours, theirs string) bool {
	for i, d := range slices.Concat(Differences, p.More) {
		if !d.is(ours, theirs) {
			continue
		}
		ofAttr := d.Types[0] == 0
		if ofAttr && p.usesAttr(request) || slices.Contains(d.Types, request[4]) {
			p.Seen[i]++
			return true
		}
	}
	return false
}

func (p *Pair) usesAttr(request []byte) bool {
	for at := wire.HeaderSize; at+4 <= len(request); at++ {
		if p.attrs[le.Uint32(request[at:])] {
			return true
		}
	}
	return false
}

// level clunks what the request was about on both sides, so that they agree
// again. Fid 0 is attached anew.
func (p *Pair) level(request []byte) {
	fid := le.Uint32(request[wire.HeaderSize:])
	switch request[4] {
	case wire.Twalk, wire.Txattrwalk:
		fid = le.Uint32(request[wire.HeaderSize+4:])
	case wire.Tattach, wire.Tlopen, wire.Tlcreate:
	default:
		return
	}
	for _, c := range []*Client{p.ours, p.theirs} {
		c.Call(wire.Tclunk, 1, Body(fid))
		if fid == 0 {
			c.Must(wire.Tattach, 1, Body(fid, wire.NoFid, "root", "", uint32(0)))
		}
	}
	delete(p.attrs, fid)
}

func sameReply(request, a, b []byte) bool {
	if a[4] != wire.Treaddir+1 {
		return string(a[4:]) == string(b[4:])
	}
	// Ours has "." and "..", which take of the count, and DT_ types.
	ours, theirs := entries(a, ownEntries), entries(b, 0)
	if le.Uint64(request[wire.HeaderSize+4:]) < ownEntries {
		for len(ours) > 0 && strings.HasPrefix(ours[0], ".") {
			ours = ours[1:]
		}
		n := min(len(ours), len(theirs))
		return slices.Equal(ours[:n], theirs[:n])
	}
	return slices.Equal(ours, theirs)
}

func entries(reply []byte, shift uint64) (list []string) {
	d := wire.Decode(reply[wire.HeaderSize:])
	for _, entry := range d.Dirents() {
		list = append(list, fmt.Sprintf("%s %v %d", entry.Name, entry.QID, entry.Offset-shift))
	}
	return list
}

// RandomRequest makes a request of which many fit the trees that are compared.
func RandomRequest(rng *rand.Rand) []byte {
	fid := func() uint32 { return uint32(rng.Intn(6)) }
	paths := []string{"usr", "bin", "env", "python", "usr", "etc", "motd", "fifo", "some names", "a b", "a", "b", "nothing", "..", "",
		".", "a/b", "usr\x00", strings.Repeat("n", 256), strings.Repeat("m", 255)}
	name := func() string { return paths[rng.Intn(len(paths))] }
	whole := []string{"", "usr", "usr/bin", "usr/bin/env", "usr/bin/python", "etc/motd", "etc/motd", "etc/motd", "fifo", "some names/a b", "a/b/c/d", "a/x/y", "usr/bin/env/x"}
	u32 := func(of ...uint32) uint32 { return of[rng.Intn(len(of))] }
	u64 := func(of ...uint64) uint64 { return of[rng.Intn(len(of))] }
	message := func(typ byte, fields ...any) []byte { return Frame(typ, 3, Body(fields...)) }
	switch rng.Intn(26) {
	case 0, 1, 2, 3, 4:
		names := strings.FieldsFunc(whole[rng.Intn(len(whole))], func(r rune) bool { return r == '/' })
		return message(wire.Twalk, fid(), fid(), names)
	case 5:
		return message(wire.Twalk, fid(), fid(), []string{name(), name()}[:1+rng.Intn(2)])
	case 6:
		return message(wire.Tclunk, fid())
	case 7, 8, 9, 10:
		return message(wire.Tlopen, fid(), u32(0, 0, 0, 0o100000, 0o200000, 1, 2, 3))
	case 11:
		return message(wire.Tread, fid(), u64(0, 0, 1, 5, 100), u32(1, 5, 7, 4096))
	case 12:
		return message(wire.Treaddir, fid(), u64(0, 0, 1, 2, 3, 4, 100), u32(20, 40, 100, 4096))
	case 13:
		return message(wire.Tgetattr, fid(), u64(0x7ff, 0x17ff, 0x3fff))
	case 14:
		return message(wire.Tstatfs, fid())
	case 15:
		return message(wire.Treadlink, fid())
	case 16:
		return message(wire.Txattrwalk, fid(), fid(), []string{"", "user.a", "user.b", "security.capability"}[rng.Intn(4)])
	case 17:
		return message(wire.Tfsync, fid(), uint32(0))
	case 18:
		return message(wire.Tlock, fid(), uint8(0), uint32(0), uint64(0), uint64(0), uint32(1), "host")
	case 19:
		return message(wire.Tgetlock, fid(), uint8(2), uint64(0), uint64(0), uint32(1), "host")
	case 20:
		return message(wire.Tattach, fid(), wire.NoFid, "root", "", uint32(0))
	case 21:
		return message(wire.Twrite, fid(), uint64(0), uint32(1), []byte("x"))
	case 22:
		return message(wire.Tauth, fid(), "root", "", uint32(0))
	case 23:
		return message(wire.Tsetattr, fid(), make([]byte, 56))
	case 24:
		return message(wire.Tremove, 1+uint32(rng.Intn(5)))
	}
	switch rng.Intn(8) {
	case 0:
		return message(wire.Tmkdir, fid(), name(), uint32(0o755), uint32(0))
	case 1:
		return message(wire.Tsymlink, fid(), name(), "target", uint32(0))
	case 2:
		return message(wire.Tmknod, fid(), name(), uint32(0o10644), uint32(0), uint32(0), uint32(0))
	case 3:
		return message(wire.Tlink, fid(), fid(), name())
	case 4:
		return message(wire.Trename, fid(), fid(), name())
	case 5:
		if n := name(); rng.Intn(2) == 0 {
			return message(wire.Trenameat, uint32(0), n, uint32(0), n)
		}
		return message(wire.Trenameat, fid(), name(), fid(), name())
	case 6:
		return message(wire.Tunlinkat, fid(), name(), u32(0, 0x200))
	}
	return message(wire.Tlcreate, fid(), name(), u32(0o100, 0o102), uint32(0o644), uint32(0))
}
