package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

// A story is a part of the README that somebody follows from top to bottom.
type story struct {
	heading string
	user    string // who follows it
	has     bool   // packagefs and packages are there already
	said    []string
}

var stories = []story{
	{"You look after a server that many people share", "root", false, []string{"Hello, world!\nHello from the report: Hello, world!", "report: not found"}},
	{"You have programs for two Pythons", "alice", true, []string{
		"\nold-script runs in Python 2.7\nnew-script runs in Python 3.13\nold-script runs in Python 2.7\nnew-script runs in Python 3.13\n",
		"Python 3.13.5\nPython 2.7.18\n",
	}},
	{"You own a node of a cluster", "root", true, []string{"Hello, world!\nHello, world!\n"}},
}

// storyScript makes a machine for a story, in namespaces: the directories that it
// changes are copies, there are two users in a group, no process outlives it, and it
// has ports and names of sockets to itself.
const storyScript = `
set -eu
ip link set lo up
source=$1 work=$2 user=$3 story=$4 packagefs=$5
mount -t tmpfs tmpfs "$work"
copy() { # of a directory, at another
	mkdir -p "$work/$1/upper" "$work/$1/work"
	mount -t overlay overlay -o "lowerdir=$2,upperdir=$work/$1/upper,workdir=$work/$1/work" "$3"
}
mkdir "$work/source"
copy checkout "$source" "$work/source"
copy etc /etc /etc
copy var /var /var
copy usr /usr /usr
for dir in /run /srv /home; do mount -t tmpfs tmpfs "$dir"; done
groupadd lab
useradd -m -G lab -s /bin/sh alice
useradd -m -G lab -s /bin/sh bob
chmod 755 "$work"
cp -r "$work.downloads" "$work/source/downloads"
cd "$work/source"
if [ -n "$packagefs" ]; then
	cp "$packagefs" /usr/local/bin/packagefs
	mkdir /srv/packages
	cp downloads/* /srv/packages
fi
if [ "$user" != root ]; then
	mv downloads "/home/$user/"
	chown -R "$user" "/home/$user"
	cd "/home/$user"
	mkdir -m 700 -p /run/user/$(id -u "$user")
	chown "$user" /run/user/*
	exec setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set -all \
		env -i HOME="/home/$user" PATH="$PATH" bash -eu "$story"
fi
bash -eu "$story"
`

// storyBegin comes before the commands: a person does not type the next one before
// the server is there, and ends it at last.
const storyBegin = `
soon() {
	{ set +x; } 2>/dev/null
	for i in $(seq 100); do packagefs packages >/dev/null 2>&1 && break; sleep 0.2; done
	set -x
}
trap 'kill $(jobs -p)' EXIT
set -x
`

// Everything that the README's stories say can be done as it says.
func testFUSEReadme(t *testing.T) {
	harness.PythonRoot(t)
	harness.OpenFUSE(t)
	text, err := os.ReadFile("../../README.md")
	harness.Must(t, err)
	source, err := filepath.Abs("../..")
	harness.Must(t, err)
	files, err := pythons.Get(t).Files()
	harness.Must(t, err)
	hello, err := harness.FetchCorpus(t).Find("hello")
	harness.Must(t, err)
	for _, st := range stories {
		t.Run(st.heading, func(t *testing.T) {
			dir := openDir(t)
			downloads := filepath.Join(dir, "machine.downloads")
			harness.Must(t, os.Mkdir(downloads, 0o755))
			if st.user == "root" {
				harness.Must(t, harness.CopyFiles(downloads, hello.File, reportDeb(t, t.TempDir())))
			} else {
				harness.Must(t, harness.CopyFiles(downloads, files...))
			}
			out := tellStory(t, st, commandsOf(t, string(text), st.heading), source, dir)
			for _, said := range st.said {
				if !strings.Contains(withoutTrace(out), said) {
					t.Errorf("it does not print %q; all:\n%s", said, out)
				}
			}
		})
	}
}

// reportDeb is a program that needs another one.
func reportDeb(t *testing.T, dir string) string {
	return harness.MakeDeb(t, dir, harness.DebSpec{Name: "report", Control: "Depends: hello\n", Fill: func(tree string) {
		harness.WriteFiles(t, tree, map[string]string{"usr/bin/report": "#!/bin/sh\nprintf 'Hello from the report: '\nexec hello\n"})
		harness.Must(t, os.Chmod(filepath.Join(tree, "usr/bin/report"), 0o755))
	}})
}

// commandsOf are the commands of a part of the README.
func commandsOf(t *testing.T, readme, heading string) string {
	t.Helper()
	_, part, ok := strings.Cut(readme, "\n### "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no part %q", heading)
	}
	part, _, _ = strings.Cut(part, "\n##")
	var commands strings.Builder
	for i, block := range strings.Split(part, "```") {
		if code, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			commands.WriteString(code)
		}
	}
	if commands.Len() == 0 {
		t.Fatalf("the README's part %q has no commands", heading)
	}
	return commands.String()
}

// tellStory runs the commands, and ends what they left running.
func tellStory(t *testing.T, st story, commands, source, dir string) string {
	t.Helper()
	commands = strings.ReplaceAll(commands, "log &\n", "log &\nsoon\n")
	file := filepath.Join(dir, "story")
	harness.Must(t, os.WriteFile(file, []byte(storyBegin+commands), 0o644))
	work := filepath.Join(dir, "machine")
	harness.Must(t, os.Mkdir(work, 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	there := ""
	if st.has {
		there = harness.Program(t)
	}
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--net",
		"--pid", "--kill-child", "--mount-proc", "bash", "-c", storyScript, "story",
		source, work, st.user, file, there)
	cmd.Env = append(os.Environ(), "PACKAGEFS_SERVER=", "TMPDIR=/var/tmp", "GOFLAGS=-buildvcs=false -trimpath")
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}

// withoutTrace is an output without the commands that the shell shows.
func withoutTrace(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "+") {
			b.WriteString(line)
		}
	}
	return b.String()
}
