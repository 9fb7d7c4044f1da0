package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// A ByteSize is a number of bytes, on the command line with k, M or G.
type ByteSize uint32

// UnmarshalText reads 65536, 64k, 1M.
func (b *ByteSize) UnmarshalText(text []byte) error {
	n, err := parseBytes(string(text), 1<<31)
	if err != nil {
		return fmt.Errorf("%q is not a number of bytes up to 2G", text)
	}
	*b = ByteSize(n)
	return nil
}

// DiskSize is a number of bytes on a disk.
type DiskSize uint64

// UnmarshalText reads 65536, 500M, 20G, 1T.
func (d *DiskSize) UnmarshalText(text []byte) error {
	n, err := parseBytes(string(text), 1<<60)
	if err != nil {
		return fmt.Errorf("%q is not a number of bytes such as 500M or 20G", text)
	}
	*d = DiskSize(n)
	return nil
}

// parseBytes reads a number of bytes up to most, with a unit or without.
func parseBytes(s string, most uint64) (uint64, error) {
	shift := 0
	for i, unit := range []string{"k", "M", "G", "T"} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			s, shift = n, 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && n > most>>shift {
		err = strconv.ErrRange
	}
	return n << shift, err
}
