package pkgindex

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pfs"
)

// In the place of a payload, a native package has a file with the table by
// which the package file is read, and behind it what is known of the contents.
type contentsState string

const (
	contentsUnread  contentsState = "unread.." // nothing yet
	contentsGood    contentsState = "good...."
	contentsDamaged contentsState = "damaged."
	contentsRotten  contentsState = "rotten.." // what was read was not what it had been

	stateSize = int64(len(contentsUnread))
)

// errDamaged is why a package file is set aside once its contents were read.
var errDamaged = errors.New("its contents are not what its table of contents says; fetch or build the package file anew")

// wasRotten is the mark of a package that was read before the server started.
const wasRotten = "what was read of it was not what its table of contents says; fetch or build the package file anew"

// checkAtOnce is the size of an archive whose contents are verified before the
// package is live: reading it takes a few hundredths of a second. Those of a
// larger one are verified afterwards.
const checkAtOnce = 8 << 20

// importNative takes a native package file over, whose contents stay where they
// are. What it costs depends on the number of files and not on their sizes.
func (s *Store) importNative(im *importer, f *os.File, size int64) error {
	table, err := format.ReadTable(f, size, s.config.Limits, im)
	if err != nil {
		return err
	}
	state := contentsUnread
	if table.Archive <= checkAtOnce {
		var damage *pfs.DamageError
		if err := pfs.Check(f, size, nil); errors.As(err, &damage) {
			return fmt.Errorf("%w; fetch or build the package file anew", err)
		} else if err != nil {
			return err
		}
		state = contentsGood
	}
	_, err = im.Write(append(table.Encode(), state...))
	return err
}

// stateOf reads what is known of a native package's contents.
func (s *Store) stateOf(imp *imported) contentsState {
	f, err := os.Open(s.payloadPath(imp.id))
	if err != nil {
		return contentsUnread
	}
	defer f.Close()
	b := make([]byte, stateSize)
	if _, err := f.ReadAt(b, int64(imp.head.payload)-stateSize); err != nil {
		return contentsUnread
	}
	return contentsState(b)
}

// setState remembers what was found out of a native package's contents.
func (s *Store) setState(imp *imported, state contentsState) error {
	f, err := os.OpenFile(s.payloadPath(imp.id), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(state), int64(imp.head.payload)-stateSize)
	return err
}

// openPackage opens the package file, which must be the one that was indexed.
func (imp *imported) openPackage() (*os.File, int64, error) {
	f, err := openPackageFile(imp.path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && fileID(info) != imp.id {
		err = fmt.Errorf("%s was replaced: %w", imp.path, fs.ErrNotExist)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// inPlace is a native package file that is read.
type inPlace struct {
	*pfs.File
	f *os.File
}

func (p *inPlace) Close() error { return p.f.Close() }

func (imp *imported) openInPlace(chunks *pfs.Cache) (contents, error) {
	data, err := os.ReadFile(imp.store.payloadPath(imp.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, imp.lost(err)
	} else if err != nil {
		return nil, err
	}
	table, err := pfs.DecodeTable(data[:max(0, int64(len(data))-stateSize)])
	if err != nil {
		return nil, imp.lost(fmt.Errorf("%s: %w", imp.meta.Ref, err))
	}
	f, _, err := imp.openPackage()
	if err != nil {
		return nil, err
	}
	return &inPlace{pfs.NewFile(imp.serial, f, table, chunks, imp.damaged), f}, nil
}

// damaged marks the package, whose file is not what it was when it was indexed.
// The mark stays over restarts, until the index is made again.
func (imp *imported) damaged(err error) {
	reason := fmt.Sprintf("%v; fetch or build the package file anew", err)
	if !imp.damage.CompareAndSwap(nil, &reason) {
		return
	}
	imp.store.config.Log.Error().Str("package", imp.meta.Ref.String()).Str("file", filepath.Base(imp.path)).Str("reason", reason).
		Msg("package file is damaged")
	if err := imp.store.setState(imp, contentsRotten); err != nil {
		imp.store.config.Log.Warn().Err(err).Str("package", imp.meta.Ref.String()).Msg("damage is forgotten at the next start")
	}
	if imp.store.config.OnDamage != nil {
		imp.store.config.OnDamage(FileDamage{imp.meta.Ref, imp.meta.Architecture, filepath.Base(imp.path), reason})
	}
}
