package enter

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A mountLine is a line of the mount table.
type mountLine struct {
	point   string
	root    string // what of the file system is mounted there
	kind    string // of file system
	source  string
	options string // of the file system
}

// readMounts reads the mount table of this process.
func readMounts() ([]mountLine, error) {
	table, err := readTable("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var all []mountLine
	for line := range strings.Lines(string(table)) {
		head, tail, _ := strings.Cut(line, " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if len(h) >= 5 && len(t) >= 3 {
			all = append(all, mountLine{point: unescape(h[4]), root: unescape(h[3]), kind: t[0], source: unescape(t[1]), options: t[2]})
		}
	}
	return all, nil
}

// readTable reads a file of the kernel's in few calls: it is part of each entry.
func readTable(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	table := make([]byte, 0, 64<<10)
	for {
		n, err := unix.Read(fd, table[len(table):cap(table)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return table, nil
		}
		table = slices.Grow(table[:len(table)+max(n, 0)], 4096)
	}
}

// unescape undoes the octal escapes of the mount table.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`).Replace(s)
}

// hasOption tells whether a list of mount options has one.
func (m *mountLine) hasOption(name string) bool {
	return strings.Contains(","+m.options+",", ","+name+",")
}

// under tells whether a path is dir or below it.
func under(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir) && path[len(dir)] == '/'
}

// below gives the mounts below a directory, without those below another of them.
func below(all []mountLine, dir string) (points []string) {
	for _, m := range all {
		inOther := func(p string) bool { return under(m.point, p) }
		if m.point != dir && under(m.point, dir) && !slices.ContainsFunc(points, inOther) {
			points = append(points, m.point)
		}
	}
	return points
}

// stacked tells whether a mount is a directory of a context that is stacked on the
// root.
func (m *mountLine) stacked() bool {
	origin, _, _ := strings.Cut(m.source, " ")
	return m.kind == "overlay" && origin == overlaySource
}
