package main

const (
	tcpHasTCP = "a TCP connection has TCP addresses at both ends"
	forPeople = "it decides only what a log shows of a peer without an address"
	shortcut  = "it only spares looking where there is nothing"
	refused   = "find has refused the fid of an attribute before"
)

// survivors has a sentence for each mutant that no test can or need notice.
var survivors = map[string]string{
	`server/p9l/peer.go PeerOf: without a != nil in a != nil && p.Network != "pipe"`:                                    forPeople,
	`server/p9l/peer.go PeerOf: without p.Network != "pipe" in a != nil && p.Network != "pipe"`:                         forPeople,
	"server/p9l/peer.go tcpOwner: without !rok in !rok || !hok":                                                         tcpHasTCP,
	"server/p9l/peer.go tcpOwner: without !hok in !rok || !hok":                                                         tcpHasTCP,
	"server/p9l/peer.go tcpOwner: never !rok || !hok || !isOwnAddress(remote.IP)":                                       "it takes a peer on another machine; isOwnAddress is tested by itself",
	"server/p9l/peer.go tcpOwner: without !isOwnAddress(remote.IP) in !rok || !hok || !isOwnAddress(remote.IP)":         "it takes a peer on another machine; isOwnAddress is tested by itself",
	"server/p9l/peer.go socketOwner: or equal in len(f) < 10":                                                           "the kernel's rows have more fields than are read",
	"server/p9l/peer.go parseHexAddr: without perr != nil in err != nil || perr != nil":                                 "a port that is none reads as 0, which no connection has",
	"server/p9l/fid.go open: without f.xattr != nil in f.state != fidClosed || f.xattr != nil":                          refused,
	"server/p9l/fid.go remove: or equal in f.events > 0":                                                                shortcut,
	"server/p9l/request.go checkHeader: without c.tagged.Load() == 0 in c.tagged.Load() == 0 || r.typ == wire.Tversion": shortcut,
	"server/p9l/request.go later: or equal in len(frame) > smallChunk/2":                                                "it decides only where the bytes are kept",
	"server/p9l/request.go waitEvent: without q.cancel()":                                                               "a context without a deadline holds nothing once nobody has it",
	"server/p9l/lock.go conflict: or equal in h.start < first.start":                                                    "of two that begin at one byte either is the answer",
	"server/p9l/lock.go tlock: without had in had && typ != wire.LockUnlock":                                            shortcut,
	"server/p9l/lock.go tlock: without typ != wire.LockUnlock in had && typ != wire.LockUnlock":                         shortcut,
}
