package wire

// The message types of 9P2000.L that are served. Requests are even, their replies
// the next odd number.
const (
	Rlerror      byte = 7
	Tstatfs      byte = 8
	Tlopen       byte = 12
	Tlcreate     byte = 14
	Tsymlink     byte = 16
	Tmknod       byte = 18
	Trename      byte = 20
	Treadlink    byte = 22
	Tgetattr     byte = 24
	Tsetattr     byte = 26
	Txattrwalk   byte = 30
	Txattrcreate byte = 32
	Treaddir     byte = 40
	Tfsync       byte = 50
	Tlock        byte = 52
	Tgetlock     byte = 54
	Tlink        byte = 70
	Tmkdir       byte = 72
	Trenameat    byte = 74
	Tunlinkat    byte = 76
	Tversion     byte = 100
	Tauth        byte = 102
	Tattach      byte = 104
	Tflush       byte = 108
	Twalk        byte = 110
	Tread        byte = 116
	Twrite       byte = 118
	Tclunk       byte = 120
	Tremove      byte = 122
)

// Numbers of the protocol.
const (
	NoTag = ^uint16(0) // of a Tversion
	NoFid = ^uint32(0) // where there is none

	HeaderSize = 7        // size[4] type[1] tag[2]
	QIDSize    = 13       // type[1] version[4] path[8]
	IOHeader   = 24       // what the protocol sets aside beside the data of Tread, Twrite and Treaddir
	MinMsize   = 4096     // the smallest size of messages that is agreed on
	MaxWalk    = 16       // names in a Twalk
	MaxXattr   = 64 << 10 // bytes of an extended attribute's value, and of the list of names: Linux's limit
	MaxName    = 255      // bytes of a name

	Dialect = "9P2000.L"
)

// Bits of the mask of Tgetattr and Rgetattr.
const (
	BasicMask = 0x7ff  // what struct stat has
	AllMask   = 0x3fff // what 9P2000.L knows

	DataVersionMask = 0x2000

	// StampMask is not of 9P2000.L: it asks for the stamp of a tree. Where
	// Rgetattr has it as well the data version is that.
	StampMask = 1 << 32
)

// Bits of the mask of Tsetattr.
const (
	SetMode = 1 << iota
	SetUID
	SetGID
	SetSize
	SetATime
	SetMTime
	SetCTime
	SetATimeExact // to the time that is sent, else to the server's
	SetMTimeExact
)

// Types of Tlock, Tgetlock and Rgetlock.
const (
	LockRead = iota
	LockWrite
	LockUnlock
)

// Status of Rlock.
const (
	LockSuccess = iota
	LockBlocked
)

// A Kind says how a field is coded.
type Kind uint8

const (
	KindU8 Kind = iota
	KindU16
	KindU32
	KindU64
	KindHex32   // u32, shown in hexadecimal: flags and masks
	KindHex64   // u64, likewise
	KindMode    // u32, shown in octal
	KindErrno   // u32, shown by name
	KindStr     // length[2] bytes
	KindNames   // count[2] strings
	KindQID     // type[1] version[4] path[8]
	KindQIDs    // count[2] qids
	KindData    // count[4] bytes
	KindDirents // count[4] bytes, of entries qid[13] offset[8] type[1] name[s]
)

// A Field is one part of a message's body.
type Field struct {
	Name string // as shown; empty where the value speaks for itself
	Kind Kind
}

// A Layout is the form of one message.
type Layout struct {
	Name   string
	Fields []Field
}

// Name is the name of a message, empty for one that the server does not know.
func Name(typ byte) string { return layouts[typ].Name }

// LayoutOf returns the form of a message. Its name is empty if there is none.
func LayoutOf(typ byte) Layout { return layouts[typ] }

