// Package pfs reads and writes the native package format.
//
// A .pfs file is a tar archive compressed by zstd, and can be unpacked as such.
// It is made so that it can be read in place as well: the compression begins
// anew at the borders of files and of the chunks of big files, and a table of
// contents at the end tells where each of them is and what its digest is. The
// table has the form that zstd:chunked and eStargz gave it.
//
// # The file
//
//   - frames of zstd. Together they are the tar archive, whose first member is
//     .packagefs/package.toml, the metadata, in a frame of its own. Small files
//     share frames. A big file is cut into chunks, each in a frame of its own.
//   - a skippable frame with the table of contents: JSON, compressed by zstd
//   - a skippable frame with the seal, the SHA-256 of the table's frame
//   - a skippable frame with the footer, which tells where the table is
//
// The archive has one form only: headers are made from the table's entries, and
// reading compares what is between the contents with what would be written.
// Therefore no archive says anything else than its table.
//
// # Lifecycle
//
// A Writer takes metadata and entries, and compresses with several processors.
// Open reads table and metadata, checks that they describe the whole file, and
// returns a Table: what is needed to find and verify a chunk. It reads none of
// the contents; Walk does, all of them. A File reads contents by a Table and
// keeps what it unpacked in a Cache, which all Files share.
//
// # Locks
//
// Each shard of a Cache has a mutex, under which nothing waits.
//
// # What it refuses to do
//
// It does not interpret the metadata, and does not judge paths beyond their
// form: package pkgindex does, by the same rules as for other formats.
package pfs
