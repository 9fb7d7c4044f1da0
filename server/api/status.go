package api

// A Status is what the server says of itself.
type Status struct {
	Version     string   `json:"version"`
	Generation  uint64   `json:"generation"`
	Packages    int      `json:"packages"`
	Rejected    int      `json:"rejected"`
	Indexing    int      `json:"indexing"` // package files that are waiting or being read
	Listen      []string `json:"listen"`
	Uptime      int64    `json:"uptime"` // seconds
	Connections int      `json:"connections"`

	PackageDirs []PackageDir `json:"package_dirs"`
}

// A PackageDir is where package files are dropped, as the server sees it. Who
// finds another device and inode at that path is on another machine.
type PackageDir struct {
	Path  string `json:"path"`
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
}

// The values of InstallStatus.State.
const (
	InstallRunning = "indexing"
	InstallDone    = "installed"
	InstallFailed  = "failed"
)

// An InstallStatus tells how far the installation of a directory is.
type InstallStatus struct {
	State    string   `json:"state"`
	Done     int      `json:"done"` // package files that are indexed
	Total    int      `json:"total"`
	Packages []string `json:"packages,omitempty"` // that are installed, name=version
	Reason   string   `json:"reason,omitempty"`   // why it failed; nothing is installed then
}

// A Removal tells what removing packages would do.
type Removal struct {
	Packages []string   `json:"packages"` // that go, name=version
	Breaks   []CheckRow `json:"breaks"`   // packages whose contexts resolve now and would not then
}

// A GarbageRow is something in the server's directories that nobody needs.
type GarbageRow struct {
	Path  string `json:"path"`
	What  string `json:"what"`
	Bytes int64  `json:"bytes"`
}
