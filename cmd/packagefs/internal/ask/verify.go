package ask

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/signature"
	"github.com/packagefs/packagefs/server/api"
)

// VerifyCmd checks signatures of package files, and what the server has made of
// its packages.
type VerifyCmd struct {
	What      []string `arg:"" optional:"" name:"what" help:"Package files, whose signatures are checked; or packages of the server, NAME or NAME=VERSION, whose contents are. Default: all packages."`
	Trust     string   `placeholder:"DIR" help:"The directory of public keys that may have signed the files."`
	PublicKey string   `placeholder:"KEY" help:"The public key that must have signed the files: a file, or the key itself as minisign -P takes it."`
	Repair    bool     `help:"Make index and contents of damaged packages again from their package files."`
	JSON      bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*VerifyCmd) Help() string {
	return `An argument that is a file with the name of a package file is checked by the signature beside it, FILE.minisig. Anything else is a package: the server reads its contents and its index again and compares them with the digests that were noted when the package file was read. A native package's contents are in its package file, so that nothing but another copy of that repairs them. Both exit with status 1 if anything is wrong.

Examples:
  packagefs verify hello_2.10-3_amd64.deb --trust /etc/packagefs/trust
  packagefs verify *.rpm --public-key release.pub
  packagefs verify
  packagefs verify --repair blender`
}

// packageFileName are the names that package files have.
var packageFileName = regexp.MustCompile(`\.(deb|apk|rpm|pfs|tar|tar\.[a-z0-9]+)$`)

// Validate is called by the command line parser.
func (c *VerifyCmd) Validate() error {
	if c.Trust != "" && c.PublicKey != "" {
		return cli.Usagef("--trust and --public-key: one of the two is enough")
	}
	return nil
}

func (c *VerifyCmd) Run(env *cli.Env) error {
	files, packages := splitFiles(c.What)
	switch {
	case len(files) > 0 && len(packages) > 0:
		return cli.Usagef("%s is a file, %s is not: verify files and packages one after the other", files[0], packages[0])
	case len(files) > 0:
		return c.files(env, files)
	case c.Trust != "" || c.PublicKey != "":
		return cli.Usagef("no package file is named whose signature could be checked")
	}
	return c.packages(env, packages)
}

// splitFiles tells package files, which exist, from names of packages.
func splitFiles(what []string) (files, packages []string) {
	for _, w := range what {
		info, err := os.Stat(w)
		if err == nil && info.Mode().IsRegular() && packageFileName.MatchString(w) {
			files = append(files, w)
		} else {
			packages = append(packages, w)
		}
	}
	return files, packages
}

