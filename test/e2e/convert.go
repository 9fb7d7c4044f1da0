package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

// conversions is how many real packages are converted, at least.
const conversions = 200

// convertSelection are packages with hard links, setuid programs, configuration
// files and long relations, beside those that other tests fetch as well.
var convertSelection = harness.Selection{Dir: "debs-more", Suite: "bookworm", Sets: [][]string{
	{"sudo", "iputils-ping", "man-db", "openssh-client", "iproute2", "rsync", "wget", "sqlite3", "jq", "tmux", "nano", "less", "file", "mount"},
}}

// convertibles are all package files of Debian that the tests have, each once,
// sorted by name.
func convertibles(t *testing.T) (debs []harness.Deb) {
	t.Helper()
	all := []harness.Selection{harness.CorpusSelection, convertSelection}
	for _, p := range harness.PythonReleases {
		all = append(all, pythonSelection(p))
	}
	seen := map[string]bool{}
	for _, s := range all {
		c, err := s.Fetch()
		harness.Must(t, err)
		for _, d := range c.Debs {
			if ref := d.Name + "=" + d.Version + " " + d.Architecture; !seen[ref] {
				seen[ref] = true
				debs = append(debs, d)
			}
		}
	}
	if len(debs) < conversions {
		t.Fatalf("there are %d package files, want %d", len(debs), conversions)
	}
	slices.SortFunc(debs, func(a, b harness.Deb) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return debs
}

// Two hundred packages of Debian become native ones: each has the tree that
// dpkg-deb makes of the original, and what contexts resolve to is the same.
func testConvert(t *testing.T) {
	debs := convertibles(t)
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	args := []string{"convert", "-o", s.Packages, "--level", "1"}
	for _, d := range debs {
		args = append(args, d.File)
	}
	_, err := harness.Command(s.Binary, args...)
	harness.Must(t, err)
	s.StartIndexed(t)
	harness.CheckAllInstalled(t, s, len(debs))
	t.Run("trees", func(t *testing.T) { checkConverted(t, s, debs) })
	list := filepath.Join(t.TempDir(), "Packages")
	t.Run("check", func(t *testing.T) {
		fields := packageFields(t, debs)
		checkVerdicts(t, s, list, fields, 0)
		// Without every ninth, most lack something, and each says what.
		var left []string
		for i, d := range debs {
			if i%9 == 4 {
				harness.Must(t, os.Remove(nativeName(s, d)))
			} else {
				left = append(left, fields[i])
			}
		}
		harness.WaitFor(t, "packages to go", func() error {
			listed, err := s.List()
			if err == nil && len(listed) != len(left) {
				err = fmt.Errorf("%d are listed, want %d", len(listed), len(left))
			}
			return err
		})
		checkVerdicts(t, s, list, left, len(left)/10)
	})
}

// nativeName is the package file that convert makes.
func nativeName(s *harness.Server, d harness.Deb) string {
	return filepath.Join(s.Packages, strings.TrimSuffix(filepath.Base(d.File), ".deb")+".pfs")
}

// checkConverted compares the tree of each package, without what it needs: its
// relations are dropped by an override.
func checkConverted(t *testing.T, s *harness.Server, debs []harness.Deb) {
	overrides := map[string]string{}
	for _, d := range debs {
		var info []struct{ Depends []string }
		harness.Must(t, s.JSON(&info, "info", d.Name+"="+d.Version))
		if len(info) != 1 {
			t.Fatalf("%s=%s is there %d times", d.Name, d.Version, len(info))
		}
		var drop []string
		for _, clause := range info[0].Depends {
			first, _, _ := strings.Cut(clause, " ")
			drop = append(drop, fmt.Sprintf("%q", strings.TrimSuffix(strings.TrimSuffix(first, ","), ":any")))
		}
		overrides[d.Name+"="+d.Version+".toml"] = "drop-depends = [" + strings.Join(drop, ", ") + "]\n"
	}
	dir := filepath.Join(s.State, "overrides")
	harness.WriteFiles(t, dir, overrides)
	_, err := s.Run("ctl", "rescan")
	harness.Must(t, err)

	const own = "usr/libexec/packagefs" // the server's program, which is everywhere
	program, err := s.Served(harness.Manifest{})
	harness.Must(t, err)
	for _, d := range debs {
		context := "package:" + d.Name + "=" + d.Version
		want, err := oracle.Package(d.File)
		harness.Must(t, err)
		got, err := harness.WalkWireWithout(s.Listen[0], context, own)
		if err != nil {
			t.Errorf("%s: %v", context, err)
			continue
		}
		want = maps.Clone(want)
		for dir := filepath.Dir(own); dir != "."; dir = filepath.Dir(dir) {
			if _, ok := want[dir]; !ok {
				want[dir] = program[dir]
			}
		}
		harness.CheckSame(t, context, want, got)
	}
	harness.Must(t, os.RemoveAll(dir))
	harness.Must(t, os.Mkdir(dir, 0o755))
	_, err = s.Run("ctl", "rescan")
	harness.Must(t, err)
}

// packageFields are the control fields of packages, as dpkg-deb prints them.
func packageFields(t *testing.T, debs []harness.Deb) (fields []string) {
	for _, d := range debs {
		out, err := exec.Command("dpkg-deb", "--field", d.File).Output()
		harness.Must(t, err)
		fields = append(fields, string(out))
	}
	return fields
}

// checkVerdicts compares what check says of a server's packages, and of the
// control fields of the originals. At least so many do not resolve.
func checkVerdicts(t *testing.T, s *harness.Server, list string, fields []string, atLeast int) {
	t.Helper()
	type verdict struct {
		Name, Version, Architecture, Reason string
		OK                                  bool
	}
	check := func(args ...string) (rows []verdict, broken int) {
		t.Helper()
		cmd := exec.Command(s.Binary, append([]string{"-s", s.Listen[0], "check", "--json"}, args...)...)
		out, err := cmd.Output() // it fails if one does not resolve
		if jsonErr := json.Unmarshal(out, &rows); jsonErr != nil {
			t.Fatalf("check %q: %v: %v", args, err, jsonErr)
		}
		slices.SortFunc(rows, func(a, b verdict) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Architecture, b.Architecture))
		})
		for _, r := range rows {
			if !r.OK {
				broken++
			}
		}
		return rows, broken
	}
	harness.Must(t, os.WriteFile(list, []byte(strings.Join(fields, "\n")), 0o644))
	want, broken := check("--packages-file", list)
	have, _ := check()
	t.Logf("of %d packages, %d do not resolve", len(want), broken)
	if len(want) != len(fields) || broken < atLeast {
		t.Errorf("of %d packages, %d do not resolve; want %d, at least %d", len(want), broken, len(fields), atLeast)
	}
	if len(have) != len(want) {
		t.Fatalf("check says something of %d packages, want %d", len(have), len(want))
	}
	for i, w := range want {
		if have[i] != w {
			t.Errorf("converted: %+v\noriginal:  %+v", have[i], w)
		}
	}
}

