//go:build e2e || guest

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// noProcess fails if a process has text in its command line.
func noProcess(text string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return errors.New("no processes in /proc")
	}
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && bytes.Contains(line, []byte(text)) {
			return fmt.Errorf("%s: %s", name, line)
		}
	}
	return nil
}
