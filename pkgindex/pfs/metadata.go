package pfs

import (
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// Metadata is what package.toml says. Relations are written as in Debian, a
// clause or several in each string; names that Debian could not write stand in
// double quotes. Paths begin with a slash.
type Metadata struct {
	Name         string `toml:"name"`
	Version      string `toml:"version"`
	Architecture string `toml:"architecture"`

	Summary     string `toml:"summary,omitempty"` // one line
	Description string `toml:"description,omitempty,multiline"`
	Licence     string `toml:"licence,omitempty"`
	Homepage    string `toml:"homepage,omitempty"`
	Maintainer  string `toml:"maintainer,omitempty"`
	Source      string `toml:"source,omitempty"` // the source package

	Depends   []string `toml:"depends,omitempty"`
	Provides  []string `toml:"provides,omitempty"`
	Conflicts []string `toml:"conflicts,omitempty"`
	Replaces  []string `toml:"replaces,omitempty"`

	// VersionScheme says how versions are ordered: debian, which is the default,
	// alpine, pacman or rpm.
	VersionScheme string `toml:"version-scheme,omitempty"`
	MultiArch     string `toml:"multi-arch,omitempty"`
	Essential     bool   `toml:"essential,omitempty"`

	Services []string `toml:"services,omitempty"` // beside those that the files tell of
	Mutable  []string `toml:"mutable,omitempty"`  // globs of paths that users may change

	// By path: targets of symlinks to add, capabilities as setcap takes them
	// (cap_net_raw=ep), and extended attributes by name.
	Links        map[string]string            `toml:"links,omitempty"`
	Capabilities map[string]string            `toml:"capabilities,omitempty"`
	Xattrs       map[string]map[string]string `toml:"xattrs,omitempty"`

	Root *Root `toml:"root,inline,omitempty"` // the top directory; 0755 and root's where it is nil
}

// Root is what the archive has no member for.
type Root struct {
	Mode string `toml:"mode"` // octal: 0755
	UID  uint32 `toml:"uid,omitempty"`
	GID  uint32 `toml:"gid,omitempty"`
	Time int64  `toml:"time"` // modification time, as in Entry
}

// Encode returns the text of package.toml.
func (m *Metadata) Encode() ([]byte, error) {
	text, err := toml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode package.toml: %w", err)
	}
	return text, nil
}
