package server

import (
	"fmt"
	"math/rand"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/p9"
)

// A difference is an answer that is meant to differ from p9.Server's. Answers
// are "ok", "part" for a walk that ended early, or an errno.
type difference struct {
	types        []byte
	ours, theirs string // one answer, or several divided by "|"
	why          string
}

var (
	anyType   = []byte{0}
	dirChange = []byte{msgTlcreate, msgTmkdir, msgTsymlink, msgTlink, msgTmknod, msgTrename, msgTrenameat, msgTunlinkat}
	makesFid  = []byte{msgTwalk, msgTattach, msgTxattrwalk}
)

// differences is the whole list. Where one side makes a fid and the other does
// not, the fid is clunked on both before the test goes on.
var differences = []difference{
	{[]byte{msgTwalk}, "part", "ENOENT|EINVAL", "p9.Server fails a walk that ends early; the protocol wants the qids so far"},
	{makesFid, "EBADF", "ok|ENOENT|EINVAL", "p9.Server silently replaces a fid that is in use"},
	{[]byte{msgTwalk}, "ok|ENOENT", "EINVAL", "p9.Server refuses \"..\"; files that walk by themselves get it"},
	{[]byte{msgTwalk}, "ENOTDIR", "EINVAL", "Linux expects ENOTDIR"},
	{[]byte{msgTwalk}, "EINVAL", "ENOENT", "names with NUL, and more than 16 names, are wrong"},
	{[]byte{msgTwalk}, "ENAMETOOLONG", "ENOENT|EINVAL", "Linux expects ENAMETOOLONG for names over 255 bytes"},
	{dirChange, "ENAMETOOLONG", "ok|EROFS|EINVAL|EBADF", "the same"},
	{dirChange, "ENOTDIR", "EINVAL", "Linux expects ENOTDIR"},
	{dirChange, "EINVAL", "ok|EROFS|EBADF", "names with NUL are wrong"},
	{dirChange, "EROFS", "EINVAL", "names are made and removed in open directories, too, and the root is a file like others"},
	{[]byte{msgTrenameat}, "EROFS", "ok", "p9.Server succeeds where both names are the same"},
	{[]byte{msgTremove}, "EROFS", "EINVAL", "the root is a file like others"},
	{[]byte{msgTread, msgTreaddir, msgTwrite, msgTfsync}, "EBADF", "EINVAL", "Linux expects EBADF for files that are not open"},
	{[]byte{msgTwrite}, "EBADF", "EPERM", "and for writes to files that are open to read"},
	{[]byte{msgTread}, "EISDIR", "ok", "Linux expects EISDIR for reads of directories"},
	{[]byte{msgTread}, "ok", "EINVAL", "p9.Server does not read attributes past their end"},
	{[]byte{msgTreaddir}, "ENOTDIR", "EINVAL", "Linux expects ENOTDIR"},
	{[]byte{msgTreaddir}, "EINVAL", "ok", "a count too small for one entry looks like the end otherwise"},
	{[]byte{msgTfsync}, "ok", "EROFS", "fsync of a file that cannot be written succeeds"},
	{[]byte{msgTlopen}, "ENXIO", "ok|EROFS", "the server opens no fifos and devices"},
	{[]byte{msgTlopen}, "EINVAL", "EROFS|EISDIR|ENXIO|ELOOP", "access mode 3 is none"},
	{[]byte{msgTlopen}, "ENOTDIR", "ok|EINVAL", "O_DIRECTORY is heeded"},
	{[]byte{msgTlopen}, "EISDIR", "EINVAL", "both are wrong of a directory that is open and shall be opened to write"},
	{[]byte{msgTxattrwalk}, "ENODATA", "EINVAL", "p9.Server answers EINVAL to all failures with attributes"},
	{[]byte{msgTxattrwalk}, "ok", "ok", "p9.Server says of a file without attributes that it has one with an empty name"},
	{[]byte{msgTlock}, "EBADF", "ok", "only open files are locked"},
	{[]byte{msgTgetlock}, "ok|EBADF", "EIO", "p9.Server has no getlock"},
	{[]byte{msgTauth}, "ENOENT", "ENOSYS", "ENOENT is how clients expect to hear that there is no authentication"},
	{anyType, "EBADF", "ok|EROFS|EINVAL", "the fid of an attribute is no file"},
}

func (d *difference) is(ours, theirs string) bool {
	return slices.Contains(strings.Split(d.ours, "|"), ours) && slices.Contains(strings.Split(d.theirs, "|"), theirs)
}

