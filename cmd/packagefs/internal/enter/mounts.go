package enter

import (
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// isStacked tells whether a mount is a directory of a context that is stacked on
// the root.
func isStacked(m *mount.Line) bool {
	origin, _, _ := strings.Cut(m.Source, " ")
	return m.Type == "overlay" && origin == overlaySource
}
