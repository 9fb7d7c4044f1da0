// Package p9ltest helps to test 9P2000.L servers: a client that sends what no
// honest client would, messages written as text, and a comparison with another
// server, p9.Server.
package p9ltest

import "encoding/binary"

var le = binary.LittleEndian
