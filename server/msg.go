package server

// The message types of 9P2000.L. Requests are even, their replies the next
// odd number.
const (
	msgRlerror      byte = 7
	msgTstatfs      byte = 8
	msgTlopen       byte = 12
	msgTlcreate     byte = 14
	msgTsymlink     byte = 16
	msgTmknod       byte = 18
	msgTrename      byte = 20
	msgTreadlink    byte = 22
	msgTgetattr     byte = 24
	msgTsetattr     byte = 26
	msgTxattrwalk   byte = 30
	msgTxattrcreate byte = 32
	msgTreaddir     byte = 40
	msgTfsync       byte = 50
	msgTlock        byte = 52
	msgTgetlock     byte = 54
	msgTlink        byte = 70
	msgTmkdir       byte = 72
	msgTrenameat    byte = 74
	msgTunlinkat    byte = 76
	msgTversion     byte = 100
	msgTauth        byte = 102
	msgTattach      byte = 104
	msgTflush       byte = 108
	msgTwalk        byte = 110
	msgTread        byte = 116
	msgTwrite       byte = 118
	msgTclunk       byte = 120
	msgTremove      byte = 122
)

const (
	noTag = ^uint16(0)
	noFid = ^uint32(0)

	headerSize = 7  // size[4] type[1] tag[2]
	qidSize    = 13 // type[1] version[4] path[8]
	ioHeader   = 24 // what the protocol sets aside beside the data of Tread, Twrite and Treaddir
	minMsize   = 4096
	maxWalk    = 16 // names in a Twalk
	maxName    = 255

	dialect = "9P2000.L"
)

// Bits of the mask of Tgetattr and Rgetattr.
const (
	basicMask = 0x7ff  // what struct stat has
	allMask   = 0x3fff // what 9P2000.L knows
	// stampMask is not of 9P2000.L: it asks for the stamp of a tree. Where
	// Rgetattr has it as well the data version is that.
	stampMask = 1 << 32
)

// A fieldKind says how a field is coded.
type fieldKind uint8

const (
	kindU8 fieldKind = iota
	kindU16
	kindU32
	kindU64
	kindHex32   // u32, shown in hexadecimal: flags and masks
	kindHex64   // u64, likewise
	kindMode    // u32, shown in octal
	kindErrno   // u32, shown by name
	kindStr     // length[2] bytes
	kindNames   // count[2] strings
	kindQID     // type[1] version[4] path[8]
	kindQIDs    // count[2] qids
	kindData    // count[4] bytes
	kindDirents // count[4] bytes, of entries qid[13] offset[8] type[1] name[s]
)

// A field is one part of a message's body.
type field struct {
	name string // as shown; empty where the value speaks for itself
	kind fieldKind
}

// A layout is the form of one message.
type layout struct {
	name   string
	fields []field
}

// typeName is the name of a message, empty for one that the server does not know.
func typeName(typ byte) string { return layouts[typ].name }

// layoutOf returns the form of a message. Its name is empty if there is none.
func layoutOf(typ byte) layout { return layouts[typ] }

