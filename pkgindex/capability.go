package pkgindex

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// capabilityXattr holds a file's capabilities, in the kernel's form of
// version 2: a word of flags, then permitted and inheritable in two halves.
const (
	capabilityXattr    = "security.capability"
	capabilityVersion2 = 0x02000000
	capabilityEffects  = 1
)

// capabilityNames are the kernel's capabilities by their numbers.
var capabilityNames = strings.Fields(`chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap
	linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot
	sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write
	audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`)

// fileCapability turns a text as setcap takes it, "cap_net_raw,cap_net_admin=ep",
// into the value of the extended attribute.
func fileCapability(text string) (string, error) {
	var permitted, inheritable uint64
	effective, given := false, false
	for clause := range strings.FieldsSeq(text) {
		at := strings.IndexAny(clause, "=+")
		if at <= 0 {
			return "", fmt.Errorf("%q: want NAMES=FLAGS, such as cap_net_raw=ep", clause)
		}
		var set uint64
		for name := range strings.SplitSeq(strings.ToLower(clause[:at]), ",") {
			n := slices.Index(capabilityNames, strings.TrimPrefix(name, "cap_"))
			switch {
			case name == "all":
				set |= 1<<len(capabilityNames) - 1
			case n < 0 || !strings.HasPrefix(name, "cap_"):
				return "", fmt.Errorf("%q is no capability", name)
			default:
				set |= 1 << n
			}
		}
		for _, flag := range clause[at+1:] {
			switch flag {
			case 'p':
				permitted |= set
			case 'i':
				inheritable |= set
			case 'e':
				effective = true
			default:
				return "", fmt.Errorf("%q: %q is none of the flags e, i and p", clause, flag)
			}
		}
		given = true
	}
	if !given {
		return "", fmt.Errorf("there are none; want such as cap_net_raw=ep")
	}
	flags := uint32(capabilityVersion2)
	if effective {
		flags |= capabilityEffects
	}
	var b []byte
	for _, word := range []uint32{flags, uint32(permitted), uint32(inheritable), uint32(permitted >> 32), uint32(inheritable >> 32)} {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return string(b), nil
}
