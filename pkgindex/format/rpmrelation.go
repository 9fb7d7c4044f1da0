package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgpath"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// The flags of a relation.
const (
	rpmLess    = 1 << 1
	rpmGreater = 1 << 2
	rpmEqual   = 1 << 3
	rpmSense   = rpmLess | rpmGreater | rpmEqual

	rpmScripts      = 1<<7 | 0b11111<<9 | 1<<20 | 1<<21 // what maintainer scripts need
	rpmFindRequires = 1 << 14                           // what was found in the files
	rpmWeak         = 1 << 19                           // may be missing
	rpmOfRpm        = 1 << 24                           // what rpm itself must be able to do
)

// rpmOps are the operators by their flags.
var rpmOps = map[uint64]version.Op{
	0: version.OpAny, rpmLess: version.OpEarlier, rpmGreater: version.OpLater, rpmEqual: version.OpEqual,
	rpmLess | rpmEqual: version.OpEarlierEqual, rpmGreater | rpmEqual: version.OpLaterEqual,
}

// rpmTerm makes a term of one relation that is not a boolean one; evr is a version
// as rpm has it, epoch:version-release.
func rpmTerm(name string, flags uint64, evr string) (relation.Term, error) {
	op, ok := rpmOps[flags&rpmSense]
	switch {
	case !ok:
		return relation.Term{}, fmt.Errorf("%q: its comparison has the flags %#x", name, flags)
	case !relation.ValidCapability(name):
		return relation.Term{}, fmt.Errorf("%q is no name of a package or capability", name[:min(len(name), 100)])
	case op == version.OpAny || evr == "":
		return relation.Term{Name: rpmName(name)}, nil
	case !relation.ValidVersion(evr):
		return relation.Term{}, fmt.Errorf("%q: %q is no version", name, evr)
	}
	return relation.Term{Name: rpmName(name), Op: op, Version: evr}, nil
}

// rpmName gives paths the place that path aliases give the files, so that
// /bin/sh is /usr/bin/sh.
func rpmName(name string) string {
	rest, path := strings.CutPrefix(name, "/")
	if !path {
		return name
	}
	moved, _ := pkgpath.UsrMerge.Apply(rest)
	return "/" + moved
}

// A rich is a boolean dependency that is being read: "(a >= 1 or (b and c))".
//
// What it says about other packages being there or not cannot be kept, as a
// package's context has what it needs and nothing else: "a if b" without an
// else asks for nothing, "a if b else c" for one of the two, c first, "a unless
// b" and "a without b" for a. "a with b" asks for both, of whatever package.
type rich struct {
	rest  string
	depth int
}

const (
	maxRichDepth   = 16
	maxRichClauses = 64
)

// parseRich returns the clauses that a boolean dependency stands for.
func parseRich(s string) ([]relation.Clause, error) {
	r := &rich{rest: s}
	clauses, err := r.group()
	if err == nil && strings.TrimSpace(r.rest) != "" {
		err = fmt.Errorf("%q is out of place", r.rest)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", s[:min(len(s), 200)], err)
	}
	return clauses, nil
}

// group reads what stands in parentheses.
func (r *rich) group() ([]relation.Clause, error) {
	if r.depth++; r.depth > maxRichDepth {
		return nil, fmt.Errorf("more than %d levels", maxRichDepth)
	}
	defer func() { r.depth-- }()
	if !r.take("(") {
		return nil, fmt.Errorf("no ( before %q", r.rest)
	}
	left, err := r.operand()
	if err != nil {
		return nil, err
	}
	first := ""
	for !r.take(")") {
		op := r.word()
		if first != "" && op != first && !(op == "else" && (first == "if" || first == "unless")) {
			return nil, fmt.Errorf("%q after %q needs parentheses", op, first)
		}
		if first != "" && (first == "if" || first == "unless") && op == first {
			return nil, fmt.Errorf("%q twice", op)
		}
		right, err := r.operand()
		if err != nil {
			return nil, err
		}
		if left, err = r.combine(left, op, right); err != nil {
			return nil, err
		}
		if op != "else" {
			first = op
		}
	}
	return left, nil
}

// combine joins two operands. What follows an if is read, and says nothing
// alone: its else does.
func (r *rich) combine(left []relation.Clause, op string, right []relation.Clause) ([]relation.Clause, error) {
	switch op {
	case "and", "with":
		if len(left)+len(right) > maxRichClauses {
			return nil, fmt.Errorf("more than %d parts", maxRichClauses)
		}
		return append(left, right...), nil
	case "or":
		return either(left, right)
	case "if":
		if !r.before("else") {
			return nil, nil
		}
		return left, nil
	case "else":
		return either(right, left)
	case "unless", "without":
		return left, nil
	}
	return nil, fmt.Errorf("%q is none of and, or, if, else, unless, with, without", op)
}

// either is the clauses that hold where a's or b's do.
func either(a, b []relation.Clause) ([]relation.Clause, error) {
	if len(a)*len(b) > maxRichClauses {
		return nil, fmt.Errorf("more than %d parts", maxRichClauses)
	}
	var out []relation.Clause
	for _, x := range a {
		for _, y := range b {
			if len(x)+len(y) > maxRichClauses {
				return nil, fmt.Errorf("more than %d alternatives", maxRichClauses)
			}
			out = append(out, slices.Concat(x, y))
		}
	}
	return out, nil
}

// operand reads a term or a group.
func (r *rich) operand() ([]relation.Clause, error) {
	r.rest = strings.TrimLeft(r.rest, " \t")
	if strings.HasPrefix(r.rest, "(") {
		return r.group()
	}
	name := r.word()
	flags, evr := uint64(0), ""
	if op, ok := map[string]uint64{
		"<": rpmLess, "<=": rpmLess | rpmEqual, "=": rpmEqual, "==": rpmEqual, ">=": rpmGreater | rpmEqual, ">": rpmGreater,
	}[r.peek()]; ok {
		r.word()
		flags, evr = op, r.word()
	}
	t, err := rpmTerm(name, flags, evr)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(t.Name, "rpmlib(") {
		return nil, nil
	}
	return []relation.Clause{{t}}, nil
}

// take cuts a prefix off, if it is next.
func (r *rich) take(prefix string) (ok bool) {
	r.rest = strings.TrimLeft(r.rest, " \t")
	r.rest, ok = strings.CutPrefix(r.rest, prefix)
	return ok
}

func (r *rich) before(word string) bool { return r.peek() == word }

func (r *rich) peek() string {
	ahead := *r
	return ahead.word()
}

// word reads up to a space, or to a parenthesis that it did not open: names have
// parentheses, too.
func (r *rich) word() string {
	r.rest = strings.TrimLeft(r.rest, " \t")
	open, end := 0, 0
loop:
	for end < len(r.rest) {
		switch c := r.rest[end]; {
		case c == ' ' || c == '\t':
			break loop
		case c == '(':
			open++
		case c == ')':
			if open--; open < 0 {
				break loop
			}
		}
		end++
	}
	word := r.rest[:end]
	r.rest = r.rest[end:]
	return word
}
