package server

import (
	stdcontext "context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A metric is a count or a measure, without labels.
type metric struct {
	name, kind, help string // kind is counter or gauge
	value            float64
}

// metrics are what the server counts of itself.
func (ctl *control) metrics() []metric {
	set, files := ctl.packages.Set(), ctl.files.Snapshot()
	s, chunks := ctl.engine.Stats(), ctl.packages.ChunkStats()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	const counter, gauge = "counter", "gauge"
	return []metric{
		{"requests_total", counter, "9P requests.", float64(s.Requests)},
		{"request_errors_total", counter, "9P requests answered with an error, missing names among them.", float64(s.Errors)},
		{"received_bytes_total", counter, "Bytes of 9P requests.", float64(s.Received)},
		{"sent_bytes_total", counter, "Bytes of 9P replies.", float64(s.Sent)},
		{"connections_total", counter, "Connections accepted.", float64(s.Conns)},
		{"connections", gauge, "Connections open now.", float64(s.Open)},
		{"refused_total", counter, "Connections and files refused because of a limit.", float64(s.Refused)},
		{"attaches_refused_total", counter, "Attaches refused.", float64(ctl.attachments.refused.Load())},
		{"packages", gauge, "Packages that are installed.", float64(len(set.Packages))},
		{"packages_rejected", gauge, "Package files that are set aside.", float64(len(set.Rejected))},
		{"packages_pending", gauge, "Package files that wait to be read or are being read.", float64(set.Pending)},
		{"chunk_hits_total", counter, "Contents of native packages found unpacked.", float64(chunks.Hits)},
		{"chunk_misses_total", counter, "Contents of native packages that had to be unpacked, ahead of readers or for them.", float64(chunks.Misses)},
		{"chunk_bytes", gauge, "Bytes of native packages' contents that are kept unpacked.", float64(chunks.Bytes)},
		{"contexts", gauge, "Contexts that have a file.", float64(files.Len())},
		{"contexts_broken", gauge, "Context files that have an error.", float64(len(files.Errors()))},
		{"generation", gauge, "Changes of packages and context files since the start.", float64(ctl.changes.generation.Load())},
		{"trees", gauge, "Trees in memory.", float64(ctl.trees.live())},
		{"events_total", counter, "Events.", float64(ctl.events.position())},
		{"heap_bytes", gauge, "Memory in use by the server's own data.", float64(mem.HeapAlloc)},
		{"system_bytes", gauge, "Memory that the server has from the system.", float64(mem.Sys - mem.HeapReleased)},
		{"goroutines", gauge, "Goroutines.", float64(runtime.NumGoroutine())},
		{"start_time_seconds", gauge, "When the server started, in seconds since 1970.", float64(ctl.started.UnixMilli()) / 1000},
	}
}

// metricsText writes the metrics in the text form of Prometheus.
func (ctl *control) metricsText(_ visitor, w io.Writer) error {
	list := append(ctl.metrics(), metric{"info{version=" + strconv.Quote(Version()) + "}", "gauge", "The version of the server.", 1})
	for _, m := range list {
		name, _, _ := strings.Cut(m.name, "{")
		_, err := fmt.Fprintf(w, "# HELP packagefs_%s %s\n# TYPE packagefs_%s %s\npackagefs_%s %s\n",
			name, m.help, name, m.kind, m.name, strconv.FormatFloat(m.value, 'f', -1, 64))
		if err != nil {
			return err
		}
	}
	return nil
}

// listenMetrics opens the socket for HTTP. Without a host it is one that only
// this machine can connect to.
func listenMetrics(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = "", addr
	}
	if n, perr := strconv.ParseUint(port, 10, 16); perr != nil {
		return nil, fmt.Errorf("metrics on %q: want HOST:PORT, or a port of this machine only", addr)
	} else if host == "" {
		host = "localhost"
		port = strconv.FormatUint(n, 10)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("metrics on %s: %w", addr, err)
	}
	return l, nil
}

// MetricsAddr returns where the metrics are, HOST:PORT with the port that the
// system chose; empty if they are not served over HTTP.
func (fs *FS) MetricsAddr() string {
	if fs.metricsListener == nil {
		return ""
	}
	return fs.metricsListener.Addr().String()
}

// serveMetrics answers HTTP until ctx ends.
func (fs *FS) serveMetrics(ctx stdcontext.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		var text textWriter
		text.room = maxText
		if err := fs.control.metricsText(visitor{}, &text); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Write(text.text.Bytes())
	})
	s := &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(fs.config.Log, "metrics: ", 0),
	}
	s.SetKeepAlivesEnabled(false)
	stop := stdcontext.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(fs.metricsListener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
