package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// Main is the guest's first process. It makes the machine ready, runs the
// tests, writes their status for the machine outside, and halts.
func Main(m *testing.M) {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "these tests run as the first process of a guest: see test/run")
		os.Exit(1)
	}
	status := 1
	if err := prepareMachine(); err != nil {
		fmt.Println("make the guest ready:", err)
	} else {
		status = m.Run()
	}
	if err := os.WriteFile(os.Getenv("GUEST_STATUS"), []byte(fmt.Sprintln(status)), 0o644); err != nil {
		fmt.Println(err)
	}
	unix.Sync()
	fmt.Println(unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

// prepareMachine mounts what a machine has, loads the file systems under test
// and brings the loopback up.
func prepareMachine() error {
	mounts := []struct{ what, where string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.what, m.where, m.what, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	ready := prepareQEMU
	if os.Getenv(harness.GuestKernelEnv) == "" {
		ready = prepareUML
	}
	if err := ready(); err != nil {
		return err
	}
	_, err := harness.Command("ip", "link", "set", "lo", "up")
	return err
}

// prepareQEMU gives the machine its own devices.
func prepareQEMU() error {
	mounts := []struct{ what, where, options string }{
		{"devtmpfs", "/dev", ""}, {"devpts", "/dev/pts", "mode=620,ptmxmode=666"}, {"tmpfs", "/dev/shm", "mode=1777"},
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.where, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.what, m.where, m.what, 0, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	return os.Chmod("/dev/fuse", 0o666) // as systemd has it
}

// prepareUML loads what is under test. The devices are those of the machine outside.
func prepareUML() error { return loadModules("9p", "9pnet_fd", "fuse", "overlay", "loop") }

// release is the kernel's.
func release() string {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		panic(err) // it fails for a bad pointer alone
	}
	return unix.ByteSliceToString(uts.Release[:])
}

// loadModules loads kernel modules with what they depend on, as the kernel's
// modules.dep says. Debian keeps the guest kernel's modules where modprobe
// does not look.
func loadModules(names ...string) error {
	dir := filepath.Join("/usr/lib/uml/modules", release())
	deps, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}
	files := map[string][]string{} // the module's file first, its dependencies after it
	for line := range strings.Lines(string(deps)) {
		file, needs, _ := strings.Cut(line, ":")
		name := strings.TrimSuffix(filepath.Base(file), ".ko")
		files[name] = append([]string{file}, strings.Fields(needs)...)
	}
	loaded := map[string]bool{}
	for _, name := range names {
		list := files[name]
		if list == nil {
			return fmt.Errorf("the guest's kernel has no module %s", name)
		}
		// modules.dep names a module before those it needs.
		for i := len(list) - 1; i >= 0; i-- {
			if loaded[list[i]] {
				continue
			}
			if err := loadModule(filepath.Join(dir, list[i])); err != nil {
				return fmt.Errorf("load %s: %w", list[i], err)
			}
			loaded[list[i]] = true
		}
	}
	return nil
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}
