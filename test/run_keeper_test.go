//go:build e2e

package test

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startInside runs a shell in a context, which ends with its standard input. It
// answers each line.
func startInside(t *testing.T, v *visitor) (cmd *exec.Cmd, ask func(line string) string, end func()) {
	t.Helper()
	cmd = v.packagefs("run", "-p", "interp", "--", "sh", "-c", "while read line; do eval $line 2>&1; done")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	ask = func(line string) string {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return string(buf[:n])
	}
	if got := ask("interp"); got != "interp 2\n" {
		t.Fatalf("interp says %q", got)
	}
	return cmd, ask, func() { in.Close(); _ = cmd.Wait() }
}

// One keeper serves all entries of a user, and ends when it is not needed: not
// while somebody is in a context.
func TestRunKeeper(t *testing.T) {
	s := publicServer(t, `"interp"`, launcherDebs(t))
	visitors(t, s, func(t *testing.T, v *visitor) {
		_, ask, end := startInside(t, v)
		first := v.keepers()
		if len(first) != 1 {
			t.Fatalf("keepers: %v, want one", first)
		}
		v.says(t, "interp 2\n", "run", "-p", "interp", "--", "interp")
		if again := v.keepers(); len(again) != 1 || again[0] != first[0] {
			t.Errorf("keepers: %v, and after another entry %v", first, again)
		}
		waitFor(t, "the keeper to take no more entries", func() error {
			is, err := taken(first[0].socket)
			if err == nil && is {
				err = fmt.Errorf("there is %s", first[0].socket)
			}
			return err
		})
		if got := ask("interp"); got != "interp 2\n" || len(v.keepers()) != 1 {
			t.Errorf("when the keeper is idle, a program says %q; keepers: %v", got, v.keepers())
		}
		v.says(t, "interp 2\n", "run", "-p", "interp", "--", "interp") // has a keeper of its own
		end()
		v.checkNothingLeft(t)

		v.idle = "1h"
		_, ask, end = startInside(t, v)
		must(t, syscall.Kill(v.keepers()[0].pid, syscall.SIGTERM))
		time.Sleep(50 * time.Millisecond)
		if got := ask("interp"); got != "interp 2\n" {
			t.Errorf("when the keeper was told to end, a program says %q", got)
		}
		end()
		v.checkNothingLeft(t)
	})
}

// Whichever process is killed, nothing is left behind.
func TestRunKilled(t *testing.T) {
	s := publicServer(t, `"interp"`, launcherDebs(t))
	visitors(t, s, func(t *testing.T, v *visitor) {
		v.idle = "1h"
		cmd, _, end := startInside(t, v)
		must(t, syscall.Kill(v.keepers()[0].pid, syscall.SIGKILL))
		waitFor(t, "the keeper to be gone", func() error {
			if k := v.keepers(); len(k) > 0 {
				return fmt.Errorf("%v", k)
			}
			return nil
		})
		v.says(t, "interp 2\n", "run", "-p", "interp", "--", "interp") // by another keeper
		must(t, cmd.Process.Kill())
		end()
		for _, k := range v.keepers() {
			must(t, syscall.Kill(k.pid, syscall.SIGKILL))
		}
		v.checkNothingLeft(t)

		// At any moment of an entry, with its keeper starting.
		v.idle = "1s"
		for i := range 25 {
			cmd := v.packagefs("run", "-p", "interp", "--", "sleep", "1000")
			must(t, cmd.Start())
			time.Sleep(time.Duration(i) * 2 * time.Millisecond)
			must(t, cmd.Process.Kill())
			_ = cmd.Wait()
			if i%5 == 0 {
				for _, k := range v.keepers() {
					_ = syscall.Kill(k.pid, syscall.SIGKILL) // it may have ended
				}
			}
		}
		v.checkNothingLeft(t)
	})
}

// Many enter at once, before there is a keeper.
func TestRunMany(t *testing.T) {
	s := publicServer(t, `"prog-a", "prog-b"`, launcherDebs(t))
	visitors(t, s, func(t *testing.T, v *visitor) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				version := fmt.Sprint(1 + i%2)
				v.says(t, "interp "+version+"\n", "run", "-p", "interp="+version, "--", "interp")
			})
		}
		all.Wait()
		if k := v.keepers(); len(k) > 1 {
			t.Errorf("%d keepers", len(k))
		}
	})
}

// A context outlives a restart of the server.
func TestRunRestart(t *testing.T) {
	s := publicServer(t, `"interp"`, launcherDebs(t))
	v := newVisitor(t, s, plainUser)
	_, ask, end := startInside(t, v)
	must(t, s.Stop())
	s.StartIndexed(t)
	waitFor(t, "the context to come back", func() error {
		if got := ask("interp"); got != "interp 2\n" {
			return fmt.Errorf("interp says %q", got)
		}
		return nil
	})
	end()
}

// Somebody else who has taken the name of a user's keeper gives them no tree.
func TestRunSquatted(t *testing.T) {
	s := publicServer(t, `"interp"`, launcherDebs(t))
	v := newVisitor(t, s, plainUser)
	v.says(t, "interp 2\n", "run", "-p", "interp", "--", "interp")
	keepers := v.keepers()
	if len(keepers) != 1 {
		t.Fatalf("keepers %v, want one", keepers)
	}
	v.checkNothingLeft(t)
	l := squat(t, keepers[0].socket)
	defer l.Close()
	_, ask, end := startInside(t, v)
	if k := v.keepers(); len(k) != 1 || k[0].socket != "@" {
		t.Errorf("keepers %v, want one that only its starter knows", k)
	}
	if got := ask("interp"); got != "interp 2\n" {
		t.Errorf("interp says %q", got)
	}
	end()
}

// Where the directory of contexts is mounted already, that mount serves.
func TestRunMounted(t *testing.T) {
	s := publicServer(t, `"interp"`, launcherDebs(t))
	v, other := newVisitor(t, s, 0), newVisitor(t, s, plainUser)
	MountCommand(t, s, "contexts", t.TempDir())
	v.says(t, "interp 1\n", "run", "-p", "interp=1", "--", "interp")
	v.says(t, "interp 2\n", "run", "-p", "interp=1", "--", s.Binary, "run", "-p", "interp=2", "--", "interp")
	if k := v.keepers(); len(k) > 0 {
		t.Errorf("keepers %v, want none", k)
	}
	other.says(t, "interp 1\n", "run", "-p", "interp=1", "--", "interp")
	if k := other.keepers(); len(k) != 1 { // the mount is not for them
		t.Errorf("keepers %v, want one", k)
	}
}
