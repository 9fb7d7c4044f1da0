package union

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// An Origin says what an edited file was copied from.
type Origin struct {
	Package string
	Version string
	Digest  [32]byte // SHA-256 of the content
}

// originName is the attribute that has the origin of a copy.
const originName = "origin"

// originJSON is an Origin as the layer keeps it.
type originJSON struct {
	Package string `json:"package"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // hexadecimal
}

func (m *Mutable) recordOrigin(fd int, o *Origin) error {
	value, err := json.Marshal(originJSON{o.Package, o.Version, hex.EncodeToString(o.Digest[:])})
	if err != nil {
		return err
	}
	return m.setOwn(fd, m.names.own+originName, value)
}

// parseOrigin reads what recordOrigin wrote.
func parseOrigin(value []byte) (*Origin, error) {
	var j originJSON
	if err := json.Unmarshal(value, &j); err != nil {
		return nil, fmt.Errorf("origin: %w", err)
	}
	o := &Origin{Package: j.Package, Version: j.Version}
	if n, err := hex.Decode(o.Digest[:], []byte(j.Digest)); err != nil || n != len(o.Digest) {
		return nil, fmt.Errorf("origin: %q is no digest", j.Digest)
	}
	return o, nil
}
