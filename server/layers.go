package server

import (
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/union"
)

// systemLayer is the mutable layer that is seen below everybody's own. Who
// speaks for everybody changes it through the context all.
const systemLayer = "system"

// layers are the mutable layers, each opened when it is first asked for.
type layers struct {
	dir   string // that has a directory for each
	quota union.Quota
	files *union.OpenFiles
	log   zerolog.Logger

	mu   sync.Mutex                // guards open
	open map[string]*union.Mutable // by the name of their directory
}

func newLayers(config *Config) *layers {
	return &layers{
		dir:   filepath.Join(config.State, "mutable"),
		quota: union.Quota{Bytes: config.LayerBytes, Files: config.LayerFiles},
		files: openFiles(config.Descriptors - config.Limits.Conns),
		log:   config.Log, open: make(map[string]*union.Mutable),
	}
}

// openFiles shares n descriptors out, which are not for connections. A quarter is for
// package files and directories, another is root's, and what is left lasts for four
// users who take all they may.
func openFiles(n int) *union.OpenFiles {
	return &union.OpenFiles{PerUser: max(n/8, 1), Users: max(n/2, 1), All: max(n/4*3, 1)}
}

// get returns the mutable layer of a context, by the base name of the context's
// file.
func (ls *layers) get(name string) (*union.Mutable, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if m := ls.open[name]; m != nil {
		return m, nil
	}
	m, err := union.OpenMutable(filepath.Join(ls.dir, name), func() union.Quota { return ls.quota }, ls.files, ls.log)
	if err != nil {
		return nil, err
	}
	ls.open[name] = m
	return m, nil
}

// names returns those that are open.
func (ls *layers) names() []string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Collect(maps.Keys(ls.open))
}

// close closes what the layers have open.
func (ls *layers) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, m := range ls.open {
		m.Close()
	}
	clear(ls.open)
}

// stack returns what an attach to a view shows: the layer of the context, the
// system's, and the tree. prev is what it showed before, which is returned if
// nothing is different.
func (ls *layers) stack(v *context.View, as caller, tree *union.Tree, prev *union.Stack) (*union.Stack, error) {
	s := &union.Stack{Tree: tree}
	var names []string
	switch v.Name.Kind {
	case attachname.KindAll:
		names, s.Own = []string{systemLayer}, as.Trusted
	case attachname.KindUser, attachname.KindGroup:
		if s.Own = v.Mutable == files.MutableOwn; s.Own {
			names = []string{layerName(v.Name)}
		}
		names = append(names, systemLayer)
	default:
		names = []string{systemLayer}
	}
	for _, name := range names {
		m, err := ls.get(name)
		if err != nil {
			return nil, err
		}
		s.Layers = append(s.Layers, m)
	}
	if prev != nil && prev.Tree == s.Tree && prev.Own == s.Own && slices.Equal(prev.Layers, s.Layers) {
		return prev, nil
	}
	return s, nil
}

// layerName is the name of the directory of a context's layer.
func layerName(name attachname.Name) string {
	return attachname.Name{Kind: name.Kind, Name: name.Name}.String()
}
