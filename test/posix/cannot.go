package posix

// CannotFUSE has what the FUSE mount cannot do.
var CannotFUSE = map[string]string{
	"rename with exchange": "9P has no exchange of names",
}

// CannotKernel has what the mount of the Linux kernel's own client cannot do.
var CannotKernel = map[string]string{
	"rename with exchange":              "9P has no exchange of names",
	"rename without replacing anything": "the client knows no flags of renameat2",
	"times are set to the nanosecond":   "the client keeps whole seconds of the times that it sets",
}
