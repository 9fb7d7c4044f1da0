package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// A Tree says what a server serves, for the workloads to ask for. Paths are
// relative to the tree's root and have at most 16 names.
type Tree struct {
	Files []string // regular files of Size bytes each
	Size  int
	Dirs  []string // directories of Names names each, . and .. not counted
	Names int
	Big   string // a regular file of Bytes bytes
	Bytes int64
}

// A Workload is one kind of operation.
type Workload struct {
	Name string
	make func(c *Conn, t *Tree) operation
}

// An operation is what one slot does, over and over. Its fids are
// its own.
type operation interface {
	// open makes ready what the operation needs, before the clock runs.
	open(c *Conn, at int) error
	// send appends the message of a step and says of what type it is; more is
	// unset for the operation's last step.
	send(step int) (kind byte, more bool)
	// check looks at the reply to a step, or at the error that was answered,
	// and returns how many bytes of file content it had. It may ask for the
	// step again.
	check(step int, body []byte, answered error) (n int, again bool, err error)
	// close gives back what open took.
	close() error
}

// Workloads are all of them, in the order of the table.
func Workloads() []Workload {
	return []Workload{
		{"stat", func(c *Conn, t *Tree) operation { return &stat{slot{c: c}, t} }},
		{"missed lookup", func(c *Conn, t *Tree) operation { return &miss{slot{c: c}, t} }},
		{"open, read 4 KiB, close", func(c *Conn, t *Tree) operation { return &readFile{slot{c: c}, t} }},
		{"readdir", func(c *Conn, t *Tree) operation { return &readDir{slot: slot{c: c}, t: t} }},
		{"big reads", func(c *Conn, t *Tree) operation { return &readBig{slot: slot{c: c}, t: t} }},
		{"random 4 KiB reads", func(c *Conn, t *Tree) operation { return &readBig{slot: slot{c: c}, t: t, random: 4096} }},
	}
}

// A slot is an operation in flight: it has a tag and two fids of its own.
type slot struct {
	c    *Conn
	tag  uint16
	fid  uint32
	rand *rand.Rand
}

func (p *slot) open(c *Conn, at int) error {
	p.c, p.tag, p.fid = c, uint16(at), uint32(1+at)
	p.rand = rand.New(rand.NewPCG(1, uint64(at)))
	return nil
}

func (p *slot) close() error { return nil }

func (p *slot) pick(list []string) string { return list[p.rand.IntN(len(list))] }

func (p *slot) walk(path string) byte {
	names := strings.Split(path, "/")
	p.c.begin(wire.Twalk, p.tag)
	p.c.u32(rootFID)
	p.c.u32(p.fid)
	p.c.u16(uint16(len(names)))
	for _, name := range names {
		p.c.str(name)
	}
	p.c.end()
	return wire.Twalk
}

// ofFid sends a message that has nothing but the fid before its fields.
func (p *slot) ofFid(kind byte, fields ...uint32) byte {
	p.c.begin(kind, p.tag)
	p.c.u32(p.fid)
	for _, f := range fields {
		p.c.u32(f)
	}
	p.c.end()
	return kind
}

// at sends Tread and Treaddir.
func (p *slot) at(kind byte, offset uint64, count uint32) byte {
	p.c.begin(kind, p.tag)
	p.c.u32(p.fid)
	p.c.u64(offset)
	p.c.u32(count)
	p.c.end()
	return kind
}

// whole fails where a walk did not reach its end.
func whole(body []byte) error {
	if len(body) < 2+wire.QIDSize {
		return errors.New("a walk reached nothing")
	}
	return nil
}

// data returns the content of Rread and Rreaddir.
func data(body []byte) ([]byte, error) {
	d := wire.Decode(body)
	if got := d.Data(); d.End() {
		return got, nil
	}
	return nil, fmt.Errorf("a reply of %d bytes disagrees with its count", len(body))
}

type stat struct {
	slot
	t *Tree
}

func (s *stat) send(step int) (byte, bool) {
	switch step {
	case 0:
		return s.walk(s.pick(s.t.Files)), true
	case 1:
		return s.ofFid(wire.Tgetattr, wire.BasicMask, 0), true
	default:
		return s.ofFid(wire.Tclunk), false
	}
}

func (s *stat) check(step int, body []byte, answered error) (int, bool, error) {
	switch {
	case answered != nil:
		return 0, false, answered
	case step == 0:
		return 0, false, whole(body)
	case step == 1:
		d := wire.Decode(body)
		d.U64() // which attributes there are
		d.QID()
		if attr := d.Attr(); !d.End() || attr.Size != uint64(s.t.Size) {
			return 0, false, errors.New("getattr says another size")
		}
	}
	return 0, false, nil
}

// MissingNames is among how many names, missing-0 and so on at the root, a
// missed lookup picks. None of them may exist.
const MissingNames = 1_000_000

type miss struct {
	slot
	t *Tree
}

