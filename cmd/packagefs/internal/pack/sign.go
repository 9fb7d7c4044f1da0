package pack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// SignCmd signs package files.
type SignCmd struct {
	Files   []string `arg:"" name:"file" help:"Package files."`
	Key     string   `required:"" placeholder:"FILE" help:"The secret key, as packagefs keygen or minisign -G make it."`
	Comment string   `placeholder:"TEXT" help:"A comment that is signed, too. Default: the file's name."`
	secret
}

// Help is shown below the flags.
func (*SignCmd) Help() string {
	return `The signature is written beside each file, as FILE.minisig. It is one of minisign, which can verify it and whose signatures are as good.

Examples:
  packagefs sign hello_2.10-3_amd64.deb --key ~/.minisign/minisign.key
  packagefs sign *.rpm --key release.key --comment 'release 2.1' --password-file secret.txt`
}

func (c *SignCmd) Run(env *cli.Env) error {
	key, err := signature.ReadPrivateKey(c.Key, func() (string, error) { return c.password(env, "Password of "+c.Key) })
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if strings.ContainsAny(c.Comment, "\n\r") {
		return cli.Usagef("--comment: must be one line")
	}
	var errs []error
	for _, file := range c.Files {
		if err := key.Sign(file, c.Comment); err != nil {
			errs = append(errs, fmt.Errorf("sign: %w", err))
			continue
		}
		fmt.Fprintf(env.Stdout, "%s: signed by key %s\n", file+signature.Suffix, key.ID())
	}
	return errors.Join(errs...)
}

// secret is how a password gets here.
type secret struct {
	PasswordFile string `placeholder:"FILE" help:"Read the password from this file. Default: $PACKAGEFS_SIGN_PASSWORD, else the terminal is asked."`
}

// password returns the password, without the end of its line.
func (s *secret) password(env *cli.Env, prompt string) (string, error) {
	if s.PasswordFile != "" {
		text, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("password: %w", err)
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
	if text, ok := os.LookupEnv("PACKAGEFS_SIGN_PASSWORD"); ok {
		return text, nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errors.New("there is no terminal to ask for the password; use --password-file or PACKAGEFS_SIGN_PASSWORD")
	}
	defer tty.Close()
	fmt.Fprintf(tty, "%s: ", prompt)
	text, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return string(text), err
}

// KeygenCmd makes a key pair.
type KeygenCmd struct {
	Name       string `arg:"" name:"file" help:"Where to write the keys: FILE.key, which is secret, and FILE.pub."`
	NoPassword bool   `help:"Do not encrypt the secret key."`
	secret
}

// Help is shown below the flags.
func (*KeygenCmd) Help() string {
	return `The keys are those of minisign. The public key belongs into the directory that servers are given with --trust.

Examples:
  packagefs keygen release
  packagefs keygen --no-password release && cp release.pub /etc/packagefs/trust/`
}

func (c *KeygenCmd) Run(env *cli.Env) error {
	secretFile, publicFile := c.Name+".key", c.Name+signature.KeySuffix
	for _, file := range []string{secretFile, publicFile} {
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("keygen: %s is there already", file)
		}
	}
	password := ""
	if !c.NoPassword {
		var err error
		if password, err = c.password(env, "Password for "+filepath.Base(secretFile)); err != nil {
			return fmt.Errorf("keygen: %w", err)
		}
		if password == "" {
			return errors.New("keygen: the password is empty; say --no-password if that is meant")
		}
	}
	pair, err := signature.NewKeyPair(password)
	if err != nil {
		return fmt.Errorf("keygen: %w", err)
	}
	if err := writeNew(secretFile, pair.Secret, 0o600); err != nil {
		return fmt.Errorf("keygen: %w", err)
	}
	if err := writeNew(publicFile, pair.Public, 0o644); err != nil {
		return fmt.Errorf("keygen: %w", err)
	}
	fmt.Fprintf(env.Stdout, "key %s: %s, %s\n", pair.ID, secretFile, publicFile)
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