// layouts describes every message that the server knows. Server and client code
// and decode by themselves; this is for texts of messages.
var layouts = [256]Layout{
	Rlerror:          {"Rlerror", []Field{{"", KindErrno}}},
	Tversion:         {"Tversion", []Field{{"msize", KindU32}, {"", KindStr}}},
	Tversion + 1:     {"Rversion", []Field{{"msize", KindU32}, {"", KindStr}}},
	Tauth:            {"Tauth", []Field{{"afid", KindU32}, {"uname", KindStr}, {"aname", KindStr}, {"uid", KindU32}}},
	Tattach:          {"Tattach", []Field{{"fid", KindU32}, {"afid", KindU32}, {"uname", KindStr}, {"aname", KindStr}, {"uid", KindU32}}},
	Tattach + 1:      {"Rattach", []Field{{"", KindQID}}},
	Tflush:           {"Tflush", []Field{{"oldtag", KindU16}}},
	Tflush + 1:       {"Rflush", nil},
	Twalk:            {"Twalk", []Field{{"fid", KindU32}, {"newfid", KindU32}, {"", KindNames}}},
	Twalk + 1:        {"Rwalk", []Field{{"", KindQIDs}}},
	Tstatfs:          {"Tstatfs", []Field{{"fid", KindU32}}},
	Tstatfs + 1:      {"Rstatfs", []Field{{"type", KindHex32}, {"bsize", KindU32}, {"blocks", KindU64}, {"bfree", KindU64}, {"bavail", KindU64}, {"files", KindU64}, {"ffree", KindU64}, {"fsid", KindHex64}, {"namelen", KindU32}}},
	Tlopen:           {"Tlopen", []Field{{"fid", KindU32}, {"flags", KindHex32}}},
	Tlopen + 1:       {"Rlopen", []Field{{"", KindQID}, {"iounit", KindU32}}},
	Tlcreate:         {"Tlcreate", []Field{{"fid", KindU32}, {"", KindStr}, {"flags", KindHex32}, {"mode", KindMode}, {"gid", KindU32}}},
	Tlcreate + 1:     {"Rlcreate", []Field{{"", KindQID}, {"iounit", KindU32}}},
	Tsymlink:         {"Tsymlink", []Field{{"fid", KindU32}, {"", KindStr}, {"target", KindStr}, {"gid", KindU32}}},
	Tsymlink + 1:     {"Rsymlink", []Field{{"", KindQID}}},
	Tmknod:           {"Tmknod", []Field{{"dfid", KindU32}, {"", KindStr}, {"mode", KindMode}, {"major", KindU32}, {"minor", KindU32}, {"gid", KindU32}}},
	Tmknod + 1:       {"Rmknod", []Field{{"", KindQID}}},
	Trename:          {"Trename", []Field{{"fid", KindU32}, {"dfid", KindU32}, {"", KindStr}}},
	Trename + 1:      {"Rrename", nil},
	Treadlink:        {"Treadlink", []Field{{"fid", KindU32}}},
	Treadlink + 1:    {"Rreadlink", []Field{{"", KindStr}}},
	Tgetattr:         {"Tgetattr", []Field{{"fid", KindU32}, {"mask", KindHex64}}},
	Tgetattr + 1:     {"Rgetattr", []Field{{"valid", KindHex64}, {"", KindQID}, {"mode", KindMode}, {"uid", KindU32}, {"gid", KindU32}, {"nlink", KindU64}, {"rdev", KindU64}, {"size", KindU64}, {"blksize", KindU64}, {"blocks", KindU64}, {"atime", KindU64}, {"ns", KindU64}, {"mtime", KindU64}, {"ns", KindU64}, {"ctime", KindU64}, {"ns", KindU64}, {"btime", KindU64}, {"ns", KindU64}, {"gen", KindU64}, {"data", KindU64}}},
	Tsetattr:         {"Tsetattr", []Field{{"fid", KindU32}, {"valid", KindHex32}, {"mode", KindMode}, {"uid", KindU32}, {"gid", KindU32}, {"size", KindU64}, {"atime", KindU64}, {"ns", KindU64}, {"mtime", KindU64}, {"ns", KindU64}}},
	Tsetattr + 1:     {"Rsetattr", nil},
	Txattrwalk:       {"Txattrwalk", []Field{{"fid", KindU32}, {"newfid", KindU32}, {"", KindStr}}},
	Txattrwalk + 1:   {"Rxattrwalk", []Field{{"size", KindU64}}},
	Txattrcreate:     {"Txattrcreate", []Field{{"fid", KindU32}, {"", KindStr}, {"size", KindU64}, {"flags", KindU32}}},
	Txattrcreate + 1: {"Rxattrcreate", nil},
	Treaddir:         {"Treaddir", []Field{{"fid", KindU32}, {"offset", KindU64}, {"count", KindU32}}},
	Treaddir + 1:     {"Rreaddir", []Field{{"", KindDirents}}},
	Tfsync:           {"Tfsync", []Field{{"fid", KindU32}, {"datasync", KindU32}}},
	Tfsync + 1:       {"Rfsync", nil},
	Tlock:            {"Tlock", []Field{{"fid", KindU32}, {"type", KindU8}, {"flags", KindHex32}, {"start", KindU64}, {"length", KindU64}, {"pid", KindU32}, {"client", KindStr}}},
	Tlock + 1:        {"Rlock", []Field{{"status", KindU8}}},
	Tgetlock:         {"Tgetlock", []Field{{"fid", KindU32}, {"type", KindU8}, {"start", KindU64}, {"length", KindU64}, {"pid", KindU32}, {"client", KindStr}}},
	Tgetlock + 1:     {"Rgetlock", []Field{{"type", KindU8}, {"start", KindU64}, {"length", KindU64}, {"pid", KindU32}, {"client", KindStr}}},
	Tlink:            {"Tlink", []Field{{"dfid", KindU32}, {"fid", KindU32}, {"", KindStr}}},
	Tlink + 1:        {"Rlink", nil},
	Tmkdir:           {"Tmkdir", []Field{{"dfid", KindU32}, {"", KindStr}, {"mode", KindMode}, {"gid", KindU32}}},
	Tmkdir + 1:       {"Rmkdir", []Field{{"", KindQID}}},
	Trenameat:        {"Trenameat", []Field{{"dfid", KindU32}, {"", KindStr}, {"newdfid", KindU32}, {"", KindStr}}},
	Trenameat + 1:    {"Rrenameat", nil},
	Tunlinkat:        {"Tunlinkat", []Field{{"dfid", KindU32}, {"", KindStr}, {"flags", KindHex32}}},
	Tunlinkat + 1:    {"Runlinkat", nil},
	Tread:            {"Tread", []Field{{"fid", KindU32}, {"offset", KindU64}, {"count", KindU32}}},
	Tread + 1:        {"Rread", []Field{{"", KindData}}},
	Twrite:           {"Twrite", []Field{{"fid", KindU32}, {"offset", KindU64}, {"", KindData}}},
	Twrite + 1:       {"Rwrite", []Field{{"count", KindU32}}},
	Tclunk:           {"Tclunk", []Field{{"fid", KindU32}}},
	Tclunk + 1:       {"Rclunk", nil},
	Tremove:          {"Tremove", []Field{{"fid", KindU32}}},
	Tremove + 1:      {"Rremove", nil},
}
