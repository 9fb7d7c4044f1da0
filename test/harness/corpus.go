package harness

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Selection is packages of a Debian release that the tests use.
type Selection struct {
	Dir   string // below the cache
	Suite string

	// Each set is fetched with all that it depends on; packages that conflict
	// stand in sets of their own.
	Sets [][]string
}

var CorpusSets = [][]string{
	{"bash", "coreutils", "hello", "python3.11-minimal", "exim4-daemon-light"},
	{"postfix"},
}

// CorpusSelection is what most tests use.
var CorpusSelection = Selection{Dir: "debs", Suite: "bookworm", Sets: CorpusSets}

// A Corpus is a directory of real package files.
type Corpus struct {
	Dir  string
	Debs []Deb // sorted by name
}

// A Deb is a Debian package file, in the words of dpkg-deb.
type Deb struct {
	File                        string // full path
	Name, Version, Architecture string
}

// Find returns the package file of a name.
func (c *Corpus) Find(name string) (Deb, error) {
	for _, d := range c.Debs {
		if d.Name == name {
			return d, nil
		}
	}
	return Deb{}, fmt.Errorf("no package file of %s in %s", name, c.Dir)
}

// cacheDir is where fetched files stay from run to run; git ignores it. Tests run
// in the directory of their package.
func cacheDir() (string, error) {
	return filepath.Abs("../.cache")
}

// FetchCorpus returns the packages that most tests use.
func FetchCorpus(t testing.TB) *Corpus {
	t.Helper()
	return corpus.Get(t)
}

var corpus = Shared[*Corpus]{Make: func(t testing.TB) *Corpus {
	c, err := CorpusSelection.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	return c
}}

// Fetch returns the packages. They come from the cache if they are whole there, and
// from the machine's Debian mirror otherwise.
func (s Selection) Fetch() (*Corpus, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, s.Dir)
	if err := s.verify(dir); err != nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
		if err := s.download(filepath.Join(cache, "apt-"+s.Dir), dir); err != nil {
			return nil, fmt.Errorf("fetch the package files for the tests: %w", err)
		}
		if err := s.verify(dir); err != nil {
			return nil, err
		}
	}
	return s.read(dir)
}

// sumsFile ends with a line for each package file as sha256sum writes it, and
// begins with one that says which sets it was made for. It is written last.
const sumsFile = "SHA256SUMS"

func (s Selection) sumsHead() string { return fmt.Sprintf("# %s %v", s.Suite, s.Sets) }

// verify fails unless dir holds exactly what its sums file says.
func (s Selection) verify(dir string) error {
	f, err := os.Open(filepath.Join(dir, sumsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	if !lines.Scan() || lines.Text() != s.sumsHead() {
		return fmt.Errorf("%s was made for other packages", f.Name())
	}
	listed := 0
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			return fmt.Errorf("%s: not a line of sha256sum: %q", f.Name(), lines.Text())
		}
		got, err := fileSum(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if got != sum {
			return fmt.Errorf("%s: sha256 is %s, want %s", name, got, sum)
		}
		listed++
	}
	there, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	if listed == 0 || listed != len(there) {
		return fmt.Errorf("%s lists %d package files, there are %d", f.Name(), listed, len(there))
	}
	return lines.Err()
}

func fileSum(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// download fetches into dir with an apt state of its own below state, so that
// neither the machine's package lists nor what is installed matter.
func (s Selection) download(state, dir string) error {
	if err := aptState(state, "deb", s.Suite); err != nil {
		return err
	}
	for _, set := range s.Sets {
		if err := apt(state, append([]string{"install", "--download-only", "--yes", "--no-install-recommends"}, set...)...); err != nil {
			return err
		}
	}
	return s.keep(filepath.Join(state, "cache/archives"), dir)
}

// aptState makes an apt state whose only source is the machine's Debian mirror,
// for packages (deb) or their sources (deb-src), and fetches its lists.
func aptState(state, kind, suite string) error {
	mirror, err := debianMirror()
	if err != nil {
		return err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, sub), 0o755); err != nil {
			return err
		}
	}
	source := fmt.Sprintf("%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", kind, mirror, suite)
	if err := os.WriteFile(filepath.Join(state, "sources.list"), []byte(source), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(state, "status"), nil, 0o644); err != nil {
		return err
	}
	return apt(state, "update")
}

