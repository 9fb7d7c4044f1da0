package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long the tests wait for what takes a moment: a socket, a
// package that is being indexed, a mount. It is no measure of speed: an emulated
// processor on a busy machine indexes for minutes.
const Patience = 5 * time.Minute

// A Server is a running packagefs serve.
type Server struct {
	Binary   string // the packagefs program
	Packages string // its package directory
	State    string // made if empty
	Contexts string // the directory of context files
	Listen   []string
	Args     []string // further arguments

	// Generated has files generated from what is in a tree. Else the trees have
	// what packages have, for comparing them with what other tools make of the
	// packages.
	Generated bool

	Users string // directory with the passwd and group that the server sees, if not the machine's

	cmd *exec.Cmd
	log *syncBuffer
}

// ServerDir makes a server's directories below dir; Start runs it.
func ServerDir(t testing.TB, binary, dir string) *Server {
	t.Helper()
	s := &Server{
		Binary:   binary,
		Packages: filepath.Join(dir, "packages"),
		State:    filepath.Join(dir, "state"),
		Contexts: filepath.Join(dir, "contexts"),
		Listen:   []string{"unix:" + filepath.Join(dir, "9p.sock")},
	}
	for _, d := range []string{s.Packages, s.State, s.Contexts} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Socket is the path of the server's unix socket.
func (s *Server) Socket() string { return strings.TrimPrefix(s.Listen[0], "unix:") }

// Start runs the server until the test ends, and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	args := []string{"serve", "--packages", s.Packages, "--state", s.State, "--contexts", s.Contexts}
	for _, l := range s.Listen {
		args = append(args, "--listen", l)
	}
	if !s.Generated {
		for _, name := range []string{"alternatives", "services", "shells", "info", "ld.so.cache"} {
			args = append(args, "--no-generate", name)
		}
	}
	args = append(args, s.Args...)
	s.log = &syncBuffer{}
	s.cmd = exec.Command(s.Binary, args...)
	if s.Users != "" {
		const private = `mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && exec "$@"`
		s.cmd = exec.Command("unshare", append([]string{"-m", "--propagation", "private", "sh", "-c", private, "sh", s.Users, s.Binary}, args...)...)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", LastBytes(s.log.String(), 4000))
		}
	})
	for _, l := range s.Listen {
		if err := WaitDial(l); err != nil {
			t.Fatalf("%v; the server's log:\n%s", err, s.log)
		}
	}
}

// StartIndexed starts the server and waits until it has read every file of the
// package directory.
func (s *Server) StartIndexed(t testing.TB) {
	t.Helper()
	s.Start(t)
	files, err := os.ReadDir(s.Packages)
	if err != nil {
		t.Fatal(err)
	}
	WaitFor(t, "every package file to be listed", func() error {
		listed, err := s.List()
		if err == nil && len(listed) < len(files) {
			err = fmt.Errorf("%d of %d are", len(listed), len(files))
		}
		return err
	})
}

// Stop ends the server as an administrator would, and fails if it does not go
// cleanly.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	timer := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the server was gone before its time: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the server, told to end: %w; its log ends with:\n%s", err, LastBytes(s.log.String(), 4000))
	}
	return nil
}

// Kill kills the server.
func (s *Server) Kill(t *testing.T) {
	t.Helper()
	Must(t, s.cmd.Process.Signal(syscall.SIGKILL))
	_ = s.cmd.Wait() // it was killed
	s.cmd = nil
}

// PID is the running server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Run runs the program against this server and returns what it printed. A
// failure carries what it printed to its standard error.
func (s *Server) Run(args ...string) (string, error) {
	cmd := exec.Command(s.Binary, append([]string{"-s", s.Listen[0]}, args...)...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("packagefs %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return string(out), err
}

// JSON runs the program with --json and decodes what it printed.
func (s *Server) JSON(v any, args ...string) error {
	out, err := s.Run(append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("packagefs %s --json: %w: %s", strings.Join(args, " "), err, LastBytes(out, 500))
	}
	return nil
}

// Listed is a line of packagefs packages.
type Listed struct {
	Name, Version, Architecture, Format, File, State, Reason string
}

// List lists the server's package files, those that were set aside among them.
func (s *Server) List() ([]Listed, error) {
	var listed []Listed
	return listed, s.JSON(&listed, "packages")
}

// WaitDial waits until somebody accepts connections at an address as --listen
// takes it.
func WaitDial(addr string) error {
	network, at, ok := strings.Cut(addr, ":")
	if !ok {
		return fmt.Errorf("%q is not an address", addr)
	}
	return Retry(func() error {
		c, err := net.Dial(network, at)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// WaitFor calls f until it succeeds, and ends the test after patience.
func WaitFor(t testing.TB, what string, f func() error) {
	t.Helper()
	if err := Retry(f); err != nil {
		t.Fatalf("waited %v for %s: %v", Patience, what, err)
	}
}

func Retry(f func() error) error {
	end := time.Now().Add(Patience)
	for {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// CopyFiles copies each file into dir under its own base name.
func CopyFiles(dir string, files ...string) error {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := DropFile(dir, filepath.Base(file), data); err != nil {
			return err
		}
	}
	return nil
}

// DropFile writes a file beside and renames it in, as one who knows does.
func DropFile(dir, name string, data []byte) error {
	beside := filepath.Join(dir, ".new-"+name)
	if err := os.WriteFile(beside, data, 0o644); err != nil {
		return err
	}
	return os.Rename(beside, filepath.Join(dir, name))
}

// Command runs a program and fails with all that it printed.
func Command(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("%w: run test/run, which installs it", err)
		}
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, LastBytes(string(out), 2000))
	}
	return string(out), nil
}

// syncBuffer collects a process's output while others read it.
type syncBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func LastBytes(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// WriteFiles writes files below dir: contents by path.
func WriteFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
