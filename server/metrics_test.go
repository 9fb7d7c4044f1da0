package server

import (
	stdcontext "context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMetricsHTTP reads the metrics as Prometheus does.
func TestMetricsHTTP(t *testing.T) {
	fs, err := New(Config{
		Packages: []string{t.TempDir()}, State: t.TempDir(), Metrics: "0",
		Listen: []string{"unix:" + filepath.Join(t.TempDir(), "s")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if host, _, err := net.SplitHostPort(fs.MetricsAddr()); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("a port alone is at %s", fs.MetricsAddr())
	}
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	ended := make(chan error)
	go func() { ended <- fs.Serve(ctx) }()
	if _, err := fs.Attach(asking("192.0.2.1", "all")); err == nil {
		t.Error("a stranger attaches to all")
	}
	get := func(method, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+fs.MetricsAddr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	status, text := get("GET", "/metrics")
	if status != 200 {
		t.Errorf("status %d", status)
	}
	values := make(map[string]float64)
	var described string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			if described = strings.Fields(rest)[1]; !strings.HasPrefix(rest, "HELP ") && !strings.HasPrefix(rest, "TYPE ") {
				t.Errorf("line %q", line)
			}
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		if bare, _, _ := strings.Cut(name, "{"); !ok || err != nil || bare != described {
			t.Errorf("line %q behind the description of %s", line, described)
		}
		if _, twice := values[name]; twice {
			t.Errorf("%s comes twice", name)
		}
		values[name] = n
	}
	if values["packagefs_attaches_refused_total"] != 1 || values["packagefs_packages"] != 0 || values["packagefs_goroutines"] < 1 || values["packagefs_events_total"] != 1 {
		t.Errorf("values %v", values)
	}
	if status, _ := get("GET", "/"); status != 404 {
		t.Errorf("elsewhere: status %d", status)
	}
	if status, _ := get("POST", "/metrics"); status != 405 {
		t.Errorf("POST: status %d", status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", fs.MetricsAddr()); err == nil {
		c.Close()
		t.Error("metrics are served after the end")
	}
}

func TestMetricsAddress(t *testing.T) {
	for addr, want := range map[string]string{"0": "127.0.0.1", ":0": "127.0.0.1", "127.0.0.1:0": "127.0.0.1", "0.0.0.0:0": "0.0.0.0"} {
		l, err := listenMetrics(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if host, _, _ := net.SplitHostPort(l.Addr().String()); host != want && host != "::1" && host != "::" {
			t.Errorf("%s listens on %s", addr, host)
		}
		l.Close()
	}
	for _, addr := range []string{"x", "", "localhost:http", "1.2.3.4.5:1", "99999", "-1", "unix:/x"} {
		if l, err := listenMetrics(addr); err == nil {
			l.Close()
			t.Errorf("listening on %q works", addr)
		}
	}
}
