package server

import (
	"path/filepath"
	"slices"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/union"
)

// systemLayer is the mutable layer that is seen below everybody's own. Who
// speaks for everybody changes it through the context all.
const systemLayer = "system"

// layer returns the mutable layer of a context, by the base name of the
// context's file.
func (fs *FS) layer(name string) (*union.Mutable, error) {
	fs.layersMu.Lock()
	defer fs.layersMu.Unlock()
	if m := fs.layers[name]; m != nil {
		return m, nil
	}
	m, err := union.OpenMutable(filepath.Join(fs.config.State, "mutable", name), fs.quota, fs.config.Log)
	if err != nil {
		return nil, err
	}
	fs.layers[name] = m
	return m, nil
}

// quota is what each layer may hold.
func (fs *FS) quota() union.Quota {
	return union.Quota{Bytes: fs.config.LayerBytes, Files: fs.config.LayerFiles}
}

// closeLayers closes what the layers have open.
func (fs *FS) closeLayers() {
	fs.layersMu.Lock()
	defer fs.layersMu.Unlock()
	for _, m := range fs.layers {
		m.Close()
	}
	clear(fs.layers)
}

// stackFor returns what an attach to a view shows: the layer of the context, the
// system's, and the tree. prev is what it showed before, which is returned if
// nothing is different.
func (fs *FS) stackFor(v *context.View, as caller, tree *union.Tree, prev *union.Stack) (*union.Stack, error) {
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
		m, err := fs.layer(name)
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
