package posix

import "fmt"

// CannotFUSE has what the FUSE mount cannot do.
var CannotFUSE = map[string]string{
	"rename with exchange": "9P has no exchange of names",
}

// CannotKernel has what the mount of the Linux kernel's own client cannot do, as
// packagefs mount makes it (cache=mmap). The release is the kernel's, as uname has it.
func CannotKernel(release string) map[string]string {
	cannot := map[string]string{
		"rename with exchange":              "9P has no exchange of names",
		"rename without replacing anything": "the client knows no flags of renameat2",
		"times are set to the nanosecond":   "the client keeps whole seconds of the times that it sets",
	}
	var major, minor int
	fmt.Sscanf(release, "%d.%d", &major, &minor)
	if major > 6 || major == 6 && minor >= 12 { // not on 6.1; between the two none was tried
		cannot["append from two clients"] = "the client opens for reading and writing in place of appending, and says itself where the end is"
	}
	return cannot
}

// CannotDirect has what is not to be had over 9P without a kernel. The rest is the
// server's.
var CannotDirect = map[string]string{
	"open fifo to read without waiting":     "fifos are opened by the client's kernel, never by the server",
	"fifo carries data":                     "fifos are opened by the client's kernel, never by the server",
	"map for reading":                       "there is no kernel that maps",
	"map private is not written":            "there is no kernel that maps",
	"map shared is written":                 "there is no kernel that maps",
	"program is run":                        "there is no kernel that runs it",
	"execute bit decides":                   "9P has no access(2): a client decides by mode and owner",
	"rename without replacing":              "9P's rename has no flags",
	"rename without replacing anything":     "9P's rename has no flags",
	"rename with exchange":                  "9P's rename has no flags",
	"rename of dot":                         "a client may not send the name: EINVAL",
	"rmdir of dot dot":                      "a client may not send the name: EINVAL",
	"ftruncate of a descriptor for reading": "Tsetattr is about a file, not a descriptor; who may write it may truncate it",
	"truncate to a negative size":           "sizes have no sign on the wire: it is one too large, EFBIG",
}
