package linediff

import (
	"bytes"
	"context"
	"slices"
)

// Merge brings the changes from base to mine and those from base to theirs
// together, line by line, and tells at how many places both changed the same or
// neighbouring lines in different ways. There both versions stand between marks
// with these names. It fails only with ctx's error.
func Merge(ctx context.Context, base, mine, theirs []byte, mineName, theirsName string) (merged []byte, conflicts int, err error) {
	c := cutter{}
	b, m, t := c.cut(base), c.cut(mine), c.cut(theirs)
	inMine, err := compare(ctx, b, m, len(c))
	if err != nil {
		return nil, 0, err
	}
	inTheirs, err := compare(ctx, b, t, len(c))
	if err != nil {
		return nil, 0, err
	}
	var out bytes.Buffer
	out.Grow(len(mine) + len(theirs) - min(len(base), len(mine), len(theirs)))
	at := 0 // line of base
	ours, other := follower{spans: inMine}, follower{spans: inTheirs}
	for {
		from, to, ok := next(&ours, &other)
		if !ok {
			break
		}
		out.Write(b.part(at, from))
		at = to
		m0, m1 := ours.take(from, to)
		t0, t1 := other.take(from, to)
		was, our, their := b.lines[from:to], m.lines[m0:m1], t.lines[t0:t1]
		switch {
		case slices.Equal(our, was), slices.Equal(our, their):
			out.Write(t.part(t0, t1))
		case slices.Equal(their, was):
			out.Write(m.part(m0, m1))
		default:
			conflicts++
			mark(&out, "<<<<<<< "+mineName)
			out.Write(m.part(m0, m1))
			mark(&out, "=======")
			out.Write(t.part(t0, t1))
			mark(&out, ">>>>>>> "+theirsName)
		}
	}
	out.Write(b.part(at, len(b.lines)))
	return out.Bytes(), conflicts, nil
}

// A follower goes through the changes from base to another text.
type follower struct {
	spans []span
	ahead int // how much the other text's number of a line is ahead of base's
}

// next returns the part of base that the next changes are in: one of either text,
// and all that touch it. It tells if there is one.
func next(f, g *follower) (from, to int, ok bool) {
	switch {
	case len(f.spans) == 0 && len(g.spans) == 0:
		return 0, 0, false
	case len(g.spans) == 0 || len(f.spans) > 0 && f.spans[0].a0 <= g.spans[0].a0:
		from, to = f.spans[0].a0, f.spans[0].a1
	default:
		from, to = g.spans[0].a0, g.spans[0].a1
	}
	i, j := 0, 0
	for {
		switch {
		case i < len(f.spans) && f.spans[i].a0 <= to:
			to = max(to, f.spans[i].a1)
			i++
		case j < len(g.spans) && g.spans[j].a0 <= to:
			to = max(to, g.spans[j].a1)
			j++
		default:
			return from, to, true
		}
	}
}

// take returns which lines of the other text stand for a part of base, and leaves
// the changes in it behind.
func (f *follower) take(from, to int) (int, int) {
	from += f.ahead
	for len(f.spans) > 0 && f.spans[0].a0 <= to {
		f.ahead = f.spans[0].b1 - f.spans[0].a1
		f.spans = f.spans[1:]
	}
	return from, to + f.ahead
}

// mark writes a line of its own.
func mark(out *bytes.Buffer, text string) {
	if b := out.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
		out.WriteByte('\n')
	}
	out.WriteString(text + "\n")
}
