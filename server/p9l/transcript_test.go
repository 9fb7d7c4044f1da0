package p9l

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// A transcript is a text of messages on one connection. Lines that begin with
// T are sent, lines that begin with R are replies that have to come next, in
// the form of messageText. A message without "tag N" has tag 1, a Tversion none;
// a reply without it has that of the message sent last. In a reply, "dir"
// stands for a qid of that type, "*" for any word, and "..." at the end for the
// rest. "hex" sends bytes, "closed" expects the end of the connection,
// "connect" begins a new one, "attached" likewise, with fid 0 attached. #
// begins a comment.
//
// Files whose names begin with "fast-" are run on files with the optional
// interfaces only.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d transcripts found: %v", len(files), err)
	}
	for _, file := range files {
		for _, fast := range []bool{true, false} {
			if !fast && strings.HasPrefix(filepath.Base(file), "fast-") {
				continue
			}
			t.Run(fmt.Sprintf("%s/fast=%v", filepath.Base(file), fast), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				runTranscript(t, string(text), fast)
			})
		}
	}
}

func runTranscript(t *testing.T, text string, fast bool) {
	tree := newMemTree(fast,
		"usr/bin/env=#!env\n", "usr/bin/python->python3.11", "usr/bin/python3.11=\x7fELF", "etc/motd=hello, world\n",
		"fifo|", "some names/a b=c")
	tree.find("etc/motd").xattrs = map[string]string{"user.a": "value a", "user.b": ""}
	connect := p9ltest.Serve(t, &Server{Attacher: tree, Limits: Limits{MaxMsize: 64 << 10}})
	c := connect()
	tag := uint16(1)
	for i, line := range strings.Split(text, "\n") {
		where := fmt.Sprintf("line %d: %s", i+1, line)
		line, _, _ = strings.Cut(line, "#!")
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || word[0] == '#':
		case word == "connect":
			c = connect()
		case word == "attached":
			c = connect()
			c.Start(0)
		case word == "closed":
			if err := c.Closed(); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
		case word == "hex":
			b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			c.Raw(b)
		case word[0] == 'T':
			b, err := p9ltest.Parse(line)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			tag = le.Uint16(b[5:])
			c.Raw(b)
		case word[0] == 'R':
			got := wire.Text(c.Recv())
			if !p9ltest.Matches(got, line, tag) {
				t.Fatalf("%s\ngot %s", where, got)
			}
		default:
			t.Fatalf("%s: not a line of a transcript", where)
		}
	}
}
