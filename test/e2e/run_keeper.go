package e2e

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

// startInside runs a shell in a context, which ends with its standard input. It
// answers each line.
func startInside(t *testing.T, v *harness.Visitor) (cmd *exec.Cmd, ask func(line string) string, end func()) {
	t.Helper()
	cmd = v.Packagefs("run", "-p", "interp", "--", "sh", "-c", "while read line; do eval $line 2>&1; done")
	in, err := cmd.StdinPipe()
	harness.Must(t, err)
	out, err := cmd.StdoutPipe()
	harness.Must(t, err)
	harness.Must(t, cmd.Start())
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
func testRunKeeper(t *testing.T) {
	s := harness.PublicServer(t, `"interp"`, harness.LauncherDebs(t))
	harness.Visitors(t, s, func(t *testing.T, v *harness.Visitor) {
		_, ask, end := startInside(t, v)
		first := v.Keepers()
		if len(first) != 1 {
			t.Fatalf("keepers: %v, want one", first)
		}
		v.Says(t, "interp 2\n", "run", "-p", "interp", "--", "interp")
		if again := v.Keepers(); len(again) != 1 || again[0] != first[0] {
			t.Errorf("keepers: %v, and after another entry %v", first, again)
		}
		harness.WaitFor(t, "the keeper to take no more entries", func() error {
			is, err := harness.Taken(first[0].Socket)
			if err == nil && is {
				err = fmt.Errorf("there is %s", first[0].Socket)
			}
			return err
		})
		if got := ask("interp"); got != "interp 2\n" || len(v.Keepers()) != 1 {
			t.Errorf("when the keeper is idle, a program says %q; keepers: %v", got, v.Keepers())
		}
		v.Says(t, "interp 2\n", "run", "-p", "interp", "--", "interp") // has a keeper of its own
		end()
		v.CheckNothingLeft(t)

		v.Idle = "1h"
		_, ask, end = startInside(t, v)
		harness.Must(t, syscall.Kill(v.Keepers()[0].PID, syscall.SIGTERM))
		time.Sleep(50 * time.Millisecond)
		if got := ask("interp"); got != "interp 2\n" {
			t.Errorf("when the keeper was told to end, a program says %q", got)
		}
		end()
		v.CheckNothingLeft(t)
	})
}

// Whichever process is killed, nothing is left behind.
func testRunKilled(t *testing.T) {
	s := harness.PublicServer(t, `"interp"`, harness.LauncherDebs(t))
	harness.Visitors(t, s, func(t *testing.T, v *harness.Visitor) {
		v.Idle = "1h"
		cmd, _, end := startInside(t, v)
		harness.Must(t, syscall.Kill(v.Keepers()[0].PID, syscall.SIGKILL))
		harness.WaitFor(t, "the keeper to be gone", func() error {
			if k := v.Keepers(); len(k) > 0 {
				return fmt.Errorf("%v", k)
			}
			return nil
		})
		v.Says(t, "interp 2\n", "run", "-p", "interp", "--", "interp") // by another keeper
		harness.Must(t, cmd.Process.Kill())
		end()
		for _, k := range v.Keepers() {
			harness.Must(t, syscall.Kill(k.PID, syscall.SIGKILL))
		}
		v.CheckNothingLeft(t)

		// At any moment of an entry, with its keeper starting.
		v.Idle = "1s"
		for i := range 25 {
			cmd := v.Packagefs("run", "-p", "interp", "--", "sleep", "1000")
			harness.Must(t, cmd.Start())
			time.Sleep(time.Duration(i) * 2 * time.Millisecond)
			harness.Must(t, cmd.Process.Kill())
			_ = cmd.Wait()
			if i%5 == 0 {
				for _, k := range v.Keepers() {
					_ = syscall.Kill(k.PID, syscall.SIGKILL) // it may have ended
				}
			}
		}
		v.CheckNothingLeft(t)
	})
}

// Many enter at once, before there is a keeper.
func testRunMany(t *testing.T) {
	s := harness.PublicServer(t, `"prog-a", "prog-b"`, harness.LauncherDebs(t))
	harness.Visitors(t, s, func(t *testing.T, v *harness.Visitor) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				version := fmt.Sprint(1 + i%2)
				v.Says(t, "interp "+version+"\n", "run", "-p", "interp="+version, "--", "interp")
			})
		}
		all.Wait()
		if k := v.Keepers(); len(k) > 1 {
			t.Errorf("%d keepers", len(k))
		}
	})
}

// A context outlives a restart of the server.
func testRunRestart(t *testing.T) {
	s := harness.PublicServer(t, `"interp"`, harness.LauncherDebs(t))
	v := harness.NewVisitor(t, s, harness.PlainUser)
	_, ask, end := startInside(t, v)
	harness.Must(t, s.Stop())
	s.StartIndexed(t)
	harness.WaitFor(t, "the context to come back", func() error {
		if got := ask("interp"); got != "interp 2\n" {
			return fmt.Errorf("interp says %q", got)
		}
		return nil
	})
	end()
}

// Somebody else who has taken the name of a user's keeper gives them no tree.
func testRunSquatted(t *testing.T) {
	s := harness.PublicServer(t, `"interp"`, harness.LauncherDebs(t))
	v := harness.NewVisitor(t, s, harness.PlainUser)
	v.Says(t, "interp 2\n", "run", "-p", "interp", "--", "interp")
	keepers := v.Keepers()
	if len(keepers) != 1 {
		t.Fatalf("keepers %v, want one", keepers)
	}
	v.CheckNothingLeft(t)
	l := harness.Squat(t, keepers[0].Socket)
	defer l.Close()
	_, ask, end := startInside(t, v)
	if k := v.Keepers(); len(k) != 1 || k[0].Socket != "@" {
		t.Errorf("keepers %v, want one that only its starter knows", k)
	}
	if got := ask("interp"); got != "interp 2\n" {
		t.Errorf("interp says %q", got)
	}
	end()
}

// Where the directory of contexts is mounted already, that mount serves.
func testRunMounted(t *testing.T) {
	s := harness.PublicServer(t, `"interp"`, harness.LauncherDebs(t))
	v, other := harness.NewVisitor(t, s, 0), harness.NewVisitor(t, s, harness.PlainUser)
	harness.MountCommand(t, s, "contexts", t.TempDir())
	v.Says(t, "interp 1\n", "run", "-p", "interp=1", "--", "interp")
	v.Says(t, "interp 2\n", "run", "-p", "interp=1", "--", s.Binary, "run", "-p", "interp=2", "--", "interp")
	if k := v.Keepers(); len(k) > 0 {
		t.Errorf("keepers %v, want none", k)
	}
	other.Says(t, "interp 1\n", "run", "-p", "interp=1", "--", "interp")
	if k := other.Keepers(); len(k) != 1 { // the mount is not for them
		t.Errorf("keepers %v, want one", k)
	}
}
