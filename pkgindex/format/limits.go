package format

import (
	"cmp"
	"fmt"
)

// Limits bounds what reading one package file may cost. A field that is 0 has
// the default that its comment names.
type Limits struct {
	Ratio      int64  // how many times its compressed size an archive may unpack to: 1000
	RatioFloor int64  // bytes that any archive may unpack to beside that: 64 MiB
	Control    int64  // bytes of a metadata file (control, conffiles, .PKGINFO): 16 MiB
	Checksums  int64  // bytes of md5sums or .MTREE, unpacked, or of an rpm's header: 64 MiB
	Members    int    // files, directories and links: 4 million
	Paths      int64  // bytes of all their paths together: 512 MiB
	Path       int    // bytes of one path: 4096
	Name       int    // bytes of one name in a path: 255
	Window     uint64 // bytes that a decompressor may keep of what it has unpacked: 128 MiB
}

const (
	kib = 1 << 10
	mib = 1 << 20

	defaultWindow = 128 * mib
)

func (l Limits) withDefaults() Limits {
	return Limits{
		Ratio:      cmp.Or(l.Ratio, 1000),
		RatioFloor: cmp.Or(l.RatioFloor, 64*mib),
		Control:    cmp.Or(l.Control, 16*mib),
		Checksums:  cmp.Or(l.Checksums, 64*mib),
		Members:    cmp.Or(l.Members, 4_000_000),
		Paths:      cmp.Or(l.Paths, 512*mib),
		Path:       cmp.Or(l.Path, 4096),
		Name:       cmp.Or(l.Name, 255),
		Window:     cmp.Or(l.Window, defaultWindow),
	}
}

// unpacked returns the number of bytes that an archive of packed bytes may
// unpack to.
func (l Limits) unpacked(packed int64) int64 {
	const most = 1<<63 - 1
	if packed > (most-l.RatioFloor)/l.Ratio {
		return most
	}
	return l.RatioFloor + l.Ratio*packed
}

// ratioError says that an archive unpacks to more than unpacked allows.
func (l Limits) ratioError() error {
	return fmt.Errorf("unpacks to more than %d times its size (and %d MiB): looks like a decompression bomb", l.Ratio, l.RatioFloor/mib)
}
