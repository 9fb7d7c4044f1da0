package p9l

import "github.com/packagefs/packagefs/server/p9l/wire"

// A handler answers one kind of request: it decodes the body, and begins and
// fills the reply, or returns an error. It runs in the reader first; where it
// would have to block then, it returns errLater before it has any effect, and
// is run again in a worker. A body that does not decode is errMalformed in the
// reader already.
type handler struct {
	run func(*request) error
	// pure says that the request changes nothing, neither in the tree nor in
	// the session. A Tflush does not wait for such a request.
	pure bool
}

// handlers has no entry for what is answered with EOPNOTSUPP.
var handlers = [256]handler{
	wire.Tversion:     {run: tversion},
	wire.Tauth:        {run: tauth},
	wire.Tattach:      {run: tattach},
	wire.Tflush:       {run: tflush},
	wire.Twalk:        {run: twalk},
	wire.Tclunk:       {run: tclunk},
	wire.Tremove:      {run: tremove},
	wire.Tgetattr:     {run: tgetattr, pure: true},
	wire.Tsetattr:     {run: tsetattr},
	wire.Tstatfs:      {run: tstatfs, pure: true},
	wire.Treadlink:    {run: treadlink, pure: true},
	wire.Tlopen:       {run: tlopen},
	wire.Tlcreate:     {run: tlcreate},
	wire.Tread:        {run: tread, pure: true},
	wire.Twrite:       {run: twrite},
	wire.Tfsync:       {run: tfsync},
	wire.Treaddir:     {run: treaddir, pure: true},
	wire.Tmkdir:       {run: tmkdir},
	wire.Tsymlink:     {run: tsymlink},
	wire.Tlink:        {run: tlink},
	wire.Tmknod:       {run: tmknod},
	wire.Trename:      {run: trename},
	wire.Trenameat:    {run: trenameat},
	wire.Tunlinkat:    {run: tunlinkat},
	wire.Txattrwalk:   {run: txattrwalk},
	wire.Txattrcreate: {run: txattrcreate},
	wire.Tlock:        {run: tlock},
	wire.Tgetlock:     {run: tgetlock, pure: true},
}
