package posix

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// The users of the cases. A mount must let them in; see Mount.
var (
	ann = User{UID: 7001, GID: 7001, Groups: []int{7100}}
	ben = User{UID: 7002, GID: 7002, Groups: []int{7100}}
	cid = User{UID: 7003, GID: 7003}
)

// userCases act as several users. accessMatrix has who may open what.
func userCases() []Case {
	return append(accessMatrix(), ownerCases()...)
}

// accessMatrix opens files of ann's and group 7100 with every class's bits.
func accessMatrix() []Case {
	type who struct {
		name  string
		as    User
		shift uint
	}
	var cases []Case
	for _, w := range []who{{"owner", ann, 6}, {"group", ben, 3}, {"others", cid, 0}} {
		for _, bits := range []uint32{0, 4, 2, 6} {
			for _, open := range []struct {
				name  string
				flags int
				needs uint32
			}{{"read", unix.O_RDONLY, 4}, {"write", unix.O_WRONLY, 2}} {
				name := fmt.Sprintf("access to %s with %s's bits %o", open.name, w.name, bits)
				cases = append(cases, Case{name, func(d *Dir) {
					path := d.file("x", "c")
					d.ok(d.Chown(path, ann.UID, 7100))
					d.ok(d.Chmod(path, bits<<w.shift))
					err := d.as(w.as, func(u Calls) error {
						fd, err := u.Open(path, open.flags, 0)
						if err == nil {
							u.Close(fd)
						}
						return err
					})
					want := syscall.EACCES
					if bits&open.needs != 0 {
						want = 0
					}
					d.is("open", err, want)
				}})
			}
		}
	}
	return cases
}

// shared is a directory in which everybody makes names.
func (d *Dir) shared(mode uint32) string {
	d.Helper()
	d.mkdir("s")
	d.ok(d.Chmod(d.at("s"), mode))
	return d.at("s")
}

// touch makes a file as a user.
func (d *Dir) touch(u User, path string) {
	d.Helper()
	d.ok(d.as(u, func(u Calls) error { return writeFile(u, path, []byte("c"), 0o644) }))
}