// A pair is one client of each server, over the same tree.
type pair struct {
	t            *testing.T
	ours, theirs *client
	requests     int
	agreed       int
	seen         map[int]int     // how often each difference came up
	more         []difference    // that come up with this tree only
	attrs        map[uint32]bool // fids that are, in one server at least, of an attribute
}

// newPairOf compares our server, which the client has, with p9.Server over another
// tree.
func newPairOf(t *testing.T, ours *client, theirs p9.Attacher) *pair {
	p := &pair{t: t, ours: ours, seen: map[int]int{}, attrs: map[uint32]bool{}}
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); p9.NewServer(theirs).Handle(far, far) }()
	t.Cleanup(func() { near.Close(); <-done })
	p.theirs = newClient(t, near)
	p.ours.start(0)
	p.theirs.start(0)
	return p
}

// answer sums a reply up.
func answer(request, reply []byte) string {
	if reply[4] == msgRlerror {
		return errnoName(le.Uint32(reply[headerSize:]))
	}
	if reply[4] == msgTwalk+1 && le.Uint16(reply[headerSize:]) < le.Uint16(request[headerSize+8:]) {
		return "part"
	}
	return "ok"
}

// do sends one request to both and compares.
func (p *pair) do(request []byte) {
	p.t.Helper()
	p.requests++
	theirRequest := request
	if request[4] == msgTreaddir { // the offsets of p9.Server begin at the first name
		theirRequest = slices.Clone(request)
		offset := le.Uint64(request[headerSize+4:])
		le.PutUint64(theirRequest[headerSize+4:], max(offset, dotEntries)-dotEntries)
	}
	p.ours.raw(request)
	p.theirs.raw(theirRequest)
	a, b := slices.Clone(p.ours.recv()), slices.Clone(p.theirs.recv())
	ours, theirs := answer(request, a), answer(request, b)
	p.noteAttrs(request, ours, theirs)
	if ours == theirs && (ours != "ok" || sameReply(request, a, b)) {
		p.agreed++
		return
	}
	if !p.intended(request, ours, theirs) {
		p.t.Errorf("%s\nours   %s\ntheirs %s", messageText(request), messageText(a), messageText(b))
	}
	p.level(request)
}

// noteAttrs keeps track of which fids are those of attributes.
func (p *pair) noteAttrs(request []byte, ours, theirs string) {
	if ours != "ok" && theirs != "ok" {
		return
	}
	fid := le.Uint32(request[headerSize:])
	switch request[4] {
	case msgTxattrwalk:
		p.attrs[le.Uint32(request[headerSize+4:])] = true
	case msgTxattrcreate:
		p.attrs[fid] = true
	case msgTclunk, msgTremove:
		delete(p.attrs, fid)
	}
}

func (p *pair) intended(request []byte, ours, theirs string) bool {
	for i, d := range slices.Concat(differences, p.more) {
		if !d.is(ours, theirs) {
			continue
		}
		ofAttr := d.types[0] == 0
		if ofAttr && p.usesAttr(request) || slices.Contains(d.types, request[4]) {
			p.seen[i]++
			return true
		}
	}
	return false
}

func (p *pair) usesAttr(request []byte) bool {
	for at := headerSize; at+4 <= len(request); at++ {
		if p.attrs[le.Uint32(request[at:])] {
			return true
		}
	}
	return false
}

// level clunks what the request was about on both sides, so that they agree
// again. Fid 0 is attached anew.
func (p *pair) level(request []byte) {
	fid := le.Uint32(request[headerSize:])
	switch request[4] {
	case msgTwalk, msgTxattrwalk:
		fid = le.Uint32(request[headerSize+4:])
	case msgTattach, msgTlopen, msgTlcreate:
	default:
		return
	}
	for _, c := range []*client{p.ours, p.theirs} {
		c.call(msgTclunk, 1, body(fid))
		if fid == 0 {
			c.must(msgTattach, 1, body(fid, noFid, "root", "", uint32(0)))
		}
	}
	delete(p.attrs, fid)
}

func sameReply(request, a, b []byte) bool {
	if a[4] != msgTreaddir+1 {
		return string(a[4:]) == string(b[4:])
	}
	// Ours has "." and "..", which take of the count, and DT_ types.
	ours, theirs := entries(a, dotEntries), entries(b, 0)
	if le.Uint64(request[headerSize+4:]) < dotEntries {
		for len(ours) > 0 && strings.HasPrefix(ours[0], ".") {
			ours = ours[1:]
		}
		n := min(len(ours), len(theirs))
		return slices.Equal(ours[:n], theirs[:n])
	}
	return slices.Equal(ours, theirs)
}

