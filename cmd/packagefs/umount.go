package main

import "github.com/packagefs/packagefs/cmd/packagefs/internal/mount"

// UmountCmd takes a mounted tree away.
type UmountCmd struct {
	Mountpoint string `arg:"" type:"path" help:"Where a tree is mounted."`
	Lazy       bool   `short:"l" help:"Take it away at once, even if it is in use; those who use it keep it until they are done."`
}

// Help is shown below the flags.
func (*UmountCmd) Help() string {
	return `Works for both kinds of mount.

Example:
  packagefs umount /mnt`
}

func (c *UmountCmd) Run(*Env) error { return mount.Unmount(c.Mountpoint, c.Lazy) }