// layouts describes every message that the server knows, for texts of
// messages and for tests; the handlers decode by themselves.
var layouts = [256]layout{
	msgRlerror:          {"Rlerror", []field{{"", kindErrno}}},
	msgTversion:         {"Tversion", []field{{"msize", kindU32}, {"", kindStr}}},
	msgTversion + 1:     {"Rversion", []field{{"msize", kindU32}, {"", kindStr}}},
	msgTauth:            {"Tauth", []field{{"afid", kindU32}, {"uname", kindStr}, {"aname", kindStr}, {"uid", kindU32}}},
	msgTattach:          {"Tattach", []field{{"fid", kindU32}, {"afid", kindU32}, {"uname", kindStr}, {"aname", kindStr}, {"uid", kindU32}}},
	msgTattach + 1:      {"Rattach", []field{{"", kindQID}}},
	msgTflush:           {"Tflush", []field{{"oldtag", kindU16}}},
	msgTflush + 1:       {"Rflush", nil},
	msgTwalk:            {"Twalk", []field{{"fid", kindU32}, {"newfid", kindU32}, {"", kindNames}}},
	msgTwalk + 1:        {"Rwalk", []field{{"", kindQIDs}}},
	msgTstatfs:          {"Tstatfs", []field{{"fid", kindU32}}},
	msgTstatfs + 1:      {"Rstatfs", []field{{"type", kindHex32}, {"bsize", kindU32}, {"blocks", kindU64}, {"bfree", kindU64}, {"bavail", kindU64}, {"files", kindU64}, {"ffree", kindU64}, {"fsid", kindHex64}, {"namelen", kindU32}}},
	msgTlopen:           {"Tlopen", []field{{"fid", kindU32}, {"flags", kindHex32}}},
	msgTlopen + 1:       {"Rlopen", []field{{"", kindQID}, {"iounit", kindU32}}},
	msgTlcreate:         {"Tlcreate", []field{{"fid", kindU32}, {"", kindStr}, {"flags", kindHex32}, {"mode", kindMode}, {"gid", kindU32}}},
	msgTlcreate + 1:     {"Rlcreate", []field{{"", kindQID}, {"iounit", kindU32}}},
	msgTsymlink:         {"Tsymlink", []field{{"fid", kindU32}, {"", kindStr}, {"target", kindStr}, {"gid", kindU32}}},
	msgTsymlink + 1:     {"Rsymlink", []field{{"", kindQID}}},
	msgTmknod:           {"Tmknod", []field{{"dfid", kindU32}, {"", kindStr}, {"mode", kindMode}, {"major", kindU32}, {"minor", kindU32}, {"gid", kindU32}}},
	msgTmknod + 1:       {"Rmknod", []field{{"", kindQID}}},
	msgTrename:          {"Trename", []field{{"fid", kindU32}, {"dfid", kindU32}, {"", kindStr}}},
	msgTrename + 1:      {"Rrename", nil},
	msgTreadlink:        {"Treadlink", []field{{"fid", kindU32}}},
	msgTreadlink + 1:    {"Rreadlink", []field{{"", kindStr}}},
	msgTgetattr:         {"Tgetattr", []field{{"fid", kindU32}, {"mask", kindHex64}}},
	msgTgetattr + 1:     {"Rgetattr", []field{{"valid", kindHex64}, {"", kindQID}, {"mode", kindMode}, {"uid", kindU32}, {"gid", kindU32}, {"nlink", kindU64}, {"rdev", kindU64}, {"size", kindU64}, {"blksize", kindU64}, {"blocks", kindU64}, {"atime", kindU64}, {"ns", kindU64}, {"mtime", kindU64}, {"ns", kindU64}, {"ctime", kindU64}, {"ns", kindU64}, {"btime", kindU64}, {"ns", kindU64}, {"gen", kindU64}, {"data", kindU64}}},
	msgTsetattr:         {"Tsetattr", []field{{"fid", kindU32}, {"valid", kindHex32}, {"mode", kindMode}, {"uid", kindU32}, {"gid", kindU32}, {"size", kindU64}, {"atime", kindU64}, {"ns", kindU64}, {"mtime", kindU64}, {"ns", kindU64}}},
	msgTsetattr + 1:     {"Rsetattr", nil},
	msgTxattrwalk:       {"Txattrwalk", []field{{"fid", kindU32}, {"newfid", kindU32}, {"", kindStr}}},
	msgTxattrwalk + 1:   {"Rxattrwalk", []field{{"size", kindU64}}},
	msgTxattrcreate:     {"Txattrcreate", []field{{"fid", kindU32}, {"", kindStr}, {"size", kindU64}, {"flags", kindU32}}},
	msgTxattrcreate + 1: {"Rxattrcreate", nil},
	msgTreaddir:         {"Treaddir", []field{{"fid", kindU32}, {"offset", kindU64}, {"count", kindU32}}},
	msgTreaddir + 1:     {"Rreaddir", []field{{"", kindDirents}}},
	msgTfsync:           {"Tfsync", []field{{"fid", kindU32}, {"datasync", kindU32}}},
	msgTfsync + 1:       {"Rfsync", nil},
	msgTlock:            {"Tlock", []field{{"fid", kindU32}, {"type", kindU8}, {"flags", kindHex32}, {"start", kindU64}, {"length", kindU64}, {"pid", kindU32}, {"client", kindStr}}},
	msgTlock + 1:        {"Rlock", []field{{"status", kindU8}}},
	msgTgetlock:         {"Tgetlock", []field{{"fid", kindU32}, {"type", kindU8}, {"start", kindU64}, {"length", kindU64}, {"pid", kindU32}, {"client", kindStr}}},
	msgTgetlock + 1:     {"Rgetlock", []field{{"type", kindU8}, {"start", kindU64}, {"length", kindU64}, {"pid", kindU32}, {"client", kindStr}}},
	msgTlink:            {"Tlink", []field{{"dfid", kindU32}, {"fid", kindU32}, {"", kindStr}}},
	msgTlink + 1:        {"Rlink", nil},
	msgTmkdir:           {"Tmkdir", []field{{"dfid", kindU32}, {"", kindStr}, {"mode", kindMode}, {"gid", kindU32}}},
	msgTmkdir + 1:       {"Rmkdir", []field{{"", kindQID}}},
	msgTrenameat:        {"Trenameat", []field{{"dfid", kindU32}, {"", kindStr}, {"newdfid", kindU32}, {"", kindStr}}},
	msgTrenameat + 1:    {"Rrenameat", nil},
	msgTunlinkat:        {"Tunlinkat", []field{{"dfid", kindU32}, {"", kindStr}, {"flags", kindHex32}}},
	msgTunlinkat + 1:    {"Runlinkat", nil},
	msgTread:            {"Tread", []field{{"fid", kindU32}, {"offset", kindU64}, {"count", kindU32}}},
	msgTread + 1:        {"Rread", []field{{"", kindData}}},
	msgTwrite:           {"Twrite", []field{{"fid", kindU32}, {"offset", kindU64}, {"", kindData}}},
	msgTwrite + 1:       {"Rwrite", []field{{"count", kindU32}}},
	msgTclunk:           {"Tclunk", []field{{"fid", kindU32}}},
	msgTclunk + 1:       {"Rclunk", nil},
	msgTremove:          {"Tremove", []field{{"fid", kindU32}}},
	msgTremove + 1:      {"Rremove", nil},
}
