package pfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
)

// A Table is what is needed to find and verify the contents of a package file:
// its frames, and the pieces of content in them. It is flat, so that one that
// was stored is used as it is. The contents of all regular files, one after
// another in the order of the archive and the metadata first, are one range of
// bytes.
type Table struct {
	Contents int64 // bytes of all contents
	Archive  int64 // bytes of the archive, unpacked

	frames, pieces []byte
}

const (
	tableMagic   = "pfstable"
	tableVersion = 1
	tableHead    = 48

	frameSize = 64
	pieceSize = 40

	// maxFrame is how many bytes a frame may unpack to, and minChunk how many
	// bytes every chunk of a file has but the last, so that reading a byte and
	// keeping a table have bounded costs.
	maxFrame = 8 << 20
	minChunk = 64 << 10
	maxCount = 1 << 24 // frames, and pieces
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// errTable says that a stored table is not what was written.
var errTable = errors.New("the stored table of chunks is corrupt")

// Encode returns the table for DecodeTable.
func (t *Table) Encode() []byte {
	b := make([]byte, tableHead, tableHead+len(t.frames)+len(t.pieces))
	le := binary.LittleEndian
	copy(b, tableMagic)
	le.PutUint32(b[8:], tableVersion)
	le.PutUint64(b[16:], uint64(t.Contents))
	le.PutUint64(b[24:], uint64(t.Archive))
	le.PutUint32(b[32:], uint32(len(t.frames)/frameSize))
	le.PutUint32(b[36:], uint32(len(t.pieces)/pieceSize))
	b = append(append(b, t.frames...), t.pieces...)
	le.PutUint32(b[12:], crc32.Checksum(b[16:], crcTable))
	return b
}

// DecodeTable takes b as its own.
func DecodeTable(b []byte) (*Table, error) {
	le := binary.LittleEndian
	if len(b) < tableHead || string(b[:8]) != tableMagic || le.Uint32(b[8:]) != tableVersion ||
		le.Uint32(b[12:]) != crc32.Checksum(b[16:], crcTable) {
		return nil, errTable
	}
	frames, pieces := int(le.Uint32(b[32:]))*frameSize, int(le.Uint32(b[36:]))*pieceSize
	if len(b) != tableHead+frames+pieces || frames == 0 {
		return nil, errTable
	}
	return &Table{
		Contents: int64(le.Uint64(b[16:])), Archive: int64(le.Uint64(b[24:])),
		frames: b[tableHead:][:frames], pieces: b[tableHead+frames:],
	}, nil
}

// A frame is one frame of the package file.
type frame struct {
	off    int64 // in the package file
	start  int64 // in the contents
	packed int   // size in the package file
	size   int   // size unpacked
	first  int   // its first piece
	glue   int   // bytes of headers and padding
	digest [32]byte
}

// A piece is a part of one file's content, within one frame.
type piece struct {
	at     int // in the frame, unpacked
	size   int
	digest [32]byte
}

// Frames returns the number of frames.
func (t *Table) Frames() int { return len(t.frames) / frameSize }

func (t *Table) frame(i int) frame {
	b, le := t.frames[i*frameSize:][:frameSize], binary.LittleEndian
	return frame{
		off: int64(le.Uint64(b)), start: int64(le.Uint64(b[8:])), packed: int(le.Uint32(b[16:])), size: int(le.Uint32(b[20:])),
		first: int(le.Uint32(b[24:])), glue: int(le.Uint32(b[28:])), digest: [32]byte(b[32:]),
	}
}

func (f *frame) encode(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(b, uint64(f.off))
	le.PutUint64(b[8:], uint64(f.start))
	le.PutUint32(b[16:], uint32(f.packed))
	le.PutUint32(b[20:], uint32(f.size))
	le.PutUint32(b[24:], uint32(f.first))
	le.PutUint32(b[28:], uint32(f.glue))
	copy(b[32:], f.digest[:])
}

func (t *Table) piece(i int) piece {
	b, le := t.pieces[i*pieceSize:][:pieceSize], binary.LittleEndian
	return piece{at: int(le.Uint32(b)), size: int(le.Uint32(b[4:])), digest: [32]byte(b[8:])}
}

func (t *Table) addPiece(p piece) {
	t.pieces = binary.LittleEndian.AppendUint32(t.pieces, uint32(p.at))
	t.pieces = binary.LittleEndian.AppendUint32(t.pieces, uint32(p.size))
	t.pieces = append(t.pieces, p.digest[:]...)
}

// find returns the frame that has the byte of the contents at off.
func (t *Table) find(off int64) int {
	lo, hi := 0, t.Frames()
	for lo < hi { // the last frame that starts at off or before
		mid := int(uint(lo+hi) >> 1)
		if int64(binary.LittleEndian.Uint64(t.frames[mid*frameSize+8:])) <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// A DamageError says that a package file does not hold what its table of
// contents says.
type DamageError struct{ Reason string }

func (e *DamageError) Error() string { return e.Reason }

// verify compares a frame, unpacked, with the table, and moves its contents to
// the beginning. h is scratch.
func (t *Table) verify(i int, raw []byte, h hash.Hash) ([]byte, error) {
	f := t.frame(i)
	end := len(t.pieces) / pieceSize
	if i+1 < t.Frames() {
		end = int(binary.LittleEndian.Uint32(t.frames[(i+1)*frameSize+24:]))
	}
	if len(raw) != f.size {
		return nil, &DamageError{fmt.Sprintf("frame %d unpacks to %d bytes; its table of contents says %d", i, len(raw), f.size)}
	}
	h.Reset()
	at, n := 0, 0
	for p := f.first; p < end; p++ {
		piece := t.piece(p)
		h.Write(raw[at:piece.at])
		at = piece.at + piece.size
		content := raw[piece.at:at]
		if sha256.Sum256(content) != piece.digest {
			return nil, &DamageError{fmt.Sprintf("a content in frame %d does not match its digest", i)}
		}
		n += copy(raw[n:], content)
	}
	if f.glue > 0 {
		h.Write(raw[at:])
		var sum [sha256.Size]byte
		if !bytes.Equal(h.Sum(sum[:0]), f.digest[:]) {
			return nil, &DamageError{fmt.Sprintf("a header or padding in frame %d is not what its table of contents says", i)}
		}
	}
	return raw[:n], nil
}

// start is where the contents of a frame begin in all contents.
func (t *Table) start(i int) int64 {
	return int64(binary.LittleEndian.Uint64(t.frames[i*frameSize+8:]))
}

// content is how many bytes of contents a frame has.
func (t *Table) content(i int) int {
	b := t.frames[i*frameSize:]
	return int(binary.LittleEndian.Uint32(b[20:])) - int(binary.LittleEndian.Uint32(b[28:]))
}