func ownerCases() []Case {
	return []Case{
		{"owner of a new file", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			st := d.stat(s + "/x")
			equal(d, "owner", fmt.Sprint(st.Uid, st.Gid), "7001 7001")
		}},
		{"owner of a new directory, symlink and fifo", func(d *Dir) {
			s := d.shared(0o777)
			d.ok(d.as(ben, func(u Calls) error {
				if err := u.Mkdir(s+"/d", 0o755); err != nil {
					return err
				}
				if err := u.Symlink("x", s+"/l"); err != nil {
					return err
				}
				return u.Mkfifo(s+"/f", 0o644)
			}))
			for _, name := range []string{"d", "l", "f"} {
				st := d.stat(s + "/" + name)
				equal(d, name, fmt.Sprint(st.Uid, st.Gid), "7002 7002")
			}
		}},
		{"owner of a file in a directory with setgid", func(d *Dir) {
			s := d.shared(0o777)
			d.ok(d.Chown(s, 0, 7100))
			d.ok(d.Chmod(s, 0o2777))
			d.touch(cid, s+"/x")
			equal(d, "group", d.stat(s+"/x").Gid, 7100)
			d.ok(d.as(cid, func(u Calls) error { return u.Mkdir(s+"/d", 0o755) }))
			st := d.stat(s + "/d")
			equal(d, "group", st.Gid, 7100)
			equal(d, "mode", st.Mode&07777, 0o2755)
		}},
		{"setgid of a new file of a strange group", func(d *Dir) {
			s := d.shared(0o777)
			d.ok(d.Chown(s, 0, 7100))
			d.ok(d.Chmod(s, 0o2777))
			for _, c := range []struct {
				name string
				as   User
				want uint32
			}{{"mine", ann, 0o2755}, {"strange", cid, 0o755}} {
				d.ok(d.as(c.as, func(u Calls) error {
					fd, err := u.Open(s+"/"+c.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o2755)
					if err == nil {
						u.Close(fd)
					}
					return err
				}))
				equal(d, "mode of "+c.name, d.stat(s+"/"+c.name).Mode&07777, c.want)
			}
		}},
		{"name in a directory of others", func(d *Dir) {
			s := d.shared(0o755)
			d.is("create", d.as(ann, func(u Calls) error { return writeFile(u, s+"/x", nil, 0o644) }), unix.EACCES)
			d.is("mkdir", d.as(ann, func(u Calls) error { return u.Mkdir(s+"/x", 0o755) }), unix.EACCES)
			d.file("s/y", "")
			d.is("unlink", d.as(ann, func(u Calls) error { return u.Unlink(s + "/y") }), unix.EACCES)
			d.is("rename", d.as(ann, func(u Calls) error { return u.Rename(s+"/y", s+"/z") }), unix.EACCES)
		}},
		{"directory without search", func(d *Dir) {
			s := d.shared(0o644)
			d.file("s/x", "c")
			d.is("open", d.as(ann, func(u Calls) error { _, err := readFile(u, s+"/x"); return err }), unix.EACCES)
			d.ok(d.as(ann, func(u Calls) error { _, err := readDir(u, s); return err }))
		}},
		{"directory without read", func(d *Dir) {
			s := d.shared(0o711)
			d.file("s/x", "c")
			d.ok(d.as(ann, func(u Calls) error { _, err := readFile(u, s+"/x"); return err }))
			d.is("readdir", d.as(ann, func(u Calls) error { _, err := readDir(u, s); return err }), unix.EACCES)
		}},
		{"sticky directory keeps others' files", func(d *Dir) {
			s := d.shared(0o1777)
			d.touch(ann, s+"/x")
			d.touch(ben, s+"/y")
			d.is("unlink", d.as(ben, func(u Calls) error { return u.Unlink(s + "/x") }), unix.EPERM)
			d.is("rename", d.as(ben, func(u Calls) error { return u.Rename(s+"/x", s+"/z") }), unix.EPERM)
			d.is("rename over", d.as(ben, func(u Calls) error { return u.Rename(s+"/y", s+"/x") }), unix.EPERM)
			d.ok(d.as(ann, func(u Calls) error { return u.Unlink(s + "/x") }))
			d.ok(d.Rename(s+"/y", s+"/x")) // by root
			d.ok(d.Chown(s, cid.UID, cid.GID))
			d.ok(d.as(cid, func(u Calls) error { return u.Unlink(s + "/x") })) // by the directory's owner
		}},
		{"chmod by others", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			d.is("chmod", d.as(ben, func(u Calls) error { return u.Chmod(s+"/x", 0o777) }), unix.EPERM)
			d.ok(d.as(ann, func(u Calls) error { return u.Chmod(s+"/x", 0o600) }))
			equal(d, "mode", d.stat(s+"/x").Mode&07777, 0o600)
		}},
		{"chown by the owner", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			d.is("chown to another", d.as(ann, func(u Calls) error { return u.Chown(s+"/x", ben.UID, -1) }), unix.EPERM)
			d.is("chgrp to another's", d.as(ann, func(u Calls) error { return u.Chown(s+"/x", -1, cid.GID) }), unix.EPERM)
			d.ok(d.as(ann, func(u Calls) error { return u.Chown(s+"/x", -1, 7100) }))
			equal(d, "group", d.stat(s+"/x").Gid, 7100)
		}},
		{"chown by root", func(d *Dir) {
			d.file("x", "")
			d.ok(d.Chown(d.at("x"), 7001, 7002))
			st := d.stat(d.at("x"))
			equal(d, "owner", fmt.Sprint(st.Uid, st.Gid), "7001 7002")
		}},
		{"chown takes setuid away", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			d.ok(d.Chmod(s+"/x", 0o6755))
			d.ok(d.as(ann, func(u Calls) error { return u.Chown(s+"/x", -1, 7100) }))
			equal(d, "mode", d.stat(s+"/x").Mode&07777, 0o755)
		}},
		{"write takes setuid away", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			d.ok(d.Chmod(s+"/x", 0o4777))
			d.ok(d.as(ben, func(u Calls) error { return writeFile(u, s+"/x", []byte("changed"), 0) }))
			equal(d, "mode", d.stat(s+"/x").Mode&07777, 0o777)
		}},
		{"chmod of a file of a strange group drops setgid", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			d.ok(d.Chown(s+"/x", ann.UID, cid.GID))
			d.ok(d.as(ann, func(u Calls) error { return u.Chmod(s+"/x", 0o2755) }))
			equal(d, "mode", d.stat(s+"/x").Mode&07777, 0o755)
		}},
		{"truncate without write", func(d *Dir) {
			path := d.file("x", "content")
			d.is("truncate", d.as(ann, func(u Calls) error { return u.Truncate(path, 0) }), unix.EACCES)
			d.is("open", d.as(ann, func(u Calls) error { _, err := u.Open(path, unix.O_RDONLY|unix.O_TRUNC, 0); return err }), unix.EACCES)
			d.content(path, "content")
		}},
		{"times by others", func(d *Dir) {
			s := d.shared(0o777)
			d.touch(ann, s+"/x")
			d.is("exact", d.as(ben, func(u Calls) error {
				return u.UtimesNano(s+"/x", []unix.Timespec{past, past}, 0)
			}), unix.EPERM)
			d.is("now", d.as(ben, func(u Calls) error { return u.UtimesNano(s+"/x", nil, 0) }), unix.EACCES)
			d.ok(d.Chmod(s+"/x", 0o666))
			d.ok(d.as(ben, func(u Calls) error { return u.UtimesNano(s+"/x", nil, 0) }))
		}},
		{"rename of another's directory to elsewhere", func(d *Dir) {
			s := d.shared(0o777)
			d.ok(d.as(ann, func(u Calls) error { return u.Mkdir(s+"/d", 0o755) }))
			d.ok(d.Mkdir(s+"/to", 0o777))
			d.ok(d.Chmod(s+"/to", 0o777))
			d.is("rename", d.as(ben, func(u Calls) error { return u.Rename(s+"/d", s+"/to/d") }), unix.EACCES)
			d.ok(d.as(ben, func(u Calls) error { return u.Rename(s+"/d", s+"/e") }))
		}},
		{"execute bit decides", func(d *Dir) {
			path := d.file("x", "#!/bin/sh\nexit 7\n")
			equal(d, "access", d.as(ann, func(u Calls) error { return u.Access(path, unix.X_OK) }), error(unix.EACCES))
			d.ok(d.Chmod(path, 0o755))
			d.ok(d.as(ann, func(u Calls) error { return u.Access(path, unix.X_OK) }))
		}},
	}
}

// Users returns the users of the cases.
func Users() []User { return []User{ann, ben, cid} }
