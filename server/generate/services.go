package generate

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/union"
)

const (
	// unitConfig is where the links of enabled units are.
	unitConfig = "etc/systemd/system"

	maxUnitFile  = 256 << 10 // bytes
	maxUnitLinks = 10_000
)

// unitDirs are where unit files lie, the first winning.
var unitDirs = []string{unitConfig, "usr/local/lib/systemd/system", "usr/lib/systemd/system"}

// services makes the links that enable systemd units: of those that override files
// name, what the section [Install] of the unit says.
func (s *Set) services(t *union.Tree) ([]file, error) {
	e := enabling{tree: t, links: make(map[string]file), seen: make(map[string]bool)}
	for _, p := range t.Packages() {
		for _, unit := range p.Enabled() {
			if err := e.enable(unit); err != nil {
				s.fail("services", fmt.Sprintf("%s, which %s enables for %s: %v", unit, p.Override, p.Ref, err))
			}
		}
	}
	var files []file
	for _, f := range e.links {
		files = append(files, f)
	}
	return files, nil
}

// enabling gathers the links of enabled units.
type enabling struct {
	tree  *union.Tree
	links map[string]file // by path
	seen  map[string]bool
}

// enable adds the links of a unit, and of those that it says are enabled with it.
func (e *enabling) enable(unit string) error {
	if e.seen[unit] {
		return nil
	}
	e.seen[unit] = true
	at, f, err := e.find(unit)
	if err != nil {
		return err
	}
	text, err := f.Read(maxUnitFile)
	if err != nil {
		return err
	}
	install := parseInstall(string(text))
	if stem, ok := strings.CutSuffix(unit, "@"+path.Ext(unit)); ok {
		instance := slices.Concat([]string{""}, install["DefaultInstance"])
		if last := instance[len(instance)-1]; pkgmeta.IsUnit(stem + "@" + last + path.Ext(unit)) {
			unit = stem + "@" + last + path.Ext(unit)
		}
		if strings.Contains(unit, "@.") {
			return fmt.Errorf("it is a template without a default instance; name an instance, as in %s@NAME%s", stem, path.Ext(unit))
		}
	}
	for key, suffix := range map[string]string{"WantedBy": ".wants", "RequiredBy": ".requires", "UpheldBy": ".upholds"} {
		for _, by := range install[key] {
			if by, ok := expand(by, unit); ok {
				e.link(path.Join(unitConfig, by+suffix, unit), at, f)
			}
		}
	}
	for _, alias := range install["Alias"] {
		if alias, ok := expand(alias, unit); ok && path.Ext(alias) == path.Ext(unit) && alias != unit {
			e.link(path.Join(unitConfig, alias), at, f)
		}
	}
	for _, also := range install["Also"] {
		if also, ok := expand(also, unit); ok {
			if err := e.enable(also); err != nil {
				return fmt.Errorf("%s, which it is enabled together with: %w", also, err)
			}
		}
	}
	if len(install) == 0 {
		return fmt.Errorf("/%s has no section [Install]: nothing starts it by itself", at)
	}
	return nil
}

// find returns where the file of a unit is, and the file; of an instance, that of
// its template, unless it has its own.
func (e *enabling) find(unit string) (at string, f union.File, err error) {
	names := []string{unit}
	if name, _, ok := strings.Cut(unit, "@"); ok {
		names = append(names, name+"@"+path.Ext(unit))
	}
	for _, name := range names {
		for _, dir := range unitDirs {
			at := path.Join(dir, name)
			if f, ok := e.tree.Follow(at); ok {
				return at, f, nil
			}
			if _, ok := e.tree.File(at); ok {
				return "", f, fmt.Errorf("/%s leads to nothing: the unit is masked", at)
			}
		}
	}
	return "", f, errors.New("there is no such unit in the tree")
}

func (e *enabling) link(at, to string, unit union.File) {
	if _, have := e.links[at]; have || len(e.links) >= maxUnitLinks || !e.tree.Vacant(at) {
		return
	}
	e.links[at] = file{
		path: at, target: absolute(to), sec: unit.Layer.Inode(unit.Ino).Sec,
		why: fmt.Sprintf("enables %s of %s, as its section [Install] says", path.Base(to), unit.Package().Ref),
	}
}

// installKeys are the keys of the section [Install], all of them lists.
var installKeys = []string{"WantedBy", "RequiredBy", "UpheldBy", "Alias", "Also", "DefaultInstance"}

// parseInstall reads the section [Install] of a unit file. As systemd does it joins
// the values of a key, and begins anew where one is empty.
func parseInstall(text string) map[string][]string {
	install := make(map[string][]string)
	inside := false
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[':
			inside = line == "[Install]"
			continue
		case !inside:
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if !ok || !slices.Contains(installKeys, key) {
			continue
		}
		words := strings.Fields(value)
		if len(words) == 0 {
			delete(install, key)
		}
		for _, w := range words {
			install[key] = append(install[key], strings.Trim(w, `"'`))
		}
	}
	return install
}

// expand puts a unit's names in the place of specifiers. It returns false for what
// is then no name of a unit.
func expand(s, unit string) (string, bool) {
	whole := strings.TrimSuffix(unit, path.Ext(unit))
	prefix, instance, _ := strings.Cut(whole, "@")
	last := prefix[strings.LastIndexByte(prefix, '-')+1:]
	s = strings.NewReplacer("%n", unit, "%N", whole, "%p", prefix, "%i", instance, "%j", last, "%%", "%").Replace(s)
	return s, pkgmeta.IsUnit(s)
}
