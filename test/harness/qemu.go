package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// GuestKernelEnv names the release of the kernel in the environment of a guest whose
// kernel has its modules already, and devices of its own: one in QEMU.
const GuestKernelEnv = "GUEST_KERNEL"

// qemu is the machine with a kernel of Debian. Its processor is emulated, since KVM
// is not to be had everywhere and does not do in every place that has the device.
// The files come by virtiofs.
func (g Guest) qemu(ctx context.Context, dir, script string) (cmd *exec.Cmd, stop func(), err error) {
	initrd := filepath.Join(dir, "initrd")
	if err := g.Kernel.makeInitrd(initrd); err != nil {
		return nil, nil, err
	}
	socket := filepath.Join(dir, "files.sock")
	if stop, err = serveFiles(ctx, socket); err != nil {
		return nil, nil, err
	}
	memory := g.memory()
	cmd = exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", memory,
		"-object", "memory-backend-memfd,id=mem,share=on,size="+memory, "-machine", "q35,memory-backend=mem",
		"-chardev", "socket,id=files,path="+socket, "-device", "vhost-user-fs-pci,chardev=files,tag="+rootTag,
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-nic", "none",
		"-kernel", g.Kernel.image, "-initrd", initrd,
		"-append", "console=ttyS0 panic=1 loglevel=4 "+initVariable+"="+script)
	return cmd, stop, nil
}

// serveFiles has virtiofsd serve this machine's files at a socket, until stop.
func serveFiles(ctx context.Context, socket string) (stop func(), err error) {
	program := "/usr/libexec/virtiofsd"
	if _, err := os.Stat(program); err != nil { // until Debian 12 QEMU brought one
		program = "/usr/lib/qemu/virtiofsd"
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := inGroup(exec.CommandContext(ctx, program, "--socket-path="+socket,
		"-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=auto", "-o", "xattr"))
	log := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("%w: run test/run, which installs it", err)
	}
	stop = func() {
		cancel()
		_ = cmd.Wait() // it ends by itself when QEMU does, or was killed
	}
	if err := Retry(func() error { _, err := os.Stat(socket); return err }); err != nil {
		stop()
		return nil, fmt.Errorf("virtiofsd does not listen: %w: %s", err, log)
	}
	return stop, nil
}
