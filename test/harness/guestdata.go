package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// GuestData is what the outer test prepares for the guest: the program under
// test, package files, and what their trees must be.
type GuestData struct {
	Program  string
	Corpus   Stock // of the contexts' package files
	Contexts map[string]GuestContext
	Live     LivePackages
	Source   string // the source of GNU hello, configured
	Pythons  string // directory of a server of the Pythons that has indexed them
}

// A GuestContext is a context by its attach name: the package files of its
// view, and the file with the tree that it must have.
type GuestContext struct {
	Files    []string
	Manifest string
}

// GuestDataEnv names the directory of the data in the guest's environment.
const GuestDataEnv = "GUEST_DATA"

// Save writes the data below dir.
func (d GuestData) Save(dir string) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "data.json"), data, 0o644)
}

// LoadGuestData reads what Save wrote.
func LoadGuestData(dir string) (*GuestData, error) {
	data, err := os.ReadFile(filepath.Join(dir, "data.json"))
	if err != nil {
		return nil, err
	}
	d := &GuestData{}
	return d, json.Unmarshal(data, d)
}
