package linediff

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// git runs git, which exits with a number that is told, and returns what it prints.
func git(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 128 {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return string(out), 0
}

// write puts texts into files and returns the directory that has them.
func write(t *testing.T, texts map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// config makes the text of a configuration file: sections of settings, comments
// and empty lines, of which many are the same.
func config(rng *rand.Rand, lines int) []string {
	text := make([]string, 0, lines)
	for len(text) < lines {
		switch n := rng.Intn(10); {
		case n < 2:
			text = append(text, "\n")
		case n < 4:
			text = append(text, "#\n")
		case n < 5:
			text = append(text, "#Default:\n", "# none\n")
		case n < 8:
			text = append(text, fmt.Sprintf("#\tThe option %d is about %d.\n", rng.Intn(lines), rng.Intn(50)))
		default:
			text = append(text, fmt.Sprintf("option_%d %d\n", rng.Intn(lines), rng.Intn(3)))
		}
	}
	return text[:lines]
}

// edited changes a text at about so many places.
func edited(rng *rand.Rand, lines []string, places int, who string) []string {
	var out []string
	for i := 0; i < len(lines); {
		if rng.Intn(len(lines)) >= places {
			out = append(out, lines[i])
			i++
			continue
		}
		i += rng.Intn(4)
		for k := range rng.Intn(4) {
			switch rng.Intn(3) {
			case 0:
				out = append(out, fmt.Sprintf("option_%s_%d %d\n", who, i, k))
			case 1:
				out = append(out, "#\n")
			default:
				out = append(out, lines[rng.Intn(len(lines))])
			}
		}
	}
	return out
}

func joined(lines []string) []byte { return []byte(strings.Join(lines, "")) }
