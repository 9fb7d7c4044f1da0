package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

const (
	enterRounds = 15
	enterStarts = 20 // in one round
)

// BenchmarkEnter starts programs in contexts, as an ordinary user, in turns with
// bubblewrap, which makes the same namespaces and mounts less.
func BenchmarkEnter(b *testing.B) {
	for b.Loop() {
		benchEnter(b)
	}
}

func benchEnter(b *testing.B) {
	s := harness.PublicServer(b, `"quick"`, func(dir string) {
		harness.MakeDeb(b, dir, harness.DebSpec{Name: "hidden", Fill: func(tree string) { harness.WriteFiles(b, tree, map[string]string{"usr/share/hidden": ""}) }})
		harness.MakeDeb(b, dir, harness.DebSpec{Name: "quick", Control: "Depends: hidden\n", Fill: func(tree string) {
			data, err := os.ReadFile("/usr/bin/true")
			if err != nil {
				b.Fatal(err)
			}
			harness.WriteFiles(b, tree, map[string]string{"usr/bin/quick": string(data)})
			if err := os.Chmod(filepath.Join(tree, "usr/bin/quick"), 0o755); err != nil {
				b.Fatal(err)
			}
		}})
	})
	v := harness.NewVisitor(b, s, harness.PlainUser)
	v.Idle = "10s"
	loop := func(command string) []string {
		return []string{"sh", "-c", fmt.Sprintf("i=%d; while [ $i -gt 0 ]; do i=$((i-1)); %s || exit 1; done", enterStarts, command)}
	}
	ways := []struct {
		name string
		cmd  func() *exec.Cmd
	}{
		{"bwrap --ro-bind / / true", func() *exec.Cmd { return v.Command(loop("bwrap --ro-bind / / true")...) }},
		{"packagefs run -p quick -- true", func() *exec.Cmd { return v.Command(loop(s.Binary + " run -p quick -- true")...) }},
		{"a program by its launcher", func() *exec.Cmd { return v.Packagefs(append([]string{"shell", "--"}, loop("quick")...)...) }},
	}
	times, ratios := make([][]float64, len(ways)), make([][]float64, len(ways))
	for round := range enterRounds + 1 {
		for i, w := range ways {
			cmd := w.cmd()
			start := time.Now()
			if status, out, errOut := harness.Finish(cmd); status != 0 {
				b.Fatalf("%s: status %d, %q, %q", w.name, status, out, errOut)
			}
			if round > 0 { // the first starts the keeper and fills caches
				times[i] = append(times[i], float64(time.Since(start).Microseconds())/1000/enterStarts)
				ratios[i] = append(ratios[i], times[i][round-1]/times[0][round-1])
			}
		}
	}
	fmt.Printf("\n| start of | ms | ratio |\n|---|---:|---:|\n")
	for i, w := range ways {
		name := w.name
		if strings.Contains(name, " --") {
			name = "`" + name + "`"
		}
		fmt.Printf("| %s | %.1f | %.1f |\n", name, harness.Median(times[i]), harness.Median(ratios[i]))
	}
	fmt.Printf("\nMedians of %d rounds of %d starts, one after the other.\n", enterRounds, enterStarts)
}
