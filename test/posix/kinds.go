package posix

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Cases returns all cases.
func Cases() []Case {
	return slices.Concat(openCases(), ioCases(), renameMatrix(), renameCases(), nameCases(), dirCases(),
		callCases(), linkCases(), timeCases(), asRoot(userCases()), xattrCases(), lockCases(), mapCases())
}

// kinds are what a name can stand for; each makes one.
var kinds = []struct {
	name string
	make func(d *Dir, name string)
}{
	{"nothing", func(*Dir, string) {}},
	{"file", func(d *Dir, name string) { d.file(name, "content of "+name) }},
	{"directory", func(d *Dir, name string) { d.mkdir(name) }},
	{"full directory", func(d *Dir, name string) { d.mkdir(name); d.file(name+"/inside", "") }},
	{"symlink", func(d *Dir, name string) { d.file(name+".to", "target"); d.ok(d.Symlink(name+".to", d.at(name))) }},
	{"dangling symlink", func(d *Dir, name string) { d.ok(d.Symlink("nowhere", d.at(name))) }},
	{"loop", func(d *Dir, name string) { d.ok(d.Symlink(name, d.at(name))) }},
	{"fifo", func(d *Dir, name string) { d.ok(d.Mkfifo(d.at(name), 0o644)) }},
	{"socket", func(d *Dir, name string) { d.ok(d.Mknod(d.at(name), unix.S_IFSOCK|0o644, 0)) }},
}

// make makes something of a kind.
func (d *Dir) make(kind, name string) {
	d.Helper()
	for _, k := range kinds {
		if k.name == kind {
			k.make(d, name)
			return
		}
	}
	d.Fatalf("there is no kind %s", kind)
}

// asRoot has cases begun by root, whoever runs the others: they act as several users.
func asRoot(cases []Case) []Case {
	for i, c := range cases {
		cases[i].Run = func(d *Dir) {
			d.Calls = d.system.Root()
			c.Run(d)
		}
	}
	return cases
}
