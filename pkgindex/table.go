package pkgindex

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// table is what a Store knows of each package file and override file. The
// goroutine of Store.Run owns it, and before Run the one of Open.
type table struct {
	files     map[string]*file // by path
	ids       map[string]int   // how many files have this id
	byPackage map[identity][]*file
	overrides map[string]*override // by Ref as in the file name
	faults    map[string]string    // override file → what is wrong with it

	aside map[*file]bool // files with a reason

	keysAge   int               // counts changes of the trusted keys
	keyFaults []signature.Fault // files in their directory that have none

	queue   []job
	unread  []*imported // native packages whose contents were not verified yet
	pending int         // files queued or being read
	removed []*Package  // published, and their files gone since
	dead    []*imported // whose index and payload may go
	waiting []chan struct{}
	called  []*call // done, and not yet published

	touched map[identity]bool // since the last publish
	noise   bool              // rejected or pending changed since then
}

// identity is what can be installed once.
type identity struct {
	pkgmeta.Ref
	architecture string
	format       pkgmeta.Format
}

// file is one package file.
type file struct {
	path   string
	dir    int // index into Config.Packages
	id     string
	source *imported // nil until it is indexed
	reason string    // why it is set aside, or empty
	judged bool      // it was read, and the reason is a fault of its own
	queued bool      // counts in pending
	remake bool      // once it is not queued, its index and payload are to be made anew

	signed signed            // the signature that it was judged by
	signer *signature.Signer // who signed it, or nil

	pkg *Package // as published, or nil
}

func newTable() table {
	return table{
		files: make(map[string]*file), ids: make(map[string]int), byPackage: make(map[identity][]*file),
		aside: make(map[*file]bool), overrides: make(map[string]*override), faults: make(map[string]string), touched: make(map[identity]bool),
	}
}

func (t *table) uses(id string) bool { return t.ids[id] > 0 }

func (s *imported) identity() identity {
	return identity{s.meta.Ref, s.meta.Architecture, s.meta.Format}
}

// ignored names are no package files: hidden files, and what download tools and
// signatures leave beside them. Where somebody's signatures are trusted,
// signature files are looked at before.
func ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return true
	}
	switch filepath.Ext(name) {
	case ".part", ".partial", ".tmp", ".crdownload", ".asc", ".sig", ".minisig":
		return true
	}
	return false
}

// handle takes what happened in the directories. What came is looked at before
// what went, so that a rename finds its index.
func (s *Store) handle(events []dirwatch.Event) {
	var gone []dirwatch.Event
	keys := false
	for _, e := range events {
		switch {
		case e.Op == dirwatch.Lost:
			s.config.Log.Error().Str("directory", e.Dir).Msg("directory is gone; its packages stay as they are until it is back")
			s.wg.Go(func() { s.awaitDir(e.Dir) })
		case e.Op == dirwatch.Rescan:
			if err := s.scan(e.Dir); err != nil {
				s.config.Log.Error().Err(err).Msg("directory is not read")
			}
		case e.Op == dirwatch.Gone:
			gone = append(gone, e)
		case e.Dir == s.config.Trust:
			keys = keys || e.Op != dirwatch.Begun
		default:
			s.look(e.Dir, e.Name, e.Op == dirwatch.Begun)
		}
	}
	for _, e := range gone {
		if e.Dir == s.config.Trust {
			keys = true
			continue
		}
		s.look(e.Dir, e.Name, false)
	}
	if keys {
		if err := s.readKeys(); err != nil {
			s.config.Log.Error().Err(err).Msg("trusted keys stay as they were")
		}
	}
}

// awaitDir waits for a directory that went away.
func (s *Store) awaitDir(dir string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		if s.watch.Add(dir) == nil {
			select {
			case s.requests <- request{events: []dirwatch.Event{{Dir: dir, Op: dirwatch.Rescan}}}:
			case <-s.done:
			}
			return
		}
	}
}

// scan looks at everything in dir, and at everything that is known to have been
// there.
func (s *Store) scan(dir string) error {
	if dir == s.config.Trust {
		return s.readKeys()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
		s.look(dir, e.Name(), false)
	}
	for path := range s.files {
		if filepath.Dir(path) == filepath.Clean(dir) && !names[filepath.Base(path)] {
			s.look(dir, filepath.Base(path), false)
		}
	}
	if dir == s.config.Overrides {
		for ref := range s.overrides {
			if !names[ref+overrideSuffix] {
				s.lookOverride(ref + overrideSuffix)
			}
		}
	}
	return nil
}

