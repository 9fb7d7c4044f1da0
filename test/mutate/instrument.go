package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// A mutant is one change of the source.
type mutant struct {
	id   int
	file string
	line int
	in   string // function
	what string // what is changed and how
}

// key is what a mutant is known by in survivors.go: it has no line numbers.
func (m *mutant) key() string { return fmt.Sprintf("%s %s: %s", m.file, m.in, m.what) }

// An edit puts text into a file.
type edit struct {
	at   int
	open bool // the text begins what is changed, else it ends it
	size int  // of what is changed
	text string
}

// An instrumenter changes a file so that each mutant of it can be chosen.
type instrumenter struct {
	file    string
	src     []byte
	set     *token.FileSet
	edits   []edit
	mutants *[]mutant
	in      *ast.FuncDecl
}

// instrument returns the changed source of a file, and adds its mutants.
func instrument(file string, src []byte, mutants *[]mutant) ([]byte, error) {
	i := &instrumenter{file: file, src: src, set: token.NewFileSet(), mutants: mutants}
	f, err := parser.ParseFile(i.set, file, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && fn.Name.Name != "String" { // texts for people check nothing
			i.in = fn
			ast.Inspect(fn.Body, i.visit)
		}
	}
	return i.apply(), nil
}

func (i *instrumenter) offset(p token.Pos) int { return i.set.Position(p).Offset }

func (i *instrumenter) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(i.src[i.offset(n.Pos()):i.offset(n.End())])), " ")
}

// mutate adds a mutant of n; before and behind have a %d where its number goes.
func (i *instrumenter) mutate(n ast.Node, what, before, behind string) {
	id := len(*i.mutants) + 1
	*i.mutants = append(*i.mutants, mutant{id, i.file, i.set.Position(n.Pos()).Line, i.in.Name.Name, what})
	number := func(s string) string { return strings.ReplaceAll(s, "%d", fmt.Sprint(id)) }
	from, to := i.offset(n.Pos()), i.offset(n.End())
	i.edits = append(i.edits, edit{from, true, to - from, number(before)}, edit{to, false, to - from, number(behind)})
}

// visit mutates what a node is made of.
func (i *instrumenter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ForStmt:
		ast.Inspect(n.Body, i.visit) // a loop that does not end says nothing
		return false
	case *ast.IfStmt:
		if n.Else == nil && returns(n.Body.List) {
			i.never(n.Cond)
		}
	case *ast.SwitchStmt:
		if n.Tag != nil {
			break
		}
		for _, c := range n.Body.List {
			if c := c.(*ast.CaseClause); returns(c.Body) {
				for _, e := range c.List {
					i.never(e)
				}
			}
		}
	case *ast.BinaryExpr:
		i.binary(n)
	case *ast.AssignStmt:
		if field(n.Lhs[0]) && (n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN) {
			i.leaveOut(n)
		}
	case *ast.IncDecStmt:
		if field(n.X) {
			i.leaveOut(n)
		}
	case *ast.ExprStmt:
		if givesBack(n.X) {
			i.leaveOut(n)
		}
	case *ast.DeferStmt:
		if givesBack(n.Call) {
			i.leaveOut(n)
		}
	case *ast.ReturnStmt:
		i.result(n)
	}
	return true
}

// never makes a condition not hold.
func (i *instrumenter) never(cond ast.Expr) {
	if !ofError(cond) {
		i.mutate(cond, "never "+i.text(cond), "(!mutant(%d) && (", "))")
	}
}

func (i *instrumenter) leaveOut(s ast.Stmt) {
	i.mutate(s, "without "+i.text(s), "if !mutant(%d) { ", " }")
}

// binary leaves out one part of an and or an or, or moves a limit by one.
func (i *instrumenter) binary(n *ast.BinaryExpr) {
	var before string
	switch n.Op {
	case token.LAND:
		before = "(mutant(%d) || ("
	case token.LOR:
		before = "(!mutant(%d) && ("
	case token.LSS, token.GTR, token.LEQ, token.GEQ:
		i.limit(n)
		return
	default:
		return
	}
	for _, part := range []ast.Expr{n.X, n.Y} {
		if b, ok := part.(*ast.BinaryExpr); ok && b.Op == n.Op || ofError(part) {
			continue
		}
		i.mutate(part, "without "+i.text(part)+" in "+i.text(n), before, "))")
	}
}

func (i *instrumenter) limit(n *ast.BinaryExpr) {
	if called(n) {
		return
	}
	x, y := i.text(n.X), i.text(n.Y)
	same := fmt.Sprintf("mutant(%%d) && (%s) == (%s)", x, y)
	if n.Op == token.LSS || n.Op == token.GTR {
		i.mutate(n, "or equal in "+i.text(n), "((", ") || "+same+")")
	} else {
		i.mutate(n, "not equal in "+i.text(n), "((", ") && !("+same+"))")
	}
}

// result turns around what a function says that returns one bool.
func (i *instrumenter) result(n *ast.ReturnStmt) {
	results := i.in.Type.Results
	if results == nil || len(results.List) != 1 || len(n.Results) != 1 {
		return
	}
	if t, ok := results.List[0].Type.(*ast.Ident); !ok || t.Name != "bool" {
		return
	}
	if _, ok := n.Results[0].(*ast.BinaryExpr); !ok {
		i.mutate(n.Results[0], "not "+i.text(n.Results[0])+" returned", "(mutant(%d) != (", "))")
	}
}

func returns(body []ast.Stmt) bool {
	if len(body) == 0 {
		return false
	}
	_, ok := body[len(body)-1].(*ast.ReturnStmt)
	return ok
}

// ofError says whether a condition only asks for an error, or for none.
func ofError(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ && b.Op != token.EQL {
		return false
	}
	x, ok := b.X.(*ast.Ident)
	return ok && x.Name == "err"
}

// field says whether an expression is of something that stays.
func field(e ast.Expr) bool {
	switch e.(type) {
	case *ast.SelectorExpr, *ast.IndexExpr:
		return true
	}
	return false
}

// called says whether an expression calls anything but len, which may be done twice.
func called(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			name, ok := c.Fun.(*ast.Ident)
			found = found || !ok || name.Name != "len"
		}
		return true
	})
	return found
}

// givers are the functions that count, free or give back.
var givers = []string{"delete", "release", "unlock", "drop", "shrink", "unlinked", "giveUp", "cancel", "forget", "remove", "forceGrow"}

func givesBack(e ast.Expr) bool {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return slices.Contains(givers, f.Name)
	case *ast.SelectorExpr:
		return slices.Contains(givers, f.Sel.Name)
	}
	return false
}

// apply makes the edits: where several meet, those of inner parts are inside.
func (i *instrumenter) apply() []byte {
	slices.SortStableFunc(i.edits, func(a, b edit) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.open != b.open:
			if a.open {
				return 1
			}
			return -1
		case a.open:
			return cmp.Compare(b.size, a.size)
		}
		return cmp.Compare(a.size, b.size)
	})
	var out []byte
	done := 0
	for _, e := range i.edits {
		out = append(out, i.src[done:e.at]...)
		done = e.at
		out = append(out, e.text...)
	}
	return append(out, i.src[done:]...)
}
