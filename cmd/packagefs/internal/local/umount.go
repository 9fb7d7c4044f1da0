package local

import (
	"errors"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// UmountCmd takes mounted trees away.
type UmountCmd struct {
	Mountpoints []string `arg:"" name:"mountpoint" type:"path" help:"Where trees are mounted or stacked."`
	Lazy        bool     `short:"l" help:"Take them away at once, even if they are in use; those who use them keep them until they are done."`
}

// Help is shown below the flags.
func (*UmountCmd) Help() string {
	return `Works for all kinds of mounts. What was stacked with --union goes at once: programs that run keep what they have open, and new ones see the machine's own files.

Examples:
  packagefs umount /mnt
  packagefs umount /usr /etc`
}

func (c *UmountCmd) Run(*cli.Env) error { return unmountAll(c.Mountpoints, c.Lazy) }

// unmountAll takes away as many as it can.
func unmountAll(points []string, lazy bool) error {
	var failed []error
	for _, p := range points {
		failed = append(failed, mount.Unmount(p, lazy))
	}
	return errors.Join(failed...)
}