// look brings the table up to date with one name. begun says that its writer
// has not closed it yet.
func (s *Store) look(dir, name string, begun bool) {
	if dir == s.config.Overrides && !slices.Contains(s.config.Packages, dir) {
		if !begun {
			s.lookOverride(name)
		}
		return
	}
	if base, ok := strings.CutSuffix(name, signature.Suffix); ok && s.config.Trust != "" && !begun {
		name = base // what it is the signature of
	}
	if ignored(name) {
		return
	}
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		s.drop(path)
		return
	}
	if err != nil || info.IsDir() {
		if err != nil {
			s.set(&file{path: path, dir: slices.Index(s.config.Packages, dir), reason: err.Error()})
		}
		return
	}
	f := &file{path: path, dir: slices.Index(s.config.Packages, dir), id: fileID(info), signed: s.signedNow(path)}
	have := s.files[path]
	switch {
	case !info.Mode().IsRegular():
		f.reason = "not a regular file"
	case have != nil && have.id == f.id && have.signed == f.signed && (have.source != nil || have.queued || have.judged):
		return
	case begun:
		f.reason = "it is still being written; it is read when its writer closes it"
	case s.unsigned(f):
		f.reason, f.judged = errUnsigned.Error(), true
	default:
		s.find(f)
	}
	if have != nil && have.id == f.id && have.source != nil && have.reason == "" && f.queued {
		// It stays until it is known what the other signature is worth.
		s.recheck(have, f.signed)
		s.queue = append(s.queue, job{path: path, id: f.id, signed: f.signed, indexed: true})
		return
	}
	s.set(f)
	if f.queued {
		s.queue = append(s.queue, job{path: path, id: f.id, signed: f.signed, indexed: s.hasIndex(path, f.id)})
	}
}

// find takes what an earlier import left for f, or says that it must be read.
func (s *Store) find(f *file) {
	src, err := s.openSource(f.path, f.id)
	if errors.Is(err, errDamaged) {
		f.reason, f.judged = err.Error(), true
		return
	}
	if err != nil {
		if errors.Is(err, errIndex) {
			s.config.Log.Warn().Err(err).Str("file", filepath.Base(f.path)).Msg("index is made again")
		}
		f.queued = true
		return
	}
	if f.signed.by == "" {
		f.source = src
		s.mayCheck(src)
		return
	}
	digest, err := s.readDigest(f.id)
	if err != nil {
		f.queued = true
		return
	}
	if f.signer, err = s.checkDigest(f.path, digest); err != nil {
		f.reason, f.judged = err.Error(), !errors.Is(err, errChanged)
		return
	}
	f.source = src
	s.mayCheck(src)
}

// set puts f in the place of what was known of its path.
func (s *Store) set(f *file) {
	if have := s.files[f.path]; have != nil {
		s.unlink(have)
	}
	s.files[f.path] = f
	s.ids[f.id]++
	if f.queued {
		s.pending++
	}
	s.setAside(f, f.reason)
	s.link(f)
}

// setAside sets the reason why f is not served, "" for none.
func (s *Store) setAside(f *file, reason string) {
	s.noise = true
	if f.reason = reason; reason == "" {
		delete(s.aside, f)
	} else {
		s.aside[f] = true
	}
}

// link enters f, once it is indexed, among the files of its package.
func (s *Store) link(f *file) {
	if f.source == nil {
		return
	}
	id := f.source.identity()
	s.byPackage[id] = append(s.byPackage[id], f)
	slices.SortFunc(s.byPackage[id], byFile)
	s.touched[id] = true
}

// unlink undoes set.
func (s *Store) unlink(f *file) {
	s.setAside(f, "")
	delete(s.files, f.path)
	s.disown(f.id)
	if f.queued {
		s.pending--
	}
	if f.source != nil {
		id := f.source.identity()
		s.byPackage[id] = slices.DeleteFunc(s.byPackage[id], func(o *file) bool { return o == f })
		s.touched[id] = true
		if f.pkg != nil {
			s.removed = append(s.removed, f.pkg)
		}
		s.dead = append(s.dead, f.source)
	} else if f.signed != (signed{}) { // it may have been served, before its signature was another
		s.dead = append(s.dead, s.newSource(f.path, f.id, pkgmeta.Meta{}, head{}))
	}
}

func (s *Store) drop(path string) {
	if f := s.files[path]; f != nil {
		s.unlink(f)
	}
}

