package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/server/api"
)

// maxText is how long a generated file may become, in bytes.
const maxText = 64 << 20

// errTextFull ends the making of a text that has become too long.
var errTextFull = errors.New("text is full")

// A textFile has a content that is made when it is opened, so that all reads of
// one open see the same.
type textFile struct {
	ctlFile
	write func(*control, visitor, io.Writer) error

	mu   sync.Mutex // guards text
	text []byte
}

// textMaker returns what makes handles of a file whose content write writes.
func textMaker(write func(*control, visitor, io.Writer) error) func(ctlMeta) p9.File {
	var clone func(ctlMeta) p9.File
	clone = func(m ctlMeta) p9.File {
		return &textFile{ctlFile: ctlFile{ctlMeta: m, clone: clone}, write: write}
	}
	return clone
}

func (f *textFile) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	qid, unit, err := f.ctlFile.Open(mode)
	if err != nil {
		return qid, unit, err
	}
	w := textWriter{room: maxText}
	if err := f.write(f.control, f.as, &w); errors.Is(err, errTextFull) {
		w.text.WriteString("\n(the rest is left out: the text is too long)\n")
	} else if err != nil {
		return p9.QID{}, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = w.text.Bytes()
	return qid, unit, nil
}

func (f *textFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return readText(f.text, p, off)
}

// ReadNow implements NowReader: all is in memory.
func (f *textFile) ReadNow(p []byte, off int64) (int, error) { return f.ReadAt(p, off) }

// textWriter takes text until there is no room.
type textWriter struct {
	text bytes.Buffer
	room int
}

func (w *textWriter) Write(p []byte) (int, error) {
	if w.text.Len()+len(p) > w.room {
		return 0, errTextFull
	}
	return w.text.Write(p)
}

// columns writes rows in aligned columns.
type columns struct{ w *tabwriter.Writer }

func columnsOn(w io.Writer) columns { return columns{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

// row writes one row. What could break lines or columns is quoted.
func (c columns) row(cells ...string) {
	for i, text := range cells {
		cells[i] = oneLine(text)
	}
	fmt.Fprintln(c.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (c columns) end() error { return c.w.Flush() }

// oneLine quotes a text that has more than printable characters.
func oneLine(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

func (ctl *control) statusText(_ visitor, w io.Writer) error {
	set, snap := ctl.packages.Set(), ctl.files.Snapshot()
	c := columnsOn(w)
	c.row("version", Version())
	c.row("uptime", time.Since(ctl.started).Truncate(time.Second).String())
	c.row("generation", strconv.FormatUint(ctl.changes.generation.Load(), 10))
	c.row("packages", strconv.Itoa(len(set.Packages)))
	c.row("rejected", strconv.Itoa(len(set.Rejected)))
	c.row("pending", strconv.Itoa(set.Pending))
	c.row("contexts", strconv.Itoa(snap.Len()))
	for _, e := range snap.Errors() {
		c.row("context file", e.Reason)
	}
	c.row("trees", strconv.Itoa(ctl.trees.live()))
	stats := ctl.engine.Stats()
	c.row("connections", strconv.Itoa(stats.Open))
	c.row("requests", strconv.FormatUint(stats.Requests, 10))
	for _, addr := range ctl.addrs {
		c.row("listen", addr)
	}
	for _, dir := range ctl.config.Packages {
		c.row("package directory", dir)
	}
	c.row("state directory", ctl.config.State)
	c.row("log", ctl.level.String())
	return c.end()
}

func (ctl *control) packagesText(_ visitor, w io.Writer) error {
	c := columnsOn(w)
	for _, p := range ctl.packages.Set().Packages {
		c.row(p.Ref.String(), cmp.Or(p.Architecture, "-"), string(p.Format), p.File)
	}
	return c.end()
}

func (ctl *control) rejectedText(_ visitor, w io.Writer) error {
	c := columnsOn(w)
	for _, r := range ctl.packages.Set().Rejected {
		c.row(r.File, r.Reason)
	}
	return c.end()
}

// conflictsText lists the conflicts of all packages.
func (ctl *control) conflictsText(as visitor, w io.Writer) error {
	view, err := ctl.contexts.Resolve(ctl.packages.Set(), attachname.Name{Kind: attachname.KindAll}, as.everything())
	if err != nil {
		return err
	}
	for c, err := range ctl.trees.of(view, nil).Conflicts() {
		if err != nil {
			return err
		}
		losers := make([]string, len(c.Losers))
		for i, l := range c.Losers {
			losers[i] = l.Package.Ref.String()
		}
		_, err = fmt.Fprintf(w, "%s  %s  hides %s\n", oneLine(c.Path), c.Winner.Package.Ref, strings.Join(losers, ", "))
		if err != nil {
			return err
		}
	}
	return nil
}

// contextText explains one context.
func (ctl *control) contextText(as visitor, name attachname.Name, w io.Writer) error {
	q := &inquiry{Query: api.Query{Context: name.String()}, as: as.everything(), name: name, set: ctl.packages.Set()}
	answer, err := ctl.queryExplain(q)
	if err != nil {
		return err
	}
	x := answer.(api.Explain)
	c := columnsOn(w)
	c.row("context", x.Context)
	if x.Reason != "" {
		c.row("nobody can attach", x.Reason)
	}
	if x.Dependencies != "" {
		c.row("dependencies", x.Dependencies)
		c.row("mutable", x.Mutable)
	}
	edits, err := ctl.layerRows(c, q)
	if err != nil {
		return err
	}
	return errors.Join(c.end(),
		textSection(w, "errors in context files", x.Errors, func(e api.ExplainError) []string {
			return []string{e.File, e.Reason}
		}),
		textSection(w, "rules, nearest last", x.Rules, func(r api.ExplainRule) []string {
			note := ""
			if !r.Effective {
				note = "(a nearer file says otherwise)"
			}
			return []string{r.Key, r.Value, cmp.Or(r.File, "(default)"), note}
		}),
		textSection(w, "roots", x.Roots, func(root string) []string { return []string{root} }),
		textSection(w, "packages, first wins", x.Packages, func(p api.ExplainPackage) []string {
			return []string{p.Package, p.Why}
		}),
		textSection(w, "edited files", edits, func(e api.EditRow) []string { return []string{e.State, e.Path, e.From, e.Package} }),
		textSection(w, "missing", x.Missing, func(m api.ExplainMissing) []string {
			return []string{m.Package, m.Reason}
		}),
		textSection(w, "conflicts", x.Conflicts, func(c api.Conflict) []string {
			return []string{c.Path, c.Winner, "hides " + strings.Join(c.Losers, ", ")}
		}),
	)
}

// textSection writes a title and below it a row for each item, if there is one.
func textSection[T any](w io.Writer, title string, items []T, cells func(T) []string) error {
	if len(items) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
		return err
	}
	c := columnsOn(w)
	for _, item := range items {
		row := cells(item)
		row[0] = "  " + row[0]
		c.row(row...)
	}
	return c.end()
}
