package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// maxParagraph bounds one package's part of a Packages file, in bytes.
const maxParagraph = 16 * mib

// ReadPackagesFile reads a Debian Packages file, plain or compressed by gzip, xz
// or zstd, as a stream, and yields what it says of each package in the file's
// order. It ends with the first error, which it yields; a line number in it
// counts the lines of the unpacked file.
func ReadPackagesFile(r io.Reader) iter.Seq2[pkgmeta.Meta, error] {
	return func(yield func(pkgmeta.Meta, error) bool) {
		err := readControl(r, func(fields map[string]string) (bool, error) {
			m, err := pkgmeta.FromControl(fields)
			if err == nil {
				err = checkMeta(m)
			}
			if err != nil {
				return false, fmt.Errorf("package %q: %w", fields["package"], err)
			}
			return yield(m, nil), nil
		})
		if err != nil {
			yield(pkgmeta.Meta{}, err)
		}
	}
}

// readControl reads paragraphs of control fields from a text that may be
// compressed, and calls each with the fields of one until it returns false or
// an error.
func readControl(r io.Reader, each func(map[string]string) (bool, error)) error {
	text, err := unpackText(r)
	if err != nil {
		return err
	}
	defer text.close()
	return paragraphs(text.out, func(paragraph []byte) (bool, error) {
		fields, err := pkgmeta.ParseControl(paragraph)
		if err != nil || len(fields) == 0 { // nothing but comments
			return err == nil, err
		}
		return each(fields)
	})
}

// unpackText opens a text that may be compressed.
func unpackText(r io.Reader) (*unpacker, error) {
	in := bufio.NewReaderSize(r, 64*kib)
	head, err := in.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	kind := plain
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		kind = gzipped
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		kind = zstandard
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		kind = xzipped
	case bytes.HasPrefix(head, []byte("\x04\x22\x4d\x18")):
		return nil, errors.New("it is compressed with lz4, as apt may keep it; unpack it first: /usr/lib/apt/apt-helper cat-file FILE")
	case bytes.HasPrefix(head, []byte("BZh")):
		return nil, errors.New("it is compressed with bzip2; only gzip, xz and zstd can be read")
	}
	// It is read a paragraph at a time: how much it unpacks to costs time only.
	return unpack(in, 1<<50, kind, Limits{}.withDefaults()), nil
}

// paragraphs calls each with the paragraphs of r, which blank lines part, until
// it returns false or an error.
func paragraphs(r *bufio.Reader, each func([]byte) (bool, error)) error {
	var text []byte
	for number, first := 1, 1; ; number++ {
		start := len(text)
		var err error
		for {
			var part []byte
			part, err = r.ReadSlice('\n')
			text = append(text, part...)
			if len(text) > maxParagraph {
				return fmt.Errorf("the paragraph from line %d on has more than %d MiB; is it a Packages file?", first, maxParagraph/mib)
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
		if err != nil && err != io.EOF {
			return err
		}
		blank := len(bytes.TrimSpace(text[start:])) == 0
		if blank {
			text = text[:start]
		}
		if len(text) > 0 && (blank || err == io.EOF) {
			more, bad := each(text)
			if bad != nil {
				return fmt.Errorf("in the paragraph from line %d on: %w", first, bad)
			}
			if !more {
				return nil
			}
			text = text[:0]
		}
		if err == io.EOF {
			return nil
		}
		if blank {
			first = number + 1
		}
	}
}
