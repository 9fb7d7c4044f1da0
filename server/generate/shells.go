package generate

import (
	"slices"
	"strings"

	"github.com/packagefs/packagefs/union"
)

const (
	shellsPath = "etc/shells"

	// shellsDir holds what Debian's packages declare: files with a path a line.
	shellsDir = "usr/share/debianutils/shells.d"

	maxShellFiles = 1000
	maxShellFile  = 4096 // bytes
)

// knownShells are names in usr/bin that are login shells wherever they are.
var knownShells = []string{
	"sh", "ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "lksh", "mksh", "nu", "oksh", "posh", "rc", "sash", "tcsh", "yash", "zsh",
}

// shells makes the list of login shells that a tree has, unless a package has one:
// shells by their well-known names, and what packages declare as Debian does. Like
// all configuration it can be edited.
func shells(t *union.Tree) ([]file, error) {
	if !t.Vacant(shellsPath) {
		return nil, nil
	}
	var names []string
	for _, name := range knownShells {
		names = append(names, "usr/bin/"+name)
	}
	var from sources
	n := 0
	for _, f := range t.Files(shellsDir) {
		if n++; n > maxShellFiles {
			break
		}
		text, err := f.Read(maxShellFile)
		if err != nil {
			continue // what is no list declares nothing
		}
		for line := range strings.Lines(string(text)) {
			if p, ok := shellPath(line); ok && !slices.Contains(names, p) {
				names = append(names, p)
			}
		}
	}
	found := false
	var b strings.Builder
	b.WriteString("# /etc/shells: valid login shells\n")
	for _, p := range names {
		end, ok := t.Follow(p)
		if !ok || end.Layer.Inode(end.Ino).Mode&0o111 == 0 {
			continue
		}
		if named, ok := t.File(p); ok {
			end = named
		}
		from.add(end)
		found = true
		if name, ok := strings.CutPrefix(p, "usr/bin/"); ok {
			b.WriteString("/bin/" + name + "\n")
		}
		b.WriteString(absolute(p) + "\n")
	}
	if !found {
		return nil, nil
	}
	return []file{{path: shellsPath, text: b.String(), mutable: true, sec: from.sec, why: "lists the shells of " + from.String()}}, nil
}

// shellPath reads a line of a list of shells. Its path is that after the merge of
// /bin into /usr.
func shellPath(line string) (string, bool) {
	p, ok := strings.CutPrefix(strings.TrimSpace(line), "/")
	if !ok || p == "" || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", false
	}
	if name, ok := strings.CutPrefix(p, "bin/"); ok {
		p = "usr/bin/" + name
	}
	return strings.Trim(absolute(p), "/"), true
}
