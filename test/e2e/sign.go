package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// Signatures and keys go both ways between packagefs and minisign.
func testMinisign(t *testing.T) {
	binary := harness.Program(t)
	for _, password := range []string{"", "a secret"} {
		dir := t.TempDir()
		harness.WriteFiles(t, dir, map[string]string{"x.deb": "content", "password": password + "\n"})
		run := func(name string, args ...string) (string, error) {
			cmd := exec.Command(name, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir)
			cmd.Stdin = strings.NewReader(password + "\n" + password + "\n")
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		must := func(name string, args ...string) string {
			t.Helper()
			out, err := run(name, args...)
			if err != nil {
				t.Fatalf("%s %q: %v\n%s", name, args, err, out)
			}
			return out
		}
		plain := []string{}
		if password == "" {
			plain = []string{"-W"}
		}
		must("minisign", append([]string{"-G", "-p", "mini.pub", "-s", "mini.key"}, plain...)...)
		keygen := []string{"keygen", "ours", "--password-file", "password"}
		if password == "" {
			keygen = []string{"keygen", "ours", "--no-password"}
		}
		must(binary, keygen...)
		for _, key := range []string{"mini", "ours"} {
			if password == "" || key == "mini" { // a password takes long, by design
				must(binary, "sign", "x.deb", "--key", key+".key", "--comment", "by packagefs", "--password-file", "password")
				if out := must("minisign", "-V", "-m", "x.deb", "-p", key+".pub"); !strings.Contains(out, "by packagefs") {
					t.Errorf("minisign -V says %q", out)
				}
			}
			if password == "" || key == "ours" {
				must("minisign", "-S", "-m", "x.deb", "-s", key+".key", "-t", "by minisign")
				if out := must(binary, "verify", "x.deb", "--public-key", key+".pub"); !strings.Contains(out, "by minisign") {
					t.Errorf("verify says %q", out)
				}
			}
		}
		if password != "" {
			if out, err := run(binary, "sign", "x.deb", "--key", "mini.key", "--password-file", "x.deb"); err == nil || !strings.Contains(out, "password is wrong") {
				t.Errorf("the wrong password: %v\n%s", err, out)
			}
			continue
		}
		must("minisign", "-S", "-l", "-m", "x.deb", "-s", "mini.key")
		if out, err := run(binary, "verify", "x.deb", "--public-key", "mini.pub"); err == nil || !strings.Contains(out, "without minisign's option -l") {
			t.Errorf("an old signature: %v\n%s", err, out)
		}
	}
}
