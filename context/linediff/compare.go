package linediff

import (
	"bytes"
	"context"
	"slices"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// A text is cut into lines. Equal lines of texts that one cutter has cut have equal
// numbers.
type text struct {
	body  []byte
	lines []rune  // their numbers; the library compares runes
	at    []int32 // where each line begins, and the end
}

// A cutter cuts texts of up to 2 GiB in all.
type cutter map[string]rune

func (c cutter) cut(body []byte) *text {
	n := bytes.Count(body, []byte{'\n'}) + 1
	t := &text{body: body, lines: make([]rune, 0, n), at: make([]int32, 1, n+1)}
	for rest := body; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		id, ok := c[string(rest[:end])]
		if !ok {
			id = rune(len(c))
			c[string(rest[:end])] = id
		}
		rest = rest[end:]
		t.lines = append(t.lines, id)
		t.at = append(t.at, int32(len(body)-len(rest)))
	}
	return t
}

// part is the text of lines from one number to another.
func (t *text) part(from, to int) []byte { return t.body[t.at[from]:t.at[to]] }

// A span is where two texts may differ: lines a0 to a1 of one stand in the place of
// b0 to b1 of the other.
type span struct{ a0, a1, b0, b1 int }

func (s span) size() int { return s.a1 - s.a0 + s.b1 - s.b0 }

// maxExact is how many lines the library inserts and deletes at most before it
// gives up.
const maxExact = 100

// maxCalls is how often the library is called for a text without lines that are
// there once.
const maxCalls = 512

// maxDepth is how often what was too much for the library is cut into parts. Texts
// that people write need two or three.
const maxDepth = 12

// A comparison finds what differs between the lines of two texts.
type comparison struct {
	ctx   context.Context
	a, b  []rune
	spans []span  // in order, and not empty
	count []int32 // scratch by number of a line, zero between uses
	where []int32 // scratch by number of a line
}

// compare lists what differs between two texts of a cutter with so many numbers. It
// fails only with ctx's error.
func compare(ctx context.Context, a, b *text, numbers int) ([]span, error) {
	c := &comparison{ctx: ctx, a: a.lines, b: b.lines, count: make([]int32, numbers), where: make([]int32, numbers)}
	c.span(span{0, len(c.a), 0, len(c.b)}, maxDepth)
	c.slide()
	return c.spans, ctx.Err()
}

// slide moves what was only inserted or only deleted among lines that are the same
// whichever of them one takes: to what else differs above or below, if it gets
// there, so that a replacement is one span; else down as far as it goes, so that
// every comparison finds a change at the same place.
func (c *comparison) slide() {
	var up []span
	for _, s := range c.spans {
		last := len(up) - 1
		if t := c.slideUp(s, up); last >= 0 && t.a0 == up[last].a1 {
			up[last].a1, up[last].b1 = t.a1, t.b1
		} else {
			up = append(up, s)
		}
	}
	next := span{len(c.a), len(c.a), len(c.b), len(c.b)}
	kept := len(up) // those from here on are done
	for _, s := range slices.Backward(up) {
		for s.a1 < next.a0 && (s.a0 == s.a1 && c.b[s.b0] == c.b[s.b1] || s.b0 == s.b1 && c.a[s.a0] == c.a[s.a1]) {
			s = span{s.a0 + 1, s.a1 + 1, s.b0 + 1, s.b1 + 1}
		}
		if kept < len(up) && s.a1 == next.a0 {
			s.a1, s.b1 = next.a1, next.b1
		} else {
			kept--
		}
		up[kept], next = s, s
	}
	c.spans = up[kept:]
}

// slideUp returns s moved up as far as it goes below the last of above.
func (c *comparison) slideUp(s span, above []span) span {
	end := 0
	if n := len(above); n > 0 {
		end = above[n-1].a1
	}
	for s.a0 > end && (s.a0 == s.a1 && c.b[s.b0-1] == c.b[s.b1-1] || s.b0 == s.b1 && c.a[s.a0-1] == c.a[s.a1-1]) {
		s = span{s.a0 - 1, s.a1 - 1, s.b0 - 1, s.b1 - 1}
	}
	return s
}

// span adds what differs in s.
func (c *comparison) span(s span, depth int) {
	s = c.trim(s)
	if c.ctx.Err() != nil || s.size() == 0 {
		return
	}
	pairs, exact := c.common(s, 1)
	if !exact && depth > 0 {
		if anchors := c.anchors(s); len(anchors) > 0 {
			c.between(s, anchors, func(gap span) { c.span(gap, depth-1) })
			return
		}
		pairs, _ = c.common(s, maxCalls)
	}
	c.between(s, pairs, c.add)
}

// trim cuts off what is the same at both ends.
func (c *comparison) trim(s span) span {
	for s.a0 < s.a1 && s.b0 < s.b1 && c.a[s.a0] == c.b[s.b0] {
		s.a0, s.b0 = s.a0+1, s.b0+1
	}
	for s.a0 < s.a1 && s.b0 < s.b1 && c.a[s.a1-1] == c.b[s.b1-1] {
		s.a1, s.b1 = s.a1-1, s.b1-1
	}
	return s
}