func (m *miss) send(int) (byte, bool) {
	m.c.begin(wire.Twalk, m.tag)
	m.c.u32(rootFID)
	m.c.u32(m.fid)
	m.c.u16(1)
	m.c.str(fmt.Sprintf("missing-%d", m.rand.IntN(MissingNames)))
	m.c.end()
	return wire.Twalk, false
}

func (m *miss) check(_ int, _ []byte, answered error) (int, bool, error) {
	if !errors.Is(answered, syscall.ENOENT) {
		return 0, false, fmt.Errorf("a name that does not exist was answered with %v", answered)
	}
	return 0, false, nil
}

type readFile struct {
	slot
	t *Tree
}

func (r *readFile) send(step int) (byte, bool) {
	switch step {
	case 0:
		return r.walk(r.pick(r.t.Files)), true
	case 1:
		return r.ofFid(wire.Tlopen, 0), true
	case 2:
		return r.at(wire.Tread, 0, 4096), true
	default:
		return r.ofFid(wire.Tclunk), false
	}
}

func (r *readFile) check(step int, body []byte, answered error) (int, bool, error) {
	switch {
	case answered != nil:
		return 0, false, answered
	case step == 0:
		return 0, false, whole(body)
	case step == 2:
		got, err := data(body)
		if err == nil && len(got) != min(4096, r.t.Size) {
			err = fmt.Errorf("read %d bytes of a file of %d", len(got), r.t.Size)
		}
		return len(got), false, err
	}
	return 0, false, nil
}

type readDir struct {
	slot
	t      *Tree
	offset uint64
	names  int
}

func (r *readDir) send(step int) (byte, bool) {
	switch step {
	case 0:
		r.offset, r.names = 0, 0
		return r.walk(r.pick(r.t.Dirs)), true
	case 1:
		return r.ofFid(wire.Tlopen, 0), true
	case 2:
		return r.at(wire.Treaddir, r.offset, r.c.msize-wire.IOHeader), true
	default:
		return r.ofFid(wire.Tclunk), false
	}
}

// check asks for the listing until it ends.
func (r *readDir) check(step int, body []byte, answered error) (int, bool, error) {
	switch {
	case answered != nil:
		return 0, false, answered
	case step == 0:
		return 0, false, whole(body)
	case step != 2:
		return 0, false, nil
	}
	entries, err := data(body)
	if err != nil {
		return 0, false, err
	}
	if len(entries) == 0 {
		if r.names < r.t.Names || r.names > r.t.Names+2 {
			return 0, false, fmt.Errorf("a directory of %d names lists %d", r.t.Names, r.names)
		}
		return 0, false, nil
	}
	for d := wire.Decode(entries); !d.End(); r.names++ {
		d.QID()
		r.offset = d.U64()
		d.U8()  // type
		d.Raw() // name
		if d.Short() {
			return 0, false, errors.New("a directory's listing is cut short")
		}
	}
	return 0, true, nil
}

// readBig reads the big file: from one end to the other in pieces as large as
// the connection allows, or pieces of random bytes at random slots.
type readBig struct {
	slot
	t      *Tree
	random uint32
	offset uint64
	count  uint32
	// missing is what is still to come of the read at offset.
	missing uint32
}

func (r *readBig) open(c *Conn, at int) error {
	if err := r.slot.open(c, at); err != nil {
		return err
	}
	r.count = c.msize - wire.IOHeader
	if r.random > 0 {
		r.count = r.random
	} else {
		r.offset = uint64(r.rand.Int64N(r.t.Bytes))
	}
	body, err := c.answer(r.walk(r.t.Big))
	if err == nil {
		err = whole(body)
	}
	if err == nil {
		_, err = c.answer(r.ofFid(wire.Tlopen, 0))
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", r.t.Big, err)
	}
	return nil
}

func (r *readBig) close() error {
	_, err := r.c.answer(r.ofFid(wire.Tclunk))
	return err
}

func (r *readBig) send(int) (byte, bool) {
	last := uint64(r.t.Bytes) - uint64(r.count)
	switch {
	case r.missing > 0: // the rest of a read that was answered in part
		return r.at(wire.Tread, r.offset+uint64(r.count-r.missing), r.missing), false
	case r.random > 0:
		r.offset = r.rand.Uint64N(last)
	default:
		if r.offset += uint64(r.count); r.offset > last {
			r.offset = 0
		}
	}
	r.missing = r.count
	return r.at(wire.Tread, r.offset, r.count), false
}

// check asks for the rest of a read that was answered in part, as every client
// must.
func (r *readBig) check(_ int, body []byte, answered error) (int, bool, error) {
	if answered != nil {
		return 0, false, answered
	}
	got, err := data(body)
	if err == nil && (len(got) == 0 || len(got) > int(r.missing)) {
		err = fmt.Errorf("read %d bytes of %d inside a file", len(got), r.missing)
	}
	r.missing -= min(r.missing, uint32(len(got)))
	return len(got), r.missing > 0, err
}
