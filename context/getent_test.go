package context

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// TestGetent knows a user only through the system's name service, for which
// two scripts stand.
func TestGetent(t *testing.T) {
	bin := t.TempDir()
	for name, text := range map[string]string{
		"getent": `#!/bin/sh
case "$1 $2 $3" in
"passwd -- carol of the directory" | "passwd -- 424200") echo "carol of the directory:x:424200:424201:Carol:/home/carol:/bin/sh";;
"group -- crew of the directory" | "group -- 424201") echo "crew of the directory:x:424201:carol";;
"group -- 424299") echo "broken line";;
*) exit 2;;
esac
`,
		"id": `#!/bin/sh
case "$1 $2 $3" in
"-G -- carol of the directory") echo 424201 424202 424201;;
"-G -- root") echo 0 424201;;
*) exit 1;;
esac
`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	carol, crew := User{"carol of the directory", 424200}, Group{"crew of the directory", 424201}
	for _, key := range []string{carol.Name, "424200"} {
		if got, err := (System{}).User(key); got != carol || err != nil {
			t.Errorf("user %s: %v %v", key, got, err)
		}
	}
	if got, err := (System{}).UserByID(424200); got != carol || err != nil {
		t.Errorf("by number: %v %v", got, err)
	}
	for _, key := range []string{crew.Name, "424201"} {
		if got, err := (System{}).Group(key); got != crew || err != nil {
			t.Errorf("group %s: %v %v", key, got, err)
		}
	}
	if got, err := (System{}).Groups(carol); err != nil || !reflect.DeepEqual(got, []Group{crew, {"424202", 424202}}) {
		t.Errorf("groups: %v %v", got, err)
	}
	if got, err := (System{}).Groups(User{Name: "root"}); err != nil || len(got) != 2 || got[0].GID != 0 || got[1] != crew {
		t.Errorf("groups of a local user in the directory: %v %v", got, err)
	}
	_, userErr := (System{}).User("-nobody at all")
	_, groupErr := (System{}).Group("424299")
	_, groupsErr := (System{}).Groups(User{Name: "nobody at all"})
	for _, err := range []error{userErr, groupErr, groupsErr} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v", err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := (System{}).User(carol.Name); !errors.Is(err, ErrUnknown) {
		t.Errorf("without getent: %v", err)
	}
	if got, err := (System{}).Groups(User{Name: "root"}); err != nil || len(got) == 0 || got[0].GID != 0 || slices.Contains(got, crew) {
		t.Errorf("groups of a local user without id: %v %v", got, err)
	}
}
