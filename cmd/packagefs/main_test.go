package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/demo"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/enter"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/local"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"packagefs": main, local.LauncherName: main, enter.KeeperName: main, enter.TryName: main, enter.FailedName: main,
		mount.GuardName: main,
	})
}

// TestScripts runs the program as users do. The scripts mount with FUSE, which
// this machine must have.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("PACKAGEFS_SERVER", "unix:"+env.WorkDir+"/9p.sock")
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state-home")
			env.Defer(func() { unmountBelow(t, env.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"package": writePackages,
			"soon":    soon,
			"web":     web,
		},
	})
}

// unmountBelow takes away what a script that failed left mounted.
func unmountBelow(t *testing.T, dir string) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], dir+"/") {
			if err := mount.Unmount(f[1], true); err != nil {
				t.Error(err)
			}
		}
	}
}

// writePackages is the script command "package DIR FILE...": it writes package
// files of the demonstration into a directory, all for no FILE.
func writePackages(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: package DIR [FILE...]")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	count := 0
	for _, p := range append(demo.Packages, demo.Hello) {
		if len(args) > 1 && !strings.Contains(strings.Join(args[1:], " "), p.File) {
			continue
		}
		count++
		_, err := p.Write(dir)
		ts.Check(err)
	}
	if count == 0 || len(args) > 1 && count != len(args)-1 {
		ts.Fatalf("package: %d package files for %q", count, args)
	}
}

// web is the script command "web DIR": it serves a directory over HTTP at $WEB
// until the script ends.
func web(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: web DIR")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(server.Close)
	ts.Setenv("WEB", server.URL)
}

// soon is the script command "soon [!] PROGRAM ARGS...": it waits until the
// program succeeds, or fails after "!".
func soon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: soon [!] PROGRAM ARGS...")
	}
	wantFail := args[0] == "!"
	if wantFail {
		args = args[1:]
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if (err != nil) == wantFail {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("never: %q: %v", args, err)
		}
	}
}

func TestExitStatus(t *testing.T) {
	t.Setenv("PACKAGEFS_SERVER", "unix:"+t.TempDir()+"/none")
	cases := []struct {
		args   string
		code   int
		output string // in one of the two
	}{
		{"--help", 0, "Look into a tree"},
		{"ls --help", 0, "Examples:"},
		{"version", 0, "packagefs "},
		{"", 2, "expected one of"},
		{"nonsense", 2, "unexpected argument nonsense"},
		{"ls --nonsense", 2, "unknown flag --nonsense"},
		{"cat", 2, "expected"},
		{"tree --depth=-1", 2, "not a number of levels"},
		{"packages [", 2, "not a pattern"},
		{"-s http://x ls", 2, "want unix:PATH or tcp:HOST:PORT"},
		{"serve --listen nowhere", 2, "want unix:PATH or tcp:HOST:PORT"},
		{"serve --max-fids=-1", 2, "cannot be negative"},
		{"serve --max-msize=1T", 2, "not a number of bytes"},
		{"serve --trust-network=home", 2, "home"},
		{"serve --admin=", 2, "not the name of a user or group"},
		{"serve --admin=users:x", 2, "not the name of a user or group"},
		{"events --lines=-1", 2, "not a number of events"},
		{"mount --kernel --fuse .", 2, "can't be used together"},
		{"explain a b", 2, "want [CONTEXT] [PATH]"},
		{"explain -c a b", 2, "--context says a"},
		{"completion tcsh", 2, "bash"},
		{"ls /", 1, "start it with: packagefs serve --packages DIR"},
		{"ctl help", 1, "start it with: packagefs serve --packages DIR"},
		{"events -f", 1, "start it with: packagefs serve --packages DIR"},
		{"packages", 1, "start it with: packagefs serve --packages DIR"},
		{"mount .", 1, "start it with: packagefs serve --packages DIR"},
		{"-c package:a,b mount .", 1, "has a comma"},
		{"umount .", 1, "nothing is mounted there"},
		{"umount /proc", 1, "use umount(8)"},
	}
	for _, c := range cases {
		var out, errs bytes.Buffer
		code := run(strings.Fields(c.args), strings.NewReader(""), &out, &errs)
		if both := out.String() + errs.String(); code != c.code || !strings.Contains(both, c.output) {
			t.Errorf("packagefs %s: status %d, want %d and %q:\n%s", c.args, code, c.code, c.output, both)
		}
		if code != 0 && (out.Len() > 0 || !strings.HasPrefix(errs.String(), "packagefs: ")) {
			t.Errorf("packagefs %s: standard output %q, standard error %q", c.args, &out, &errs)
		}
	}
}

// TestCompletionBash lets bash itself complete command lines.
func TestCompletionBash(t *testing.T) {
	var script, errs bytes.Buffer
	if code := run([]string{"completion", "bash"}, nil, &script, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	for line, want := range map[string]string{
		"packagefs st":                         "stat",
		"packagefs -s unix:/x expl":            "explain",
		"packagefs ls --js":                    "--json",
		"packagefs -c all ls --serv":           "--server",
		"packagefs completion z":               "zsh",
		"packagefs serve --log-level tr":       "trace",
		"packagefs stat --pack":                "",
		"packagefs --server explain completio": "completion",
	} {
		words := strings.Fields(line)
		cmd := exec.Command("bash", "-c", script.String()+`
			COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _packagefs; echo "${COMPREPLY[*]}"`, "bash")
		cmd.Args = append(cmd.Args, words...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q completes to %q, %v; want %q", line, got, err, want)
		}
	}
}

// TestCompletionAll has every command and flag in every script.
func TestCompletionAll(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		if code := run([]string{"completion", shell}, nil, &out, &out); code != 0 {
			t.Fatal(out.String())
		}
		for _, want := range []string{"serve", "explain", "umount", "trust-network", "lazy", "context"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %s", shell, want)
			}
		}
		if strings.Contains(out.String(), "ready-fd") {
			t.Errorf("%s: completes a hidden flag", shell)
		}
	}
}
