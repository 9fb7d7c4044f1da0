package ask

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// An origin is where a package file comes from.
type origin struct {
	name   string   // base name that it gets
	file   string   // path, or empty
	url    *url.URL // or this
	sha256 string   // in hexadecimal; empty: not known
}

// parseOrigin reads a path or a URL.
func parseOrigin(text string) (origin, error) {
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return origin{name: filepath.Base(text), file: text}, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return origin{}, err
	}
	o := origin{name: path.Base(u.Path), url: u}
	if o.name == "/" || o.name == "." || strings.HasPrefix(o.name, ".") || u.Host == "" {
		return o, fmt.Errorf("%s is not the URL of a file", text)
	}
	if u.Fragment != "" {
		digest, ok := strings.CutPrefix(u.Fragment, "sha256=")
		if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != sha256.Size {
			return o, fmt.Errorf("%s: want #sha256= and 64 hexadecimal digits behind the URL", text)
		}
		o.sha256, u.Fragment = strings.ToLower(digest), ""
	}
	return o, nil
}

// fetch gets a package file and its signature, and checks what is known of them.
func (s *stagedFiles) fetch(env *cli.Env, o origin, bar *cli.ProgressLine, keys *signature.Keys) error {
	digest, err := s.copyIn(env, o, o.name, bar)
	if err != nil {
		return err
	}
	if o.sha256 != "" && digest != o.sha256 {
		return fmt.Errorf("has the SHA-256 %s, want %s", digest, o.sha256)
	}
	signed := o
	if o.url != nil {
		u := *o.url
		u.Path += signature.Suffix
		u.RawPath = ""
		signed.url = &u
	} else {
		signed.file += signature.Suffix
	}
	_, err = s.copyIn(env, signed, o.name+signature.Suffix, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("signature: %w", err)
	}
	if keys != nil {
		if err != nil {
			return errors.New("is not signed: there is no " + o.name + signature.Suffix)
		}
		if _, err := keys.CheckFile(s.path(o.name)); err != nil {
			return err
		}
	}
	s.files = append(s.files, o.name)
	return s.drop(o.name)
}

// copyIn copies a file into the directory, durably, and returns its SHA-256.
func (s *stagedFiles) copyIn(env *cli.Env, o origin, name string, bar *cli.ProgressLine) (string, error) {
	from, size, err := o.open(env)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.OpenFile(s.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", errors.New("another file of that name is to be installed as well")
	}
	if err != nil {
		return "", err
	}
	defer to.Close()
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(to, sum), &progressReader{from, env, bar, name, size, 0}, make([]byte, 1<<20))
	if err != nil {
		return "", err
	}
	if size >= 0 && n != size {
		return "", fmt.Errorf("has %d bytes, %d were to come", n, size)
	}
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(to.Sync(), to.Close())
}

// open opens the file and tells its size, −1 if that is not known.
func (o origin) open(env *cli.Env) (io.ReadCloser, int64, error) {
	if o.url == nil {
		f, err := os.Open(o.file)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a regular file", o.file)
		}
		if err != nil {
			f.Close()
			return nil, 0, err
		}
		return f, info.Size(), nil
	}
	req, err := http.NewRequestWithContext(env, http.MethodGet, o.url.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, answer.ContentLength, nil
	}
	answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone {
		return nil, 0, fmt.Errorf("the server says %s: %w", answer.Status, fs.ErrNotExist)
	}
	return nil, 0, fmt.Errorf("the server says %s", answer.Status)
}

// A progressReader shows how much was read, and ends when env does.
type progressReader struct {
	io.Reader
	env  *cli.Env
	bar  *cli.ProgressLine // or nil
	name string
	size int64
	n    int64
}

func (w *progressReader) Read(p []byte) (int, error) {
	if err := w.env.Err(); err != nil {
		return 0, err
	}
	n, err := w.Reader.Read(p)
	w.n += int64(n)
	switch {
	case w.bar == nil:
	case w.size > 0:
		w.bar.Show("%s: %s of %s", cli.Printable(w.name), cli.SizeText(w.n), cli.SizeText(w.size))
	default:
		w.bar.Show("%s: %s", cli.Printable(w.name), cli.SizeText(w.n))
	}
	return n, err
}
