package server

import (
	"encoding/json"
	"testing"

	"github.com/packagefs/packagefs/server/api"
)

// Checks through the query file: every package with the reason why its context
// does not resolve, as far as the caller may know.
func TestQueryCheck(t *testing.T) {
	p := newFixture(t, map[string]string{"user:bob": `allow = ["broken", "app"]`})
	for who, want := range map[string]string{
		"root": `[{"name":"app","version":"1","architecture":"all","ok":true},` +
			`{"name":"broken","version":"1","architecture":"all","ok":false,"reason":"broken needs nowhere: not installed"},` +
			`{"name":"lib","version":"2","architecture":"all","ok":true},` +
			`{"name":"lib","version":"1","architecture":"all","ok":true},` +
			`{"name":"other","version":"1","architecture":"all","ok":true}]`,
		"bob": `[{"name":"app","version":"1","architecture":"all","ok":true},` +
			`{"name":"broken","version":"1","architecture":"all","ok":false,"reason":"what the package needs does not resolve"}]`,
	} {
		a := p.ask(who, `{"op":"check"}`)
		if got := string(a.Result); got != want || a.Error != "" {
			t.Errorf("%s reads %s %s", who, got, a.Error)
		}
		var rows []api.CheckRow
		if err := json.Unmarshal(a.Result, &rows); err != nil {
			t.Error(err)
		}
	}
}
