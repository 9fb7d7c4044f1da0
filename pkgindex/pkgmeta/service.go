package pkgmeta

import (
	"path"
	"strings"
)

// unitTypes are the suffixes of systemd units that a package may bring.
var unitTypes = map[string]bool{
	".service": true, ".socket": true, ".timer": true, ".path": true, ".target": true,
	".mount": true, ".automount": true, ".swap": true, ".slice": true,
}

// ServiceOf tells whether a file or link at p, a path as in Entry, is a
// systemd unit (ssh.service) or an init script (init.d/ssh), and its name.
func ServiceOf(p string) (string, bool) {
	dir, base := path.Split(p)
	switch dir {
	case "usr/lib/systemd/system/", "usr/lib/systemd/user/", "lib/systemd/system/", "lib/systemd/user/":
		return base, unitTypes[path.Ext(base)] && base[0] != '.'
	case "etc/init.d/":
		return "init.d/" + base, base != "" && base[0] != '.' && base != "README"
	}
	return "", false
}

// IsUnit says whether s is the name of a systemd unit, which may be an instance
// of a template: getty@tty1.service.
func IsUnit(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
	if strings.Trim(s, allowed) != "" || len(s) > 255 {
		return false
	}
	kind := path.Ext(s)
	return unitTypes[kind] && s != kind && s[0] != '@' && s[0] != '.'
}