// A signedFile is one line of the answer.
type signedFile struct {
	File    string `json:"file"`
	OK      bool   `json:"ok"`
	KeyID   string `json:"key_id,omitempty"`
	Key     string `json:"key,omitempty"`
	Comment string `json:"comment,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

func (c *VerifyCmd) files(env *cli.Env, files []string) error {
	keys, err := trustedKeys(c.Trust, c.PublicKey)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	var rows []signedFile
	var errs []error
	for _, file := range files {
		row := signedFile{File: file}
		signer, err := keys.CheckFile(file)
		if err != nil {
			row.Reason = err.Error()
			errs = append(errs, fmt.Errorf("verify: %s: %w", file, err))
		} else {
			row.OK, row.KeyID, row.Key, row.Comment = true, string(signer.KeyID), signer.Key, signer.Comment
		}
		rows = append(rows, row)
	}
	if c.JSON {
		return errors.Join(append(errs, cli.PrintJSON(env.Stdout, rows))...)
	}
	t := cli.NewTable(env.Stdout)
	for _, r := range rows {
		if r.OK {
			t.Row(r.File, "signed by "+r.KeyID, r.Key, r.Comment)
		}
	}
	return errors.Join(append(errs, t.End())...)
}

// trustedKeys reads the keys of a directory, or one key.
func trustedKeys(dir, key string) (*signature.Keys, error) {
	switch {
	case dir != "":
		keys, faults, err := signature.ReadKeys(dir)
		if err == nil && len(faults) > 0 {
			err = fmt.Errorf("%s in %s %w", faults[0].File, dir, faults[0].Err)
		}
		if err == nil && keys.Len() == 0 {
			err = fmt.Errorf("there is no key in %s: want NAME.pub", dir)
		}
		return keys, err
	case key != "":
		if text, err := os.ReadFile(key); err == nil {
			key = string(text)
		}
		keys, err := signature.ParseKey(key)
		if err != nil {
			err = fmt.Errorf("--public-key %w, nor a file that has one", err)
		}
		return keys, err
	}
	return nil, errors.New("name who may have signed the files: --trust DIR or --public-key KEY")
}

// packages lets the server compare packages with their digests.
func (c *VerifyCmd) packages(env *cli.Env, selectors []string) error {
	if len(selectors) == 0 {
		var rows []api.PackageRow
		if err := env.Query(api.Query{Op: api.OpPackages, Context: "all"}, &rows); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		for _, r := range rows {
			there := r.State == api.StateInstalled || r.State == api.StateDamaged
			if ref := r.Name + "=" + r.Version; there && !slices.Contains(selectors, ref) {
				selectors = append(selectors, ref)
			}
		}
	}
	bar := cli.NewProgressLine(env.Stderr)
	var rows []api.VerifyRow
	var errs []error
	for i, selector := range selectors {
		bar.Show("verified %d of %s", i, cli.Plural(len(selectors), "package"))
		var some []api.VerifyRow
		if err := env.Query(api.Query{Op: api.OpVerify, Package: selector}, &some); err != nil {
			errs = append(errs, fmt.Errorf("verify: %w", err))
		}
		rows = append(rows, some...)
	}
	bar.Clear()
	damaged := slices.DeleteFunc(slices.Clone(rows), func(r api.VerifyRow) bool { return r.OK })
	if c.Repair && len(damaged) > 0 {
		errs = append(errs, repair(env, damaged))
	}
	if c.JSON {
		errs = append(errs, cli.PrintJSON(env.Stdout, rows))
	} else {
		t := cli.NewTable(env.Stdout)
		for _, r := range damaged {
			t.Row(r.Package, r.Architecture, r.Path, r.Reason)
		}
		errs = append(errs, t.End())
		fmt.Fprintf(env.Stdout, "%s verified, %d damaged\n", cli.Plural(len(rows), "package"), len(damaged))
	}
	if len(damaged) > 0 && !c.Repair {
		errs = append(errs, errors.New("verify: there is damage; verify --repair makes it again from the package files"))
	}
	return errors.Join(errs...)
}

// repair has damaged packages made again, and looks whether that was enough.
func repair(env *cli.Env, damaged []api.VerifyRow) error {
	var errs []error
	for _, r := range damaged {
		if _, err := env.Command("repair", r.Package); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := repaired(env, r.Package); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(env.Stdout, "%s repaired\n", r.Package)
	}
	return errors.Join(errs...)
}

// repaired waits until a package is made again, and verifies it.
func repaired(env *cli.Env, ref string) error {
	return cli.Poll(env, func() (bool, error) {
		var status api.Status
		if err := env.Query(api.Query{Op: api.OpStatus}, &status); err != nil || status.Indexing > 0 {
			return false, err
		}
		var rows []api.VerifyRow
		if err := env.Query(api.Query{Op: api.OpVerify, Package: ref}, &rows); err != nil {
			return false, fmt.Errorf("verify: it could not be made again: %w; see: packagefs packages --rejected", err)
		}
		for _, r := range rows {
			if !r.OK {
				return false, fmt.Errorf("verify: %s is damaged still: %s", r.Package, r.Reason)
			}
		}
		return true, nil
	})
}
