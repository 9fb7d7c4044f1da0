package posix

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

func ioCases() []Case {
	return []Case{
		{"write and read", func(d *Dir) { d.file("x", "some text"); d.content(d.at("x"), "some text") }},
		{"write much", func(d *Dir) {
			big := bytes.Repeat([]byte("0123456789abcde\n"), 200_000)
			d.ok(writeFile(d, d.at("x"), big, 0o644))
			got, err := readFile(d, d.at("x"))
			if err != nil || !bytes.Equal(got, big) {
				d.Errorf("%d bytes, %v; want the %d that were written", len(got), err, len(big))
			}
		}},
		{"write at an offset", func(d *Dir) {
			fd := d.open(d.file("x", "0123456789"), unix.O_WRONLY)
			_, err := d.Pwrite(fd, []byte("AB"), 4)
			d.ok(err)
			d.content(d.at("x"), "0123AB6789")
		}},
		{"write across the end", func(d *Dir) {
			fd := d.open(d.file("x", "0123"), unix.O_WRONLY)
			_, err := d.Pwrite(fd, []byte("ABCD"), 2)
			d.ok(err)
			d.content(d.at("x"), "01ABCD")
		}},
		{"write behind the end leaves a hole", func(d *Dir) {
			fd := d.open(d.file("x", "a"), unix.O_RDWR)
			_, err := d.Pwrite(fd, []byte("b"), 10_000)
			d.ok(err)
			d.content(d.at("x"), "a"+strings.Repeat("\x00", 9_999)+"b")
		}},
		{"write at 5 GiB", func(d *Dir) { sparse(d, 5<<30) }},
		{"write at 1 TiB", func(d *Dir) { sparse(d, 1<<40) }},
		{"write nothing", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_WRONLY)
			n, err := d.Write(fd, nil)
			d.ok(err)
			equal(d, "written", n, 0)
			d.content(d.at("x"), "abc")
		}},
		{"write at the largest offset", func(d *Dir) {
			fd := d.open(d.file("x", ""), unix.O_WRONLY)
			_, err := d.Pwrite(fd, []byte("ab"), 1<<63-2)
			if err == nil {
				d.Error("it succeeds")
			}
			equal(d, "size", d.fstat(fd).Size, 0)
		}},
		{"read behind the end", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDONLY)
			n, err := d.Pread(fd, make([]byte, 10), 100)
			d.ok(err)
			equal(d, "read", n, 0)
		}},
		{"read across the end", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDONLY)
			n, err := d.Pread(fd, make([]byte, 10), 1)
			d.ok(err)
			equal(d, "read", n, 2)
		}},
		{"read at a negative offset", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDONLY)
			_, err := d.Pread(fd, make([]byte, 1), -1)
			d.is("pread", err, unix.EINVAL)
		}},
		{"read of several buffers", func(d *Dir) {
			fd := d.open(d.file("x", "abcdef"), unix.O_RDONLY)
			a, b := make([]byte, 2), make([]byte, 3)
			n, err := d.Readv(fd, [][]byte{a, b})
			d.ok(err)
			equal(d, "read", fmt.Sprintf("%d %s %s", n, a, b), "5 ab cde")
		}},
		{"write of several buffers", func(d *Dir) {
			fd := d.open(d.file("x", ""), unix.O_WRONLY)
			_, err := d.Writev(fd, [][]byte{[]byte("ab"), []byte("cde")})
			d.ok(err)
			d.content(d.at("x"), "abcde")
		}},
		{"append", func(d *Dir) {
			fd := d.open(d.file("x", "one"), unix.O_WRONLY|unix.O_APPEND)
			_, err := d.Write(fd, []byte("two"))
			d.ok(err)
			d.content(d.at("x"), "onetwo")
		}},
		{"append after another wrote", func(d *Dir) {
			fd := d.open(d.file("x", ""), unix.O_WRONLY|unix.O_APPEND)
			other := d.open(d.at("x"), unix.O_WRONLY)
			_, err := d.Write(other, []byte("first"))
			d.ok(err)
			_, err = d.Write(fd, []byte("second"))
			d.ok(err)
			d.content(d.at("x"), "firstsecond")
		}},
		{"append from two clients", appendTwo},
		{"write seen by another client", func(d *Dir) {
			a := d.open(d.file("x", "old"), unix.O_RDWR)
			d.content(d.Other+"/x", "old")
			_, err := d.Pwrite(a, []byte("new and longer"), 0)
			d.ok(err)
			soon(d, "another client sees what was written", func() bool {
				got, err := readFile(d, d.Other+"/x")
				return err == nil && string(got) == "new and longer"
			})
		}},
		{"write by many at once", writeMany},
		{"truncate to less", func(d *Dir) {
			d.file("x", "0123456789")
			d.ok(d.Truncate(d.at("x"), 4))
			d.content(d.at("x"), "0123")
		}},
		{"truncate to more", func(d *Dir) {
			d.file("x", "01")
			d.ok(d.Truncate(d.at("x"), 5))
			d.content(d.at("x"), "01\x00\x00\x00")
		}},
		{"truncate and extend shows zeros", func(d *Dir) {
			fd := d.open(d.file("x", "0123456789"), unix.O_RDWR)
			d.ok(d.Ftruncate(fd, 2))
			d.ok(d.Ftruncate(fd, 6))
			d.content(d.at("x"), "01\x00\x00\x00\x00")
		}},
		{"truncate of a missing file", func(d *Dir) { d.is("truncate", d.Truncate(d.at("x"), 0), unix.ENOENT) }},
		{"truncate of a directory", func(d *Dir) { d.is("truncate", d.Truncate(d.mkdir("x"), 0), unix.EISDIR) }},
		{"truncate to a negative size", func(d *Dir) { d.is("truncate", d.Truncate(d.file("x", ""), -1), unix.EINVAL) }},
		{"unlinked file is read and written", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDWR)
			d.ok(d.Unlink(d.at("x")))
			_, err := d.Pwrite(fd, []byte("XYZ"), 2)
			d.ok(err)
			buf := make([]byte, 10)
			n, err := d.Pread(fd, buf, 0)
			d.ok(err)
			equal(d, "content", string(buf[:n]), "abXYZ")
		}},
		{"unlinked file has no links", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDWR)
			d.ok(d.Unlink(d.at("x")))
			st := d.fstat(fd)
			equal(d, "nlink", st.Nlink, 0)
			equal(d, "size", st.Size, 3)
		}},
		{"unlinked file is truncated", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDWR)
			d.ok(d.Unlink(d.at("x")))
			d.ok(d.Ftruncate(fd, 1))
			equal(d, "size", d.fstat(fd).Size, 1)
		}},
		{"unlinked file takes a new mode", func(d *Dir) {
			fd := d.open(d.file("x", "abc"), unix.O_RDWR)
			d.ok(d.Unlink(d.at("x")))
			d.ok(d.Fchmod(fd, 0o600))
			equal(d, "mode", d.fstat(fd).Mode&07777, 0o600)
		}},
		{"unlinked file is not the next of its name", func(d *Dir) {
			fd := d.open(d.file("x", "old"), unix.O_RDWR)
			d.ok(d.Unlink(d.at("x")))
			d.file("x", "new")
			_, err := d.Pwrite(fd, []byte("OLD"), 0)
			d.ok(err)
			d.content(d.at("x"), "new")
		}},
		{"replaced file stays readable", func(d *Dir) {
			fd := d.open(d.file("x", "old"), unix.O_RDONLY)
			d.file("y", "new")
			d.ok(d.Rename(d.at("y"), d.at("x")))
			buf := make([]byte, 10)
			n, err := d.Pread(fd, buf, 0)
			d.ok(err)
			equal(d, "content", string(buf[:n]), "old")
			d.content(d.at("x"), "new")
		}},
		{"fsync", func(d *Dir) { d.ok(d.Fsync(d.open(d.file("x", "abc"), unix.O_RDWR))) }},
		{"fdatasync", func(d *Dir) { d.ok(d.Fdatasync(d.open(d.file("x", "abc"), unix.O_RDWR))) }},
		{"fsync of a file open for reading", func(d *Dir) { d.ok(d.Fsync(d.open(d.file("x", "abc"), unix.O_RDONLY))) }},
		{"fsync of a directory", func(d *Dir) { d.ok(d.Fsync(d.open(d.mkdir("x"), unix.O_RDONLY))) }},
		{"fifo carries data", fifoData},
		{"copy of a large file", func(d *Dir) {
			d.file("x", strings.Repeat("abcdefgh", 100_000))
			from, to := d.open(d.at("x"), unix.O_RDONLY), d.open(d.at("y"), unix.O_WRONLY|unix.O_CREAT)
			copied, buf := 0, make([]byte, 32<<10)
			for {
				n, err := d.Read(from, buf)
				d.ok(err)
				if n == 0 {
					break
				}
				d.ok(writeAll(d, to, buf[:n]))
				copied += n
			}
			equal(d, "copied", copied, 800_000)
			d.content(d.at("y"), strings.Repeat("abcdefgh", 100_000))
		}},
	}
}

