package pkgmeta

import (
	"slices"
	"testing"
)

func TestServiceOf(t *testing.T) {
	var have []string
	for _, p := range []string{
		"usr/lib/systemd/system/ssh.service", "lib/systemd/system/ssh.socket", "usr/lib/systemd/user/a.timer",
		"usr/lib/systemd/system/getty@.service", "etc/init.d/ssh",
		"usr/lib/systemd/system/ssh.service.d/x.conf", "usr/lib/systemd/system/a.target.wants/ssh.service",
		"usr/lib/systemd/system", "usr/lib/systemd/system/README", "etc/init.d/README", "etc/init.d", "etc/init.d/.depend.boot",
		"usr/lib/systemd/systemd", "opt/usr/lib/systemd/system/x.service", "usr/lib/systemd/system/.service", "",
	} {
		if name, ok := ServiceOf(p); ok {
			have = append(have, name)
		}
	}
	want := []string{"ssh.service", "ssh.socket", "a.timer", "getty@.service", "init.d/ssh"}
	if !slices.Equal(have, want) {
		t.Errorf("have %q, want %q", have, want)
	}
}
