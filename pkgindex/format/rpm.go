package format

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An rpm is a lead, which says nothing that is needed, a signature header, the
// header, and the payload, a compressed cpio archive. The header has all
// metadata and the list of files with their modes, owners and digests; the
// payload is read for the contents. The digests of header, payload and files are
// verified, OpenPGP signatures are not.

const (
	rpmMagic    = "\xed\xab\xee\xdb"
	rpmLeadSize = 96
)

// Tags of the signature header.
const (
	rpmSigLongSize = 270
	rpmSigSHA1     = 269
	rpmSigSHA256   = 273
	rpmSigSize     = 1000
	rpmSigMD5      = 1004
)

// Further tags of the main header.
const (
	rpmTagPayloadFormat     = 1124
	rpmTagPayloadDigest     = 5092
	rpmTagPayloadDigestAlgo = 5093
)

func (p *packageFile) readRpm() error {
	if p.size < rpmLeadSize {
		return fmt.Errorf("its lead ends too soon: %w", io.ErrUnexpectedEOF)
	}
	signature, err := p.rpmHeader(rpmLeadSize, p.limits.Control)
	if err != nil {
		return fmt.Errorf("signature header: %w", err)
	}
	start := int64(rpmLeadSize+len(signature.raw)+7) &^ 7
	header, err := p.rpmHeader(start, p.limits.Checksums)
	if err != nil {
		return err
	}
	payload := start + int64(len(header.raw))
	if err := p.checkRpmSize(signature, p.size-start); err != nil {
		return err
	}
	sum, err := checkRpmHeader(signature, header)
	if err != nil {
		return err
	}
	header.raw = nil
	files, err := rpmFileList(header)
	if err != nil {
		return err
	}
	meta, err := rpmMeta(header, files)
	if err != nil {
		return err
	}
	switch format, err := header.text(rpmTagPayloadFormat); {
	case err != nil:
		return err
	case format != "" && format != "cpio":
		return fmt.Errorf("its payload is of the format %q; only cpio can be read", format)
	}
	if err := p.start(meta); err != nil {
		return err
	}
	return p.readRpmPayload(payload, files, sum)
}

// checkRpmSize compares the size of header and payload with what the signature
// header says.
func (p *packageFile) checkRpmSize(signature *rpmHeader, have int64) error {
	t := &tagReader{h: signature}
	size := t.ints(rpmSigLongSize)
	if size.len() == 0 {
		size = t.ints(rpmSigSize)
	}
	if t.err != nil || size.len() == 0 {
		return t.err
	}
	switch want := int64(size.at(0)); {
	case have < want:
		return fmt.Errorf("it has %d bytes of %d: %w", have, want, io.ErrUnexpectedEOF)
	case have > want:
		return fmt.Errorf("%d bytes follow its end; is it still being copied?", have-want)
	}
	return nil
}

// A payloadSum is a digest that the payload must have.
type payloadSum struct {
	hash hash.Hash
	want string // in hexadecimal
}

// checkRpmHeader verifies the header's digest, and returns that of the payload.
func checkRpmHeader(signature, header *rpmHeader) (payloadSum, error) {
	t, h := &tagReader{h: signature}, &tagReader{h: header}
	sha256Sum, sha1Sum := t.text(rpmSigSHA256), t.text(rpmSigSHA1)
	md5Sum, err := signature.binary(rpmSigMD5)
	digests, algorithm := h.texts(rpmTagPayloadDigest), h.ints(rpmTagPayloadDigestAlgo)
	if err := errors.Join(err, t.err, h.err); err != nil {
		return payloadSum{}, err
	}
	have, want := "", ""
	switch {
	case sha256Sum != "":
		sum := sha256.Sum256(header.raw)
		have, want = hex.EncodeToString(sum[:]), sha256Sum
	case sha1Sum != "":
		sum := sha1.Sum(header.raw)
		have, want = hex.EncodeToString(sum[:]), sha1Sum
	}
	if have != want {
		return payloadSum{}, fmt.Errorf("its header does not match its digest: has %s, want %q", have, want)
	}
	switch {
	case len(digests) > 0 && algorithm.len() > 0:
		newHash := map[uint64]func() hash.Hash{8: sha256.New, 9: sha512.New384, 10: sha512.New}[algorithm.at(0)]
		if newHash == nil {
			return payloadSum{}, fmt.Errorf("its payload has a digest of the kind %d, which is not known", algorithm.at(0))
		}
		return payloadSum{newHash(), digests[0]}, nil
	case md5Sum != "":
		sum := md5.New()
		sum.Write(header.raw)
		return payloadSum{sum, hex.EncodeToString([]byte(md5Sum))}, nil
	}
	return payloadSum{}, nil
}

// readRpmPayload reads the payload at off.
func (p *packageFile) readRpmPayload(off int64, files *rpmFiles, sum payloadSum) error {
	kind, err := p.rpmCompression(off)
	if err != nil {
		return err
	}
	packed := p.section(off, p.size-off)
	if sum.hash != nil {
		packed = io.TeeReader(packed, sum.hash)
	}
	u := unpack(packed, p.size-off, kind, p.limits)
	defer u.close()
	r := rpmPayload{
		files: files, cpio: cpioReader{r: u}, seen: make([]bool, len(files.paths)), groups: make(map[[2]uint64]*linkGroup),
	}
	r.walk = tarWalk{limits: p.limits, sink: p.sink, checks: files, filter: func(e *pkgmeta.Entry) bool {
		e.Mutable = e.Type == pkgmeta.Regular && files.config(files.numbers[e.Path])
		return true
	}}
	if err := r.read(u, p.size-off); err != nil {
		return err
	}
	if sum.hash == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return err
	}
	if have := hex.EncodeToString(sum.hash.Sum(nil)); have != sum.want {
		return fmt.Errorf("its payload does not match its digest: has %s, want %q", have, sum.want)
	}
	return nil
}

// rpmCompression tells how the payload is compressed by what it begins with.
func (p *packageFile) rpmCompression(off int64) (compression, error) {
	var head [6]byte
	if err := p.fullAt(head[:], off); err != nil {
		return "", fmt.Errorf("its payload: %w", err)
	}
	for _, known := range [...]struct {
		magic string
		kind  compression
	}{{"\x1f\x8b", gzipped}, {"\xfd7zXZ\x00", xzipped}, {"\x28\xb5\x2f\xfd", zstandard}, {"BZh", bzipped}, {"0707", plain}} {
		if bytes.HasPrefix(head[:], []byte(known.magic)) {
			return known.kind, nil
		}
	}
	if bytes.HasPrefix(head[:], []byte("\x5d\x00\x00")) {
		return "", errors.New("its payload is compressed with lzma; gzip, bzip2, xz and zstd can be read")
	}
	return "", fmt.Errorf("its payload begins with %q, which is no known compression", head)
}
