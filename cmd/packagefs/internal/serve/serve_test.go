package serve

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/rs/zerolog"
)

func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@packagefs-test-" + t.Name()} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		if err := notify("READY=1"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := l.Read(buf)
		if err != nil || string(buf[:n]) != "READY=1" {
			t.Errorf("%s: the service manager reads %q, %v", name, buf[:n], err)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "missing"))
	if err := notify("READY=1"); err == nil {
		t.Error("a service manager that is not there is told")
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify("READY=1"); err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	type call struct {
		second      float64
		done, total int
	}
	for name, c := range map[string]struct {
		calls []call
		want  []string
	}{
		"fast": {[]call{{0, 0, 2}, {0.4, 1, 2}, {0.8, 2, 2}}, nil},
		"slow": {
			[]call{{0, 0, 9}, {0.5, 1, 9}, {1.5, 2, 9}, {2, 3, 9}, {3.6, 5, 9}, {4, 9, 9}, {5, 9, 9}},
			[]string{`"done":2,"of":9`, `"done":5,"of":9`, `"package-files":9`},
		},
		"twice": {
			[]call{{0, 0, 2}, {0.4, 2, 2}, {100, 2, 3}, {102, 2, 3}, {103, 3, 3}},
			[]string{`"done":2,"of":3`, `"package-files":3`},
		},
	} {
		var log bytes.Buffer
		var now time.Time
		p := progress{log: zerolog.New(&log), now: func() time.Time { return now }}
		for _, at := range c.calls {
			now = time.Unix(1000, 0).Add(time.Duration(at.second * float64(time.Second)))
			p.report(at.done, at.total)
		}
		lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
		if log.Len() == 0 {
			lines = nil
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: log\n%s", name, &log)
			continue
		}
		for i, w := range c.want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("%s: line %d is %s, want %s", name, i, lines[i], w)
			}
		}
	}
}

// TestServeConfig has the flags arrive where they belong.
func TestServeConfig(t *testing.T) {
	t.Setenv("PACKAGEFS_SERVER", "")
	args := strings.Fields(`serve --packages a,b --packages c --state s --contexts x --overrides o
		--listen unix:/x,y --listen tcp:[::1]:5 --trust-network 10.0.0.0/8 --trust-network fd00::/8
		--admin alice --admin group:wheel --metrics 9100
		--max-connections 1 --max-connections-per-peer 2 --max-fids 3 --max-requests 4
		--max-msize 5k --max-unread 6M --first-message-timeout 7s`)
	var line struct {
		cli.Globals
		Serve Cmd `cmd:""`
	}
	parser, err := kong.New(&line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	c, err := line.Serve.config(&cli.Env{Globals: &line.Globals, Stderr: new(bytes.Buffer)})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Limits
	if strings.Join(c.Packages, " ") != "a,b c" || c.State != "s" || c.Contexts != "x" || c.Overrides != "o" ||
		strings.Join(c.Listen, " ") != "unix:/x,y tcp:[::1]:5" || strings.Join(c.Admins, " ") != "alice group:wheel" || c.Metrics != "9100" || len(c.TrustNetworks) != 2 || c.TrustNetworks[1].Bits() != 8 ||
		l.Conns != 1 || l.ConnsPerPeer != 2 || l.Fids != 3 || l.Running != 4 || l.MaxMsize != 5120 ||
		l.ReplyBytes != 6<<20 || l.FirstMessage != 7*time.Second {
		t.Errorf("config %+v", c)
	}

	t.Setenv("XDG_STATE_HOME", "/state")
	t.Setenv("XDG_RUNTIME_DIR", "/runtime")
	empty := Cmd{Packages: []string{"p"}}
	if c, err = empty.config(&cli.Env{Globals: new(cli.Globals), Stderr: new(bytes.Buffer)}); err != nil {
		t.Fatal(err)
	}
	if len(c.Listen) != 1 || !strings.HasSuffix(c.Listen[0], "/packagefs/9p.sock") || !strings.HasSuffix(c.State, "/packagefs") {
		t.Errorf("defaults %+v", c)
	}
}