func entries(reply []byte, shift uint64) (list []string) {
	d := decode(reply[headerSize:])
	e := decode(d.data())
	for len(e.b) > 0 && !e.short() {
		q, offset := e.qid(), e.u64()
		e.u8()
		list = append(list, fmt.Sprintf("%s %v %d", e.str(), q, offset-shift))
	}
	return list
}

func randomRequest(rng *rand.Rand) []byte {
	fid := func() uint32 { return uint32(rng.Intn(6)) }
	paths := []string{"usr", "bin", "env", "python", "usr", "etc", "motd", "fifo", "some names", "a b", "a", "b", "nothing", "..", "",
		".", "a/b", "usr\x00", strings.Repeat("n", 256), strings.Repeat("m", 255)}
	name := func() string { return paths[rng.Intn(len(paths))] }
	whole := []string{"", "usr", "usr/bin", "usr/bin/env", "usr/bin/python", "etc/motd", "etc/motd", "etc/motd", "fifo", "some names/a b", "a/b/c/d", "a/x/y", "usr/bin/env/x"}
	u32 := func(of ...uint32) uint32 { return of[rng.Intn(len(of))] }
	u64 := func(of ...uint64) uint64 { return of[rng.Intn(len(of))] }
	message := func(typ byte, fields ...any) []byte { return frame(typ, 3, body(fields...)) }
	switch rng.Intn(26) {
	case 0, 1, 2, 3, 4:
		names := strings.FieldsFunc(whole[rng.Intn(len(whole))], func(r rune) bool { return r == '/' })
		return message(msgTwalk, fid(), fid(), names)
	case 5:
		return message(msgTwalk, fid(), fid(), []string{name(), name()}[:1+rng.Intn(2)])
	case 6:
		return message(msgTclunk, fid())
	case 7, 8, 9, 10:
		return message(msgTlopen, fid(), u32(0, 0, 0, 0o100000, 0o200000, 1, 2, 3))
	case 11:
		return message(msgTread, fid(), u64(0, 0, 1, 5, 100), u32(1, 5, 7, 4096))
	case 12:
		return message(msgTreaddir, fid(), u64(0, 0, 1, 2, 3, 4, 100), u32(20, 40, 100, 4096))
	case 13:
		return message(msgTgetattr, fid(), u64(0x7ff, 0x17ff, 0x3fff))
	case 14:
		return message(msgTstatfs, fid())
	case 15:
		return message(msgTreadlink, fid())
	case 16:
		return message(msgTxattrwalk, fid(), fid(), []string{"", "user.a", "user.b", "security.capability"}[rng.Intn(4)])
	case 17:
		return message(msgTfsync, fid(), uint32(0))
	case 18:
		return message(msgTlock, fid(), uint8(0), uint32(0), uint64(0), uint64(0), uint32(1), "host")
	case 19:
		return message(msgTgetlock, fid(), uint8(2), uint64(0), uint64(0), uint32(1), "host")
	case 20:
		return message(msgTattach, fid(), noFid, "root", "", uint32(0))
	case 21:
		return message(msgTwrite, fid(), uint64(0), uint32(1), []byte("x"))
	case 22:
		return message(msgTauth, fid(), "root", "", uint32(0))
	case 23:
		return message(msgTsetattr, fid(), make([]byte, 56))
	case 24:
		return message(msgTremove, 1+uint32(rng.Intn(5)))
	}
	switch rng.Intn(8) {
	case 0:
		return message(msgTmkdir, fid(), name(), uint32(0o755), uint32(0))
	case 1:
		return message(msgTsymlink, fid(), name(), "target", uint32(0))
	case 2:
		return message(msgTmknod, fid(), name(), uint32(0o10644), uint32(0), uint32(0), uint32(0))
	case 3:
		return message(msgTlink, fid(), fid(), name())
	case 4:
		return message(msgTrename, fid(), fid(), name())
	case 5:
		if n := name(); rng.Intn(2) == 0 {
			return message(msgTrenameat, uint32(0), n, uint32(0), n)
		}
		return message(msgTrenameat, fid(), name(), fid(), name())
	case 6:
		return message(msgTunlinkat, fid(), name(), u32(0, 0x200))
	}
	return message(msgTlcreate, fid(), name(), u32(0o100, 0o102), uint32(0o644), uint32(0))
}
