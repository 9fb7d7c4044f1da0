package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// PrintJSON prints a value as JSON for programs; a slice that is nil is an
// empty array.
func PrintJSON[T any](w io.Writer, rows []T) error {
	if rows == nil {
		rows = []T{}
	}
	return PrintObject(w, rows)
}

// PrintObject prints one value as JSON for programs.
func PrintObject(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// A Table prints rows in aligned columns.
type Table struct{ w *tabwriter.Writer }

// NewTable begins a table on w, with these titles of columns or without.
func NewTable(w io.Writer, head ...string) Table {
	t := Table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	if len(head) > 0 {
		t.Row(head...)
	}
	return t
}

// Row adds a row. Cells are made printable.
func (t Table) Row(cells ...string) {
	for i, c := range cells {
		cells[i] = Printable(c)
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

// End prints the table.
func (t Table) End() error { return t.w.Flush() }

// Printable quotes a text that could do something to a terminal or break the
// columns.
func Printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

// FirstLine cuts a text for a column.
func FirstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// TimeText writes seconds since 1970 for people, in local time.
func TimeText(sec int64) string { return time.Unix(sec, 0).Format("2006-01-02 15:04") }

// SizeText writes a number of bytes for people: 1.5 MB.
func SizeText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, unit := range "kMGTPE" {
		if f /= 1000; f < 999.95 {
			return fmt.Sprintf("%.1f %cB", f, unit)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// Plural writes a count with its noun.
func Plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