// A pair is a line of a and the line of b that it is the same as.
type pair struct{ a, b int32 }

// between calls do with what lies between pairs, in order.
func (c *comparison) between(s span, pairs []pair, do func(span)) {
	for _, p := range append(pairs, pair{int32(s.a1), int32(s.b1)}) {
		do(span{s.a0, int(p.a), s.b0, int(p.b)})
		s.a0, s.b0 = int(p.a)+1, int(p.b)+1
	}
}

// add adds a span in which all differs, to the last one if it goes on from there.
func (c *comparison) add(s span) {
	if s.size() == 0 {
		return
	}
	if n := len(c.spans); n > 0 && c.spans[n-1].a1 == s.a0 && c.spans[n-1].b1 == s.b0 {
		c.spans[n-1].a1, c.spans[n-1].b1 = s.a1, s.b1
		return
	}
	c.spans = append(c.spans, s)
}

// common pairs lines of s that are the same, in order, with so many calls of the
// library at most. They are as many as there can be if it tells that they are exact.
// Lines that one of the texts does not have are left out before: they would only
// use up what the library is ready to do.
func (c *comparison) common(s span, calls int) (pairs []pair, exact bool) {
	a, atA := c.only(c.a, s.a0, s.a1, c.b[s.b0:s.b1])
	b, atB := c.only(c.b, s.b0, s.b1, c.a[s.a0:s.a1])
	at := span{} // what differs, all before it is done
	until := func(next span) {
		for ; at.a1 < next.a0; at.a1, at.b1 = at.a1+1, at.b1+1 {
			pairs = append(pairs, pair{atA[at.a1], atB[at.b1]})
		}
		at = next
	}
	exact = c.library(a, b, span{0, len(a), 0, len(b)}, calls, until)
	until(span{len(a), len(a), len(b), len(b)})
	return pairs, exact
}

// library calls do with what differs in s, in order. Where the library gives up,
// which it does in the middle, it is called again for that.
func (c *comparison) library(a, b []rune, s span, calls int, do func(span)) (exact bool) {
	var spans []span
	changed, gap := 0, span{}
	for _, d := range lcs.DiffRunes(a[s.a0:s.a1], b[s.b0:s.b1]) {
		t := span{s.a0 + d.Start, s.a0 + d.End, s.b0 + d.ReplStart, s.b0 + d.ReplEnd}
		spans = append(spans, t)
		changed += t.size()
		if t.size() > gap.size() {
			gap = t
		}
	}
	exact = changed <= maxExact
	for _, t := range spans {
		if t == gap && !exact && calls > 1 && t != s && c.ctx.Err() == nil {
			c.library(a, b, t, calls-1, do)
		} else {
			do(t)
		}
	}
	return exact
}

// only returns the lines from one to another that others has as well, and where
// they are.
func (c *comparison) only(lines []rune, from, to int, others []rune) (some []rune, at []int32) {
	for _, id := range others {
		c.count[id] = 1
	}
	for i, id := range lines[from:to] {
		if c.count[id] != 0 {
			some, at = append(some, id), append(at, int32(from+i))
		}
	}
	for _, id := range others {
		c.count[id] = 0
	}
	return some, at
}

// anchors pairs the lines that are once in each text of s: the longest list of them
// that is in the same order in both.
func (c *comparison) anchors(s span) []pair {
	const inB = 1 << 16 // counts more than one are not told apart from it
	a, b := c.a[s.a0:s.a1], c.b[s.b0:s.b1]
	for _, id := range a {
		c.count[id] = min(c.count[id]+1, 2)
	}
	for i, id := range b {
		c.count[id] = min(c.count[id]+inB, 3*inB)
		c.where[id] = int32(s.b0 + i)
	}
	var once []pair
	for i, id := range a {
		if c.count[id] == 1+inB {
			once = append(once, pair{int32(s.a0 + i), c.where[id]})
		}
	}
	for _, id := range a {
		c.count[id] = 0
	}
	for _, id := range b {
		c.count[id] = 0
	}
	return rising(once)
}

// rising returns the longest list of pairs, which are in the order of a, that is in
// the order of b.
func rising(pairs []pair) []pair {
	ends := make([]int32, 0, len(pairs)) // of the lists of each length, the one that ends first in b
	before := make([]int32, len(pairs))
	for i, p := range pairs {
		n, _ := slices.BinarySearchFunc(ends, p.b, func(j, b int32) int { return int(pairs[j].b - b) })
		if n == len(ends) {
			ends = append(ends, 0)
		}
		ends[n], before[i] = int32(i), -1
		if n > 0 {
			before[i] = ends[n-1]
		}
	}
	if len(ends) == 0 {
		return nil
	}
	list := make([]pair, len(ends))
	i := ends[len(ends)-1]
	for n := range slices.Backward(list) {
		list[n], i = pairs[i], before[i]
	}
	return list
}
