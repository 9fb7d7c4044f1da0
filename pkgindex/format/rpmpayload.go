package format

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
)

// An rpmPayload hands the members of the payload to the sink, as the header
// describes them.
type rpmPayload struct {
	files  *rpmFiles
	cpio   cpioReader
	walk   tarWalk
	seen   []bool // by file
	groups map[[2]uint64]*linkGroup
}

// A linkGroup is files that are hard links of each other. The payload has their
// content once, mostly with the last.
type linkGroup struct {
	left    int    // members that are still to come
	first   string // the one that has the content, once it was there
	waiting []int  // those that came before it
}

// read reads the archive in u, of packed bytes, to its end.
func (p *rpmPayload) read(u io.Reader, packed int64) error {
	p.walk.begin(packed)
	p.findGroups()
	for {
		m, err := p.cpio.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		i, err := p.number(m)
		if err != nil {
			return err
		}
		if err := p.member(i, m); err != nil {
			return fmt.Errorf("%q: %w", p.files.paths[i], err)
		}
	}
	if _, err := io.CopyBuffer(discard{}, u, p.walk.buf); err != nil {
		return err
	}
	return p.missing()
}

// findGroups counts the files of each inode number.
func (p *rpmPayload) findGroups() {
	f := p.files
	if f.inodes.len() == 0 {
		return
	}
	for i := range f.paths {
		if f.kind(i) != unixRegular || f.ghost(i) {
			continue
		}
		key := p.inode(i)
		if p.groups[key] == nil {
			p.groups[key] = new(linkGroup)
		}
		p.groups[key].left++
	}
	for key, g := range p.groups {
		if g.left == 1 {
			delete(p.groups, key)
		}
	}
}

// inode identifies file i among hard links. The size is in it because not every
// builder counts inodes.
func (p *rpmPayload) inode(i int) [2]uint64 {
	f := p.files
	return [2]uint64{f.devices.at(i)<<32 | f.inodes.at(i), f.sizes.at(i)}
}

// number finds a member in the header's list.
func (p *rpmPayload) number(m cpioMember) (int, error) {
	if m.index >= 0 {
		if m.index >= int64(len(p.files.paths)) {
			return 0, fmt.Errorf("%w: it has a file %d of %d", errCpio, m.index, len(p.files.paths))
		}
		return int(m.index), nil
	}
	name := m.name
	if len(name) > 0 && name[0] == '/' {
		name = "." + name
	}
	clean, err := cleanPath(name, p.walk.limits)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", m.name, err)
	}
	i, ok := p.files.numbers[clean]
	if !ok {
		return 0, fmt.Errorf("%q: is in the payload, but not in the header", m.name)
	}
	return i, nil
}

// member takes one member.
func (p *rpmPayload) member(i int, m cpioMember) error {
	if p.seen[i] {
		return errors.New("is there already")
	}
	p.seen[i] = true
	h, err := p.files.header(i)
	if err != nil {
		return err
	}
	var group *linkGroup
	if p.files.kind(i) == unixRegular && p.files.inodes.len() > 0 {
		group = p.groups[p.inode(i)]
	}
	want := p.files.contentSize(i)
	if want < 0 {
		return fmt.Errorf("its size is %d", want)
	}
	size := m.size
	if size < 0 {
		size = want
		if group != nil && group.left > 1 {
			size = 0
		}
	}
	if size != want && (group == nil || size != 0) && p.files.kind(i) != unixDir {
		return fmt.Errorf("has %d bytes, its header says %d", size, want)
	}
	p.cpio.expect(size)
	switch h.Typeflag {
	case tar.TypeSymlink:
		err = p.checkTarget(h.Linkname)
	case tar.TypeReg:
		if group != nil {
			return p.linked(group, i, h, size == want)
		}
	}
	if err != nil {
		return err
	}
	return p.walk.add(&p.cpio, h)
}

// checkTarget compares a symlink's content with the header.
func (p *rpmPayload) checkTarget(target string) error {
	if len(target) > 4095 {
		return nil // is refused further on
	}
	have, err := io.ReadAll(&p.cpio)
	if err == nil && string(have) != target {
		err = fmt.Errorf("points to %q, its header says %q", have, target)
	}
	return err
}

// linked takes a file that is one of a group. content says whether its content
// is here.
func (p *rpmPayload) linked(g *linkGroup, i int, h *tar.Header, content bool) error {
	g.left--
	switch {
	case g.first != "":
		return p.link(g, i)
	case !content:
		g.waiting = append(g.waiting, i)
		return nil
	}
	g.first = p.files.paths[i]
	if err := p.walk.add(&p.cpio, h); err != nil {
		return err
	}
	for _, j := range g.waiting {
		if err := p.link(g, j); err != nil {
			return fmt.Errorf("%q: %w", p.files.paths[j], err)
		}
	}
	g.waiting = nil
	return nil
}

// link adds file i as another name of its group's first.
func (p *rpmPayload) link(g *linkGroup, i int) error {
	h, err := p.files.header(i)
	if err != nil {
		return err
	}
	h.Typeflag, h.Size, h.Linkname = tar.TypeLink, 0, "./"+g.first
	return p.walk.add(&p.cpio, h)
}

// missing fails if a file of the header was not there.
func (p *rpmPayload) missing() error {
	var paths []string
	for i, seen := range p.seen {
		if !seen && !p.files.ghost(i) {
			paths = append(paths, p.files.paths[i])
		}
	}
	for _, g := range p.groups {
		for _, i := range g.waiting {
			return fmt.Errorf("lacks the content of %q, which has several names", p.files.paths[i])
		}
	}
	return missingError("its header", paths)
}
