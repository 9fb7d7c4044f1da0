package server

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
	msgTversion:     {run: tversion},
	msgTauth:        {run: tauth},
	msgTattach:      {run: tattach},
	msgTflush:       {run: tflush},
	msgTwalk:        {run: twalk},
	msgTclunk:       {run: tclunk},
	msgTremove:      {run: tremove},
	msgTgetattr:     {run: tgetattr, pure: true},
	msgTsetattr:     {run: tsetattr},
	msgTstatfs:      {run: tstatfs, pure: true},
	msgTreadlink:    {run: treadlink, pure: true},
	msgTlopen:       {run: tlopen},
	msgTlcreate:     {run: tlcreate},
	msgTread:        {run: tread, pure: true},
	msgTwrite:       {run: twrite},
	msgTfsync:       {run: tfsync},
	msgTreaddir:     {run: treaddir, pure: true},
	msgTmkdir:       {run: tmkdir},
	msgTsymlink:     {run: tsymlink},
	msgTlink:        {run: tlink},
	msgTmknod:       {run: tmknod},
	msgTrename:      {run: trename},
	msgTrenameat:    {run: trenameat},
	msgTunlinkat:    {run: tunlinkat},
	msgTxattrwalk:   {run: txattrwalk},
	msgTxattrcreate: {run: txattrcreate},
	msgTlock:        {run: tlock},
	msgTgetlock:     {run: tgetlock, pure: true},
}
