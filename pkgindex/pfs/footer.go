package pfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// What follows the archive are three skippable frames of zstd: the table of
// contents, the seal and the footer. The footer, which is as in zstd:chunked,
// ends the file.
const (
	frameHead  = 8 // of a skippable frame: magic number, size
	footerSize = 40
	sealSize   = 8 + sha256.Size // magic, digest of the table's frame without its head
	tailSize   = frameHead + sealSize + frameHead + footerSize

	footerMagic = "GnUlInUx"
	sealMagic   = "pfs-seal"
	footerType  = 1

	skippable = 0x184d2a50
)

// appendSkippable appends the head of a skippable frame of that many bytes.
func appendSkippable(b []byte, size int) []byte {
	b = binary.LittleEndian.AppendUint32(b, skippable)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

// tail tells where the table of contents is.
type tail struct {
	off    int64 // of the packed table, behind its frame's head
	packed int64 // its size
	size   int64 // its size unpacked
	digest [32]byte
}

// append writes seal and footer.
func (t *tail) append(b []byte) []byte {
	b = appendSkippable(b, sealSize)
	b = append(b, sealMagic...)
	b = append(b, t.digest[:]...)
	b = appendSkippable(b, footerSize)
	for _, n := range [...]int64{t.off, t.packed, t.size, footerType} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return append(b, footerMagic...)
}

// errNotPfs says that a file has no footer.
var errNotPfs = errors.New("it has no table of contents")

// Detect says whether the file of size bytes in r ends as a .pfs does.
func Detect(r io.ReaderAt, size int64) (bool, error) {
	var magic [len(footerMagic)]byte
	if size < tailSize {
		return false, nil
	}
	err := readFull(r, magic[:], size-int64(len(magic)))
	return string(magic[:]) == footerMagic, err
}

// Begins says whether the file of size bytes in r begins as a .pfs does.
func Begins(r io.ReaderAt, size int64) bool {
	z, err := zstd.NewReader(io.NewSectionReader(r, 0, size), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return false
	}
	defer z.Close()
	defer func() { _ = recover() }() // the decoder is not ours: what it cannot read is no .pfs
	var name [len(MetadataPath) + 1]byte
	_, err = io.ReadFull(z, name[:])
	return err == nil && string(name[:]) == MetadataPath+"\x00"
}

// readTail reads seal and footer, which must be what append writes for them.
func readTail(r io.ReaderAt, size int64) (t tail, err error) {
	if size < tailSize+frameHead {
		return t, errNotPfs
	}
	var b [tailSize]byte
	if err := readFull(r, b[:], size-tailSize); err != nil {
		return t, err
	}
	footer := b[frameHead+sealSize+frameHead:]
	number := func(at int) int64 { return int64(binary.LittleEndian.Uint64(footer[at:])) }
	t = tail{off: number(0), packed: number(8), size: number(16), digest: [32]byte(b[frameHead+len(sealMagic):])}
	if !bytes.Equal(b[:], t.append(nil)) {
		return t, fmt.Errorf("its footer is corrupt")
	}
	if t.packed <= 0 || t.packed > size || t.off != size-tailSize-t.packed || t.off <= frameHead {
		return t, fmt.Errorf("its footer does not tell where its table of contents is")
	}
	var head [frameHead]byte
	if err := readFull(r, head[:], t.off-frameHead); err != nil {
		return t, err
	}
	if t.packed != int64(uint32(t.packed)) || !bytes.Equal(head[:], appendSkippable(nil, int(t.packed))) {
		return t, fmt.Errorf("the frame of its table of contents is corrupt")
	}
	return t, nil
}

// readFull reads all of b at off. The end of the file is an unexpected one.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	return unexpectedEnd(err)
}
