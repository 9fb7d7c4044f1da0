package format

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// capabilityNames are Linux's capabilities by number.
var capabilityNames = [...]string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
}

// fileCaps turns capabilities as text, such as "cap_net_admin,cap_net_raw=ep"
// (see cap_from_text(3)), into the value of the attribute security.capability.
// It returns "" for none.
func fileCaps(text string) (string, error) {
	var effective, permitted, inheritable uint64
	for clause := range strings.FieldsSeq(text) {
		at := strings.IndexAny(clause, "=+-")
		if at < 0 {
			return "", fmt.Errorf("capabilities %q: want NAMES=FLAGS", text)
		}
		mask, err := capabilityMask(clause[:at])
		if err != nil {
			return "", fmt.Errorf("capabilities %q: %w", text, err)
		}
		for rest := clause[at:]; rest != ""; {
			op := rest[0]
			end := strings.IndexAny(rest[1:], "=+-") + 1
			if end == 0 {
				end = len(rest)
			}
			flags := rest[1:end]
			rest = rest[end:]
			if op == '=' {
				effective, permitted, inheritable = effective&^mask, permitted&^mask, inheritable&^mask
			}
			for _, flag := range flags {
				set, ok := map[rune]*uint64{'e': &effective, 'p': &permitted, 'i': &inheritable}[flag]
				switch {
				case !ok:
					return "", fmt.Errorf("capabilities %q: %q is none of e, i, p", text, flag)
				case op == '-':
					*set &^= mask
				default:
					*set |= mask
				}
			}
		}
	}
	if permitted|inheritable == 0 {
		return "", nil
	}
	const revision2, flagEffective = 0x02000000, 1
	magic := uint32(revision2)
	if effective != 0 {
		if effective != permitted|inheritable {
			return "", fmt.Errorf("capabilities %q: a file has all of them effective or none", text)
		}
		magic |= flagEffective
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, magic)
	for shift := 0; shift < 64; shift += 32 {
		b = le.AppendUint32(b, uint32(permitted>>shift))
		b = le.AppendUint32(b, uint32(inheritable>>shift))
	}
	return string(b), nil
}

// capabilityMask reads names with commas between them; none are all.
func capabilityMask(names string) (mask uint64, err error) {
	if names == "" || strings.EqualFold(names, "all") {
		return 1<<len(capabilityNames) - 1, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.Index(capabilityNames[:], strings.TrimPrefix(strings.ToLower(name), "cap_"))
		if i < 0 {
			return 0, fmt.Errorf("there is no capability %q", name)
		}
		mask |= 1 << i
	}
	return mask, nil
}
