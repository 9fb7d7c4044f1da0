package direct

import (
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// maxLinks is how many symlinks are followed on one path.
const maxLinks = 40

// A place is a name in a directory.
type place struct {
	dir  *client.Fid // the place's, to be clunked
	name string
	m    *mount
}

// find finds the directory that a path ends in. The name may be "." or "..", as it
// stands; with a slash behind it is slashed.
func (c *calls) find(path string) (p place, slashed bool, err error) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	m := c.s.mounts[first]
	if m == nil {
		return place{}, false, syscall.ENOENT
	}
	root, err := m.root(c.user)
	if err != nil {
		return place{}, false, err
	}
	dir, _, err := root.Walk(never)
	if err != nil {
		return place{}, false, err
	}
	return c.findIn(place{dir, ".", m}, rest, new(int))
}

// findIn finds the directory that a path from p.dir ends in. It takes p over.
func (c *calls) findIn(p place, path string, links *int) (_ place, slashed bool, err error) {
	slashed = strings.HasSuffix(path, "/")
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	for i, name := range names {
		p.name = name
		if i == len(names)-1 {
			break
		}
		if p, err = c.enter(p, links); err != nil {
			return place{}, false, err
		}
	}
	return p, slashed, nil
}

// enter goes to the directory that a place is, following symlinks. It takes p over.
func (c *calls) enter(p place, links *int) (place, error) {
	p, fid, err := c.follow(p, links)
	if p.dir != nil {
		p.dir.Clunk()
	}
	if err != nil {
		return place{}, err
	}
	return place{fid, ".", p.m}, nil
}

// walk returns a fid of what is at a place, and the target if that is a symlink.
func (c *calls) walk(p place) (fid *client.Fid, target string, link bool, err error) {
	var names []string
	if p.name != "." {
		names = []string{p.name}
	}
	fid, qids, err := p.dir.Walk(never, names...)
	if err != nil || len(qids) == 0 || qids[0].Type&0x02 == 0 {
		return fid, "", false, err
	}
	target, err = fid.Readlink(never)
	if err != nil {
		fid.Clunk()
	}
	return fid, target, true, err
}

// follow follows symlinks from a place to one that is none, of which it returns a
// fid as well. Where nothing is at the end it returns that place with the error. It
// takes p over, and where it fails otherwise gives no place back.
func (c *calls) follow(p place, links *int) (place, *client.Fid, error) {
	for {
		fid, target, link, err := c.walk(p)
		if err == syscall.ENOENT {
			return p, nil, err
		}
		if err == nil && !link {
			return p, fid, nil
		}
		if link && err == nil {
			fid.Clunk()
			*links++
			if *links > maxLinks {
				err = syscall.ELOOP
			} else if strings.HasPrefix(target, "/") {
				err = syscall.EXDEV // it leads out of the tree
			}
		}
		if err != nil {
			p.dir.Clunk()
			return place{}, nil, err
		}
		if p, _, err = c.findIn(p, target, links); err != nil {
			return place{}, nil, err
		}
	}
}
