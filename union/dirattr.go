package union

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex"
)

// standardModes are those of the directories that every system has, relative and
// clean, whose mode is not 0755. What packages say of these counts for nothing.
var standardModes = map[string]uint32{"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}

// standardDirs are the others of them: those of the Filesystem Hierarchy Standard,
// and those in /etc out of which programs that are anybody's read.
var standardDirs = map[string]bool{
	"": true, "bin": true, "boot": true, "dev": true, "etc": true, "home": true, "lib": true, "lib32": true, "lib64": true,
	"libx32": true, "media": true, "mnt": true, "opt": true, "proc": true, "run": true, "sbin": true, "srv": true, "sys": true,
	"etc/cron.d": true, "etc/default": true, "etc/init.d": true, "etc/ld.so.conf.d": true, "etc/opt": true, "etc/pam.d": true,
	"etc/profile.d": true, "etc/security": true, "etc/skel": true, "etc/ssh": true, "etc/systemd": true, "etc/X11": true, "etc/xdg": true,
	"usr": true, "usr/bin": true, "usr/games": true, "usr/include": true, "usr/lib": true, "usr/lib32": true, "usr/lib64": true,
	"usr/libx32": true, "usr/libexec": true, "usr/sbin": true, "usr/share": true, "usr/src": true,
	"usr/local": true, "usr/local/bin": true, "usr/local/etc": true, "usr/local/games": true, "usr/local/include": true,
	"usr/local/lib": true, "usr/local/lib64": true, "usr/local/libexec": true, "usr/local/sbin": true, "usr/local/share": true, "usr/local/src": true,
	"usr/share/applications": true, "usr/share/dict": true, "usr/share/doc": true, "usr/share/info": true, "usr/share/locale": true,
	"usr/share/man": true, "usr/share/misc": true,
	"var": true, "var/cache": true, "var/games": true, "var/lib": true, "var/log": true, "var/mail": true,
	"var/opt": true, "var/spool": true,
}

// basePackages are those by which the systems of each format say how their
// directories are.
var basePackages = []string{"base-files", "filesystem", "alpine-baselayout", "alpine-baselayout-data"}

// decide returns owner and mode of a merged directory.
//
// Of a directory that one package alone has they are that package's. But no package
// decides alone about one that others count on: a standard directory, and one that
// several have. These are root's and 0755, or less where the base system's own
// package says so, or most of the packages that have the directory themselves.
//
// What the attach name adds to a context has no say about directories that the
// context has, and gives nobody but root a right to write in its own: what is
// written there goes to the layer of the context.
func (d *dir) decide() fileAttr {
	from := d.from
	added := !slices.ContainsFunc(from, func(c contributor) bool { return !c.added })
	if !added {
		from = slices.DeleteFunc(slices.Clone(from), func(c contributor) bool { return c.added })
	}
	if mode, ok := standardModes[d.path]; ok {
		return fileAttr{mode: mode}
	}
	standard := standardDirs[d.path]
	if !standard && !several(from) {
		at := best(from)
		if at < 0 {
			return fileAttr{mode: 0o755}
		}
		i := from[at].layer.Inode(from[at].ino)
		if added {
			return fileAttr{mode: i.Mode & 0o755}
		}
		return attrOfInode(&i)
	}
	return elect(from, standard)
}

// several says whether more than one package is among from.
func several(from []contributor) bool {
	var first *pkgindex.Package
	for i := range from {
		switch p := from[i].layer.Package; {
		case p.Synthetic() || p == first:
		case first != nil:
			return true
		default:
			first = p
		}
	}
	return false
}

// elect returns what the packages of from make of 0755. In a standard directory one
// of them is not most, and only what is root's counts: whoever builds a package in a
// private folder says nothing of the directories of a system.
func elect(from []contributor, standard bool) fileAttr {
	votes := make(map[fileAttr]int)
	voters := 0
	var last *pkgindex.Package
	for i := range from {
		c := &from[i]
		p, inode := c.layer.Package, c.layer.Inode(c.ino)
		if p.Synthetic() || inode.Implicit || p == last {
			continue
		}
		last = p
		voters++
		if standard && inode.UID != 0 {
			continue
		}
		v := stricter(inode.Mode, inode.GID)
		if inode.UID == 0 && slices.Contains(basePackages, p.Name) {
			return v
		}
		votes[v]++
	}
	for v, n := range votes {
		if 2*n > voters && (n > 1 || !standard) {
			return v
		}
	}
	return fileAttr{mode: 0o755}
}

// stricter is what a package's mode and group leave of 0755. The group is kept where
// it may more than others.
func stricter(mode, gid uint32) fileAttr {
	a := fileAttr{mode: mode & 0o755}
	if a.mode>>3&7&^a.mode != 0 {
		a.gid = gid
	}
	return a
}
