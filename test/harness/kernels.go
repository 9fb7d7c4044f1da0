package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A Kernel is one of Debian's, for a guest in QEMU.
type Kernel struct {
	Release string // as uname says it

	dir     string // what its packages hold
	image   string // file
	modules string // directory
}

// FetchKernel returns the newest kernel of a Debian suite. It comes from the cache if
// one is there, of whatever version, and from the machine's Debian mirror otherwise.
func FetchKernel(t testing.TB, suite string) *Kernel {
	t.Helper()
	k, err := fetchKernel(suite)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func fetchKernel(suite string) (*Kernel, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "kernel-"+suite)
	if k, err := findKernel(dir); err == nil {
		return k, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := downloadKernel(filepath.Join(cache, "apt-kernel-"+suite), suite, dir); err != nil {
		return nil, fmt.Errorf("fetch the kernel of %s: %w", suite, err)
	}
	return findKernel(dir)
}

// releaseFile names the kernel. It is written last.
const releaseFile = "RELEASE"

// findKernel finds what downloadKernel unpacked in dir.
func findKernel(dir string) (*Kernel, error) {
	release, err := os.ReadFile(filepath.Join(dir, releaseFile))
	if err != nil {
		return nil, err
	}
	k := &Kernel{Release: string(release), dir: dir}
	k.modules = filepath.Join(dir, "lib/modules", k.Release)
	// From 7.x on the image is among the modules.
	for _, k.image = range []string{filepath.Join(k.modules, "vmlinuz"), filepath.Join(dir, "boot/vmlinuz-"+k.Release)} {
		if _, err = os.Stat(k.image); err == nil {
			return k, nil
		}
	}
	return nil, err
}

// kernelPackage is the name of a package with the kernel itself or its modules.
var kernelPackage = regexp.MustCompile(`^linux-(image|binary|modules)-([0-9].*)$`)

// downloadKernel unpacks in dir what the suite's newest kernel has in packages, with
// an apt state of its own.
func downloadKernel(state, suite, dir string) error {
	if err := aptState(state, "deb", suite); err != nil {
		return err
	}
	// The version is in the names; the package without one depends on them.
	plan, err := aptOutput(state, "install", "--simulate", "--no-install-recommends", "linux-image-amd64")
	if err != nil {
		return err
	}
	var packages []string
	release := ""
	for line := range strings.Lines(plan) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "Inst" {
			continue
		}
		if m := kernelPackage.FindStringSubmatch(f[1]); m != nil {
			packages = append(packages, f[1])
			if m[1] == "image" {
				release = m[2]
			}
		}
	}
	if release == "" {
		return fmt.Errorf("linux-image-amd64 depends on no kernel:\n%s", plan)
	}
	debs := filepath.Join(state, "debs")
	if err := errors.Join(os.RemoveAll(debs), os.Mkdir(debs, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	if _, err := aptIn(debs, state, append([]string{"download"}, packages...)...); err != nil {
		return err
	}
	return unpackKernel(debs, dir, release)
}

// unpackKernel unpacks all packages in debs to dir, as on a machine whose /lib is
// /usr/lib.
func unpackKernel(debs, dir, release string) error {
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := Command("dpkg-deb", "--extract", file, dir); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "lib")); err != nil {
		if err := os.Symlink("usr/lib", filepath.Join(dir, "lib")); err != nil {
			return err
		}
	}
	if _, err := Command("depmod", "-b", dir, release); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, releaseFile), []byte(release), 0o644)
}

const (
	rootTag      = "root"       // of the files, as the machine's init mounts them
	initVariable = "GUEST_INIT" // the kernel hands it on to the machine's init
)

// initrdModules are the file systems under test and what they need. A kernel has no
// module of what is built in.
var initrdModules = []string{"virtio_pci", "virtiofs", "9p", "9pnet_fd", "overlay", "fuse", "loop", "ext4"}

// initrdInit is the first program: it loads the modules and goes on with the init of
// the guest, in this machine's files.
const initrdInit = `#!/bin/busybox sh
for m in /modules/*; do /bin/busybox insmod $m || echo "insmod $m failed"; done
/bin/busybox mount -t virtiofs ` + rootTag + ` /root || /bin/busybox poweroff -f
exec /bin/busybox switch_root /root "$` + initVariable + `"
`

// makeInitrd writes the initial file system of a guest with the kernel.
func (k *Kernel) makeInitrd(file string) error {
	dir := file + ".d"
	for _, d := range []string{"bin", "modules", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	modules, err := k.moduleFiles()
	if err != nil {
		return err
	}
	for i, module := range modules {
		data, err := unpackModule(module)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "modules", fmt.Sprintf("%02d", i)), data, 0o644); err != nil {
			return err
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w: run test/run, which installs it", err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "bin/busybox"), busybox, 0o755),
		os.WriteFile(filepath.Join(dir, "init"), []byte(initrdInit), 0o755))
	if err != nil {
		return err
	}
	_, err = Command("sh", "-c", `cd "$1" && find . | cpio -o -H newc --quiet >"$2"`, "sh", dir, file)
	return err
}

// moduleFiles are the files of initrdModules and all that these need, in the order to
// load them in.
func (k *Kernel) moduleFiles() (files []string, err error) {
	for _, name := range initrdModules {
		out, err := Command("modprobe", "-d", k.dir, "-S", k.Release, "--show-depends", name)
		if err != nil && !strings.Contains(err.Error(), "not found in directory") {
			return nil, err
		}
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) > 1 && f[0] == "insmod" && !slices.Contains(files, f[1]) {
				files = append(files, f[1])
			}
		}
	}
	return files, nil
}

// unpackModule reads the file of a module.
func unpackModule(file string) ([]byte, error) {
	unpacker := map[string]string{".xz": "xz", ".zst": "zstd"}[filepath.Ext(file)]
	if unpacker == "" {
		return os.ReadFile(file)
	}
	var out bytes.Buffer
	cmd := exec.Command(unpacker, "-dcq", file)
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s -dcq %s: %w", unpacker, file, err)
	}
	return out.Bytes(), nil
}
