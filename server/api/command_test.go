package api

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                  nil,
		" \t \n":                            nil,
		" # a \"comment\n":                  nil,
		"status":                            {"status"},
		"  toplevel\tadd  user:alice gcc\n": {"toplevel", "add", "user:alice", "gcc"},
		"a\r\n":                             {"a"},
		`set "" x`:                          {"set", "", "x"},
		`"a b" "c\"d\\" "\n"`:               {"a b", `c"d\`, "\n"},
		`name="1 2"x ""`:                    {"name=1 2x", ""},
		`lib\x glob[a-z]*?`:                 {`lib\x`, "glob[a-z]*?"},
		`"\xff\u00fc" ü`:                    {"\xffü", "ü"},
		`'a b'`:                             {"'a", "b'"},
	} {
		got, err := SplitCommand(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		`a "b`:          "close the quotes",
		`"\q"`:          "close the quotes",
		"a\nb":          "one line",
		"a\rb":          "one line",
		"\"a\nb\"":      "close the quotes",
		`x"` + "\x00\n": "close the quotes",
	} {
		if got, err := SplitCommand(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want an error with %q", line, got, err, want)
		}
	}
}

func TestJoinCommand(t *testing.T) {
	got := JoinCommand("context", "put", "user:a", "# x\nallow = [\"b\"]\n", "", "c=1.*", "#")
	if want := `context put user:a "# x\nallow = [\"b\"]\n" "" c=1.* "#"`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// Whatever splits is joined to something that splits the same, and any words come
// through.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"", "toplevel add user:alice gcc", `set "a b" "\xff"`, "a\x00b\u00a0c", "\"", "\\", "#", "\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if words, err := SplitCommand(s); err == nil {
			again, err := SplitCommand(JoinCommand(words...))
			if err != nil || !slices.Equal(again, words) {
				t.Fatalf("%q is %q, and again %q, %v", s, words, again, err)
			}
		}
		args := strings.Split(s, "\x01")
		line := JoinCommand(args...)
		if strings.ContainsAny(line, "\n\r\x00") {
			t.Fatalf("%q is not a line", line)
		}
		if words, err := SplitCommand(line); err != nil || !slices.Equal(words, args) {
			t.Fatalf("%q comes through as %q, %v", args, words, err)
		}
	})
}
