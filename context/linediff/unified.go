package linediff

import (
	"context"
	"fmt"
	"strings"
)

// around is how many lines that are the same stand around what differs.
const around = 3

// Unified compares two texts as a unified diff with these names, which is empty if
// they are the same. It fails only with ctx's error.
func Unified(ctx context.Context, oldName string, old []byte, newName string, new []byte) (string, error) {
	c := cutter{}
	a, b := c.cut(old), c.cut(new)
	spans, err := compare(ctx, a, b, len(c))
	if err != nil || len(spans) == 0 {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "diff %s %s\n--- %s\n+++ %s\n", oldName, newName, oldName, newName)
	for len(spans) > 0 {
		n := 1
		for n < len(spans) && spans[n].a0-spans[n-1].a1 <= 2*around {
			n++
		}
		writeHunk(&out, a, b, spans[:n])
		spans = spans[n:]
	}
	return out.String(), nil
}

// writeHunk writes spans with the lines between and around them.
func writeHunk(out *strings.Builder, a, b *text, spans []span) {
	first, last := spans[0], spans[len(spans)-1]
	before, behind := min(around, first.a0), min(around, len(a.lines)-last.a1)
	whole := span{first.a0 - before, last.a1 + behind, first.b0 - before, last.b1 + behind}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", place(whole.a0, whole.a1), place(whole.b0, whole.b1))
	at := whole.a0
	for _, s := range spans {
		writeLines(out, ' ', a, at, s.a0)
		writeLines(out, '-', a, s.a0, s.a1)
		writeLines(out, '+', b, s.b0, s.b1)
		at = s.a1
	}
	writeLines(out, ' ', a, at, whole.a1)
}

// place tells of a part of a text its first line, from one, and how many there are.
func place(from, to int) string {
	return fmt.Sprintf("%d,%d", min(from+1, to), to-from)
}

func writeLines(out *strings.Builder, sign byte, t *text, from, to int) {
	for i := from; i < to; i++ {
		line := t.part(i, i+1)
		out.WriteByte(sign)
		out.Write(line)
		if line[len(line)-1] != '\n' {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}