// finish takes the result of a job, unless the file has changed since.
func (s *Store) finish(r *result) {
	f := s.files[r.path]
	if f == nil || f.id != r.id || f.signed != r.signed || !f.queued {
		if r.err == nil && !s.uses(r.id) {
			s.dead = append(s.dead, s.newSource(r.path, r.id, r.meta, r.head))
		}
		return
	}
	f.queued = false
	s.pending--
	s.setAside(f, "")
	f.signer = r.signer
	if f.source != nil && r.indexed && r.err == nil { // only its signature was in question
		s.touched[f.source.identity()] = true
		if f.remake {
			f.remake = false
			s.again(f.source, nil)
		}
		return
	}
	if f.source != nil {
		f = &file{path: f.path, dir: f.dir, id: f.id, signed: f.signed, signer: r.signer}
		s.set(f)
	}
	if r.err == nil {
		f.source = s.newSource(r.path, r.id, r.meta, r.head)
		s.mayCheck(f.source)
		s.link(f)
		return
	}
	reason := r.err.Error()
	var own *storeError
	f.judged = !errors.As(r.err, &own) && !errors.Is(r.err, errChanged)
	if own != nil {
		reason = "the state directory cannot take it: " + reason
	}
	s.setAside(f, reason)
	s.config.Log.Warn().Err(r.err).Str("file", filepath.Base(r.path)).Msg("package file is set aside")
}

// again queues a package file whose index or payload is to be made anew. The
// package stays until they are there.
func (s *Store) again(src *imported, why error) {
	f := s.files[src.path]
	if f == nil || f.source != src {
		return
	}
	if why != nil {
		s.config.Log.Warn().Err(why).Str("package", src.meta.Ref.String()).Msg("index is made again")
	}
	if f.queued { // because of its signature, or for this
		f.remake = true
		return
	}
	s.recheck(f, f.signed)
	s.queue = append(s.queue, job{path: f.path, id: f.id, signed: f.signed})
}

// changes compares the table with what is published, which it then takes to be
// the same.
func (s *Store) changes() (added, removed []*Package, rejected []Rejected, changed bool) {
	if !s.noise && len(s.touched) == 0 {
		return nil, nil, nil, false
	}
	removed, s.removed = s.removed, nil
	for id := range s.touched {
		files := s.byPackage[id]
		if len(files) == 0 {
			delete(s.byPackage, id)
			continue
		}
		for i, f := range files {
			if f.pkg != nil {
				removed = append(removed, f.pkg)
				f.pkg = nil
			}
			if i == 0 {
				s.setAside(f, "")
				f.pkg = s.overrideFor(id.Ref).apply(f.source)
				f.pkg.Signer = f.signer
				added = append(added, f.pkg)
			} else {
				s.setAside(f, fmt.Sprintf("%s (%s) is installed already, from %s; remove one of the two", id.Ref, id.architecture, files[0].path))
			}
		}
	}
	for f := range s.aside {
		rejected = append(rejected, Rejected{filepath.Base(f.path), f.reason})
	}
	for name, reason := range s.faults {
		rejected = append(rejected, Rejected{filepath.Join("overrides", name), reason})
	}
	for _, fault := range s.keyFaults {
		rejected = append(rejected, Rejected{filepath.Join("trust", fault.File), fault.Err.Error()})
	}
	slices.SortFunc(rejected, func(a, b Rejected) int { return strings.Compare(a.File, b.File) })
	clear(s.touched)
	s.noise = false
	return added, removed, rejected, true
}

// overrideFor prefers the file that names the version.
func (s *Store) overrideFor(ref pkgmeta.Ref) *override {
	if o := s.overrides[ref.String()]; o != nil {
		return o
	}
	return s.overrides[ref.Name]
}

// lookOverride reads one override file again, and touches the packages it is
// for. A file with an error keeps its last good meaning.
func (s *Store) lookOverride(name string) {
	ref, ok := strings.CutSuffix(name, overrideSuffix)
	if !ok || ignored(name) {
		return
	}
	o, err := readOverride(filepath.Join(s.config.Overrides, name), s.config.Aliases)
	if errors.Is(err, dirwatch.ErrWriting) {
		return // it is read when its writer closes it
	}
	delete(s.faults, name)
	s.noise = true
	switch {
	case errors.Is(err, fs.ErrNotExist):
		delete(s.overrides, ref)
	case err != nil:
		s.faults[name] = err.Error()
		s.config.Log.Warn().Err(err).Str("file", name).Msg("override file keeps its last good meaning")
		return
	default:
		s.overrides[ref] = o
	}
	for id := range s.byPackage {
		if id.Name == ref || id.Ref.String() == ref {
			s.touched[id] = true
		}
	}
}
