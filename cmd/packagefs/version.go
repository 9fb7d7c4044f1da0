package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
)

// VersionCmd prints the version.
type VersionCmd struct {
	JSON bool `help:"Print one object."`
}

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Modified bool   `json:"modified,omitempty"` // the source was changed after it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readVersion tells what the program was built from.
func readVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if bi.Main.Version != "" {
		v.Version = bi.Main.Version
	}
	for _, s := range bi.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (c *VersionCmd) Run(env *cli.Env) error {
	v := readVersion()
	if c.JSON {
		return cli.PrintObject(env.Stdout, v)
	}
	revision := ""
	if v.Revision != "" {
		revision = " " + v.Revision
	}
	if v.Modified {
		revision += " (modified)"
	}
	_, err := fmt.Fprintf(env.Stdout, "packagefs %s%s %s %s\n", v.Version, revision, v.Go, v.Platform)
	return err
}
