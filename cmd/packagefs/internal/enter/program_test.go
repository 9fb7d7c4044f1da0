package enter

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// TestMain is also the process that a test makes a program of.
func TestMain(m *testing.M) {
	switch os.Getenv("PROGRAM") {
	case "":
		os.Exit(m.Run())
	case "branches":
		fmt.Println(branches())
	case "fails":
		fmt.Println(fails())
	}
	os.Exit(1)
}

func (p *program) say(text string) *step {
	return p.add(text, unix.SYS_WRITE, 1, p.str(text), uint64(len(text)))
}

// branches is a program that takes each kind of way from one step to another, and
// hands a result on. It returns only if the process cannot become it.
func branches() error {
	var p program
	p.say("first ")
	bad := p.add("open what is not there", unix.SYS_OPENAT, cwd, p.str("/no/such"), 0)
	p.say("WRONG ")
	there := p.say("otherwise ")
	bad.otherwise = there
	there.next = p.after(p.say("WRONG "))
	p.add("an optional step", unix.SYS_CLOSE, 1<<20).optional = true
	open := p.add("open", unix.SYS_OPENAT, cwd, p.str("/dev/null"), 0)
	p.add("write to what is open for reading", unix.SYS_WRITE, 0, p.str("x"), 1).takes(0, open)
	p.say("WRONG ")
	failure := p.say("failed ")
	p.add("become another program", unix.SYS_EXECVE, p.str("/bin/sh"),
		p.strs([]string{"sh", "-c", "echo $0 $V $$; exit 9", "arg"}), p.strs([]string{"V=env"}))
	return p.become(failure)
}

func TestProgram(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROGRAM=branches")
	out, _ := cmd.CombinedOutput()
	want := fmt.Sprintf("first otherwise failed arg env %d\n", cmd.Process.Pid)
	if string(out) != want || cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("%v, %q, want %q and status 9", cmd.ProcessState, out, want)
	}
}

// fails is a program that cannot run what it is to run. What is run in its place
// is this test again, which gives it its report.
func fails() error {
	p := &plan{contexts: &contextsDir{}, options: &Options{Context: "all", Command: []string{"x"}, Env: os.Environ()}}
	self, err := os.Open("/bin/cat")
	if err != nil {
		return err
	}
	report, err := os.Create(os.Getenv("REPORT"))
	if err != nil {
		return err
	}
	p.report, p.fd.self, p.fd.report = report, int(self.Fd()), int(report.Fd())
	for _, path := range []string{"/no/x", "/etc/passwd", "/no/y"} {
		p.program.run(path, p.program.strs(nil), p.program.strs(nil))
	}
	failure, err := p.failure()
	if err != nil {
		return err
	}
	for _, fd := range []int{p.fd.self, p.fd.report} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	return p.program.become(failure)
}

func TestFailed(t *testing.T) {
	name := t.TempDir() + "/report"
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROGRAM=fails", "REPORT="+name)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	report := func(change func([]byte) []byte) (int, string) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(change(data)); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Dup(int(f.Fd())) // Failed takes it over
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		code := Failed([]string{FailedName, fmt.Sprint(fd)}, &said)
		return code, said.String()
	}
	code, said := report(func(b []byte) []byte { return b })
	if want := "packagefs: run /etc/passwd in the context all: permission denied\n"; code != 126 || said != want {
		t.Errorf("status %d, %q, want %q; the program says %q", code, said, want, out)
	}
	for size := range 60 {
		code, said := report(func(b []byte) []byte { return b[:size*len(b)/60] })
		if code != 126 || !strings.Contains(said, "report") && !strings.Contains(said, "JSON") {
			t.Errorf("a report that is cut: status %d, %q", code, said)
		}
	}
}

func TestBelow(t *testing.T) {
	var mounts []mount.Line
	for _, p := range []string{"/", "/usr", "/usr/local", "/usr/local/x", "/usrx", "/etc/hosts", "/usr/share", "/usr/local"} {
		mounts = append(mounts, mount.Line{Point: p})
	}
	if got, want := mount.Below(mounts, "/usr"), []string{"/usr/local", "/usr/share"}; !slices.Equal(got, want) {
		t.Errorf("below /usr: %q, want %q", got, want)
	}
	if got := mount.Below(mounts, "/opt"); len(got) > 0 {
		t.Errorf("below /opt: %q", got)
	}
}

func TestServer(t *testing.T) {
	tests := []struct {
		line            mount.Line
		server, context string
	}{
		{mount.Line{Type: "9p", Source: "/run/x.sock", Options: "rw,access=user,aname=contexts,trans=unix"}, "unix:/run/x.sock", "contexts"},
		{mount.Line{Type: "overlay", Source: "packagefs:group:lab@tcp:10.0.0.1:5640"}, "tcp:10.0.0.1:5640", "group:lab"},
		{mount.Line{Type: "9p", Source: "10.0.0.1", Options: "rw,aname=all,trans=tcp,port=5640"}, "tcp:10.0.0.1:5640", "all"},
		{mount.Line{Type: "9p", Source: "10.0.0.1", Options: "rw,trans=tcp"}, "tcp:10.0.0.1:564", ""},
		{mount.Line{Type: "9p", Source: "::1", Options: "rw,aname=all,trans=tcp,port=5640"}, "tcp:[::1]:5640", "all"},
		{mount.Line{Type: "fuse.packagefs", Source: "user:a@b@unix:/run/x.sock"}, "unix:/run/x.sock", "user:a@b"},
		{mount.Line{Type: "fuse.packagefs", Source: "unix:/run/x.sock"}, "unix:/run/x.sock", ""},
	}
	for _, test := range tests {
		server, context := serverOf(&test.line)
		if server.String() != test.server || context != test.context {
			t.Errorf("%+v: %s, %q", test.line, server, context)
		}
	}
}

func TestOptions(t *testing.T) {
	l := &layers{of: map[string][]string{"usr": {`package:a\b=1`, "user:x"}}}
	want := `lowerdir=package\:a\\b=1/usr:user\:x/usr:/usr` + overlayOptions
	if got := l.options("usr", "/"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