// keep moves the package files to dir and writes the sums.
func (s Selection) keep(from, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(from, "*.deb"))
	if err != nil {
		return err
	}
	sums := s.sumsHead() + "\n"
	for _, deb := range debs {
		sum, err := fileSum(deb)
		if err != nil {
			return err
		}
		base := filepath.Base(deb)
		if err := os.Rename(deb, filepath.Join(dir, base)); err != nil {
			return err
		}
		sums += sum + "  " + base + "\n"
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), []byte(sums), 0o644)
}

func apt(state string, args ...string) error {
	_, err := aptOutput(state, args...)
	return err
}

// aptOutput runs apt-get with nothing but what lies below state.
func aptOutput(state string, args ...string) (string, error) { return aptIn("", state, args...) }

// aptIn is aptOutput in a directory.
func aptIn(dir, state string, args ...string) (string, error) {
	options := []string{"-q",
		"-oDir::State::Lists=" + state + "/lists",
		"-oDir::State::status=" + state + "/status",
		"-oDir::State::extended_states=" + state + "/extended_states",
		"-oDir::Cache=" + state + "/cache",
		"-oDir::Etc::SourceList=" + state + "/sources.list",
		"-oDir::Etc::SourceParts=/dev/null",
		"-oDir::Etc::Preferences=/dev/null",
		"-oDir::Etc::PreferencesParts=/dev/null",
		"-oAPT::Sandbox::User=root",
		"-oAcquire::Languages=none",
		"-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-oAcquire::Retries=3",
	}
	cmd := exec.Command("apt-get", append(options, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// debianMirror is the first Debian archive among the machine's apt sources.
func debianMirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for _, site := range strings.Fields(string(out)) {
		site = strings.TrimSuffix(site, "/")
		if strings.HasSuffix(site, "/debian") {
			return site, nil
		}
	}
	return "", fmt.Errorf("no Debian archive among this machine's apt sources: the tests need the packages of one")
}

func (s Selection) read(dir string) (*Corpus, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return nil, err
	}
	c := &Corpus{Dir: dir}
	for _, file := range files {
		d, err := ReadDeb(file)
		if err != nil {
			return nil, err
		}
		c.Debs = append(c.Debs, d)
	}
	slices.SortFunc(c.Debs, func(a, b Deb) int { return strings.Compare(a.Name, b.Name) })
	for _, set := range s.Sets {
		for _, name := range set {
			if _, err := c.Find(name); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// ReadDeb asks dpkg-deb what a package file is.
func ReadDeb(file string) (Deb, error) {
	out, err := exec.Command("dpkg-deb", "--show", "--showformat", "${Package}\n${Version}\n${Architecture}", file).Output()
	if err != nil {
		return Deb{}, fmt.Errorf("dpkg-deb --show %s: %w", file, err)
	}
	f := strings.Split(string(out), "\n")
	if len(f) != 3 {
		return Deb{}, fmt.Errorf("dpkg-deb --show %s: %q", file, out)
	}
	return Deb{File: file, Name: f[0], Version: f[1], Architecture: f[2]}, nil
}

// AptClosure is what apt would install for a package on a machine that has
// none, from the corpus alone. dir holds the package list that it makes.
func AptClosure(dir string, c *Corpus, name string) (map[string]bool, error) {
	if _, err := os.Stat(filepath.Join(dir, "Packages")); err != nil {
		if err := makeRepository(dir, c); err != nil {
			return nil, err
		}
	}
	out, err := aptOutput(dir, "install", "--simulate", "--no-install-recommends", name)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" {
			names[f[1]] = true
		}
	}
	return names, nil
}

// makeRepository makes an apt state whose only source is the corpus.
func makeRepository(dir string, c *Corpus) error {
	list, err := exec.Command("dpkg-scanpackages", c.Dir).Output()
	if err != nil {
		return fmt.Errorf("dpkg-scanpackages: %w", err)
	}
	source := fmt.Sprintf("deb [trusted=yes] copy:%s ./\n", dir)
	for name, data := range map[string][]byte{"Packages": list, "sources.list": []byte(source), "status": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	return apt(dir, "update")
}