// sparse writes a byte far out.
func sparse(d *Dir, at int64) {
	fd := d.open(d.file("x", ""), unix.O_RDWR)
	_, err := d.Pwrite(fd, []byte("far"), at)
	d.ok(err)
	st := d.fstat(fd)
	equal(d, "size", st.Size, at+3)
	if st.Blocks > 1000 {
		d.Errorf("%d blocks for three bytes", st.Blocks)
	}
	buf := make([]byte, 10)
	n, err := d.Pread(fd, buf, at-2)
	d.ok(err)
	equal(d, "content", string(buf[:n]), "\x00\x00far")
	d.ok(d.Ftruncate(fd, 1))
	equal(d, "size", d.fstat(fd).Size, 1)
}

// appendTwo appends through two mounts at once. Nothing is lost.
func appendTwo(d *Dir) {
	d.file("x", "")
	const each = 50
	// Both have it open before one writes, so that neither learns of the other's.
	files := []int{d.open(d.Path+"/x", unix.O_WRONLY|unix.O_APPEND), d.open(d.Other+"/x", unix.O_WRONLY|unix.O_APPEND)}
	var wg sync.WaitGroup
	for _, fd := range files {
		wg.Go(func() {
			for range each {
				if _, err := d.Write(fd, []byte("0123456789\n")); err != nil {
					d.Error(err)
				}
			}
		})
	}
	wg.Wait()
	fd := d.open(d.at("x"), unix.O_RDONLY)
	all := make([]byte, 3*each*11)
	n, err := d.Pread(fd, all, 0)
	d.ok(err)
	if want := strings.Repeat("0123456789\n", 2*each); string(all[:n]) != want {
		d.Errorf("%d bytes, want %d whole lines", n, 2*each)
	}
}

// writeMany has many write to their own part of a file.
func writeMany(d *Dir) {
	d.file("x", "")
	const writers, size = 8, 10_000
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			fd, err := d.Open(d.at("x"), unix.O_WRONLY, 0)
			if err != nil {
				d.Error(err)
				return
			}
			defer d.Close(fd)
			for at := 0; at < size; at += 1000 {
				if _, err := d.Pwrite(fd, bytes.Repeat([]byte{byte('a' + i)}, 1000), int64(i*size+at)); err != nil {
					d.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var want strings.Builder
	for i := range writers {
		want.WriteString(strings.Repeat(string(rune('a'+i)), size))
	}
	d.content(d.at("x"), want.String())
}

func fifoData(d *Dir) {
	d.ok(d.Mkfifo(d.at("x"), 0o644))
	sent := make(chan error, 1)
	go func() { sent <- writeFile(d, d.at("x"), []byte("through"), 0) }()
	got, err := readFile(d, d.at("x"))
	d.ok(err)
	d.ok(<-sent)
	equal(d, "received", string(got), "through")
}