// A convert that is killed leaves a whole package file with its signature, or
// none.
func testConvertKill(t *testing.T) {
	const kills = 60
	dir, out, whole := t.TempDir(), t.TempDir(), t.TempDir()
	bin := harness.Program(t)
	deb, err := harness.FetchCorpus(t).Find("bash")
	harness.Must(t, err)
	_, err = harness.Command(bin, "keygen", "--no-password", filepath.Join(dir, "key"))
	harness.Must(t, err)
	convert := func(out string) *exec.Cmd {
		return exec.Command(bin, "convert", deb.File, "-o", out, "--level", "1", "--sign", filepath.Join(dir, "key.key"))
	}
	start := time.Now()
	harness.Must(t, convert(whole).Run())
	span := time.Since(start)
	name := strings.TrimSuffix(filepath.Base(deb.File), ".deb") + ".pfs"
	want, err := os.ReadFile(filepath.Join(whole, name))
	harness.Must(t, err)
	there := 0
	for round := range kills {
		cmd := convert(out)
		harness.Must(t, cmd.Start())
		time.Sleep(2 * span * time.Duration(round) / kills)
		if round < kills-1 {
			_ = cmd.Process.Kill() // it may be done
		}
		_ = cmd.Wait() // it says how it ended
		data, err := os.ReadFile(filepath.Join(out, name))
		if err == nil {
			there++
			if !bytes.Equal(data, want) {
				t.Errorf("killed after %d of %d: %d bytes, want %d", round, kills, len(data), len(want))
			}
			_, err := harness.Command(bin, "verify", filepath.Join(out, name), "--public-key", filepath.Join(dir, "key.pub"))
			harness.Must(t, err)
		}
		entries, err := os.ReadDir(out)
		harness.Must(t, err)
		for _, e := range entries {
			if base := strings.TrimSuffix(e.Name(), ".minisig"); base != name && !strings.HasPrefix(base, ".") {
				t.Errorf("killed after %d of %d: it leaves %s", round, kills, e.Name())
			}
			harness.Must(t, os.Remove(filepath.Join(out, e.Name())))
		}
	}
	t.Logf("%d of %d were done", there, kills)
	if there == 0 || there == kills {
		t.Errorf("all kills came at much the same moment: %d of %d were done", there, kills)
	}
}
