package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// NoProcess fails if a process has text in its command line.
func NoProcess(text string) error {
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

// ProcessStatus reads a line of /proc/PID/status, in bytes.
func ProcessStatus(pid int, field string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if _, err := fmt.Sscanf(line, field+": %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no %s of process %d", field, pid)
}
