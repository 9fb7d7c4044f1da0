package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Guest is a virtual machine that runs the guest's tests. This machine's files are
// its root.
type Guest struct {
	Kernel  *Kernel           // in QEMU; nil is that of User Mode Linux
	Binary  string            // the guest's tests as a program
	Env     map[string]string // for the guest's tests
	Memory  string            // as the machine wants it; 1G where empty
	Timeout time.Duration     // from boot to halt; ten minutes where zero, and an hour in QEMU
}

// outcome is what the guest reported of one test.
type outcome struct {
	Action string // pass, fail or skip
	output strings.Builder
}

// Run boots the guest, has it run the group, and reports each of its tests as a
// subtest of t. It fails where one that was planned did not report.
func (g Guest) Run(t *testing.T, group Group) {
	t.Helper()
	dir := t.TempDir()
	console, err := g.Boot(dir, group)
	if err != nil {
		t.Errorf("%v\nthe guest's console ended with:\n%s", err, Tail(console, 60))
	}
	outcomes, order, err := ReadOutcomes(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range group.Tests {
		if outcomes[group.Path(name)] == nil {
			t.Errorf("%s was planned and did not report", name)
		}
	}
	for _, name := range order {
		if short, ok := strings.CutPrefix(name, group.Path("")); ok {
			t.Run(short, func(t *testing.T) { reportOutcome(t, outcomes[name]) })
		}
	}
	if t.Failed() {
		out, _ := os.ReadFile(filepath.Join(dir, "out"))
		t.Logf("the guest's tests ended with:\n%s", Tail(out, 60))
	}
}

func reportOutcome(t *testing.T, o *outcome) {
	switch o.Action {
	case "pass":
		t.Log(o.output.String())
	case "":
		t.Errorf("did not end:\n%s", o.output.String())
	default:
		t.Errorf("%s:\n%s", o.Action, o.output.String())
	}
}

// Boot runs the machine until it halts, and returns what its console showed. The
// tests' output is in the file out in dir.
func (g Guest) Boot(dir string, group Group) ([]byte, error) {
	script := filepath.Join(dir, "init")
	if err := os.WriteFile(script, []byte(g.script(dir, group.pattern())), 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout())
	defer cancel()
	machine := g.uml
	if g.Kernel != nil {
		machine = g.qemu
	}
	cmd, stop, err := machine(ctx, dir, script)
	if err != nil {
		return nil, err
	}
	defer stop()
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	err = inGroup(cmd).Run()
	if cmd.Process != nil {
		_ = killGroup(cmd.Process.Pid)
	}
	if ctx.Err() != nil {
		return console.Bytes(), fmt.Errorf("the guest did not halt within %v and was killed", g.timeout())
	}
	status, readErr := os.ReadFile(filepath.Join(dir, "status"))
	switch {
	case readErr != nil:
		return console.Bytes(), fmt.Errorf("the guest ended without a result (%v)", err)
	case strings.TrimSpace(string(status)) != "0":
		return console.Bytes(), fmt.Errorf("the guest's tests ended with status %s", strings.TrimSpace(string(status)))
	}
	return console.Bytes(), nil
}

// inGroup gives a machine's processes, which are processes here, a group of their
// own, so that none outlives the machine.
func inGroup(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func killGroup(pid int) error {
	err := syscall.Kill(-pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// script is the machine's init. It becomes the test program, so that the
// tests are the first process: if they die, the machine stops at once.
func (g Guest) script(dir, pattern string) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	set := func(name, value string) { fmt.Fprintf(&b, "export %s=%s\n", name, shellQuote(value)) }
	set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	set("GUEST_STATUS", filepath.Join(dir, "status"))
	set("HOME", "/root")
	if g.Kernel != nil {
		set(GuestKernelEnv, g.Kernel.Release)
	}
	for name, value := range g.Env {
		set(name, value)
	}
	limit := g.timeout() - 10*time.Second
	fmt.Fprintf(&b, "cd /\nexec %s -test.v=test2json -test.timeout=%s -test.run=%s >%s 2>&1 </dev/null\n",
		shellQuote(g.Binary), limit, shellQuote(pattern), shellQuote(filepath.Join(dir, "out")))
	return b.String()
}

func (g Guest) timeout() time.Duration {
	switch {
	case g.Timeout > 0:
		return g.Timeout
	case g.Kernel != nil: // an emulated processor
		return time.Hour
	}
	return 10 * time.Minute
}

func (g Guest) memory() string {
	if g.Memory == "" {
		return "1G"
	}
	return g.Memory
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// ReadOutcomes reads what the tests wrote, by way of go tool test2json, and
// returns the outcomes and the order in which the tests began.
func ReadOutcomes(file string) (map[string]*outcome, []string, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("the guest's tests wrote nothing: %w", err)
	}
	defer in.Close()
	cmd := exec.Command("go", "tool", "test2json")
	cmd.Stdin = in
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go tool test2json: %w", err)
	}
	outcomes := map[string]*outcome{}
	var order []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, nil, err
		}
		if e.Test == "" {
			continue
		}
		o := outcomes[e.Test]
		if o == nil {
			o = &outcome{}
			outcomes[e.Test] = o
			order = append(order, e.Test)
		}
		switch e.Action {
		case "pass", "fail", "skip":
			o.Action = e.Action
		case "output":
			o.output.WriteString(e.Output)
		}
	}
	return outcomes, order, lines.Err()
}

// Tail returns the last n lines.
func Tail(text []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) > n {
		lines = append([]string{"(" + strconv.Itoa(len(lines)-n) + " lines before)"}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}
