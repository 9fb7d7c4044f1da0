package enter

import (
	"cmp"
	"strings"
)

// getenv is the value of a variable in a list.
func getenv(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// setenv gives a list in which a variable has a value.
func setenv(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return append(out, name+"="+value)
}

// contextVar is the variable that tells what context a program was started in.
const contextVar = "PACKAGEFS_CONTEXT"

// environment is that of a program in a context: the directories where packages
// have programs are in PATH, and it tells context and server.
func environment(o *Options) []string {
	path := getenv(o.Env, "PATH")
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		if !strings.Contains(":"+path+":", ":"+dir+":") {
			path = strings.TrimPrefix(path+":"+dir, ":")
		}
	}
	env := setenv(o.Env, "PATH", path)
	if o.Prompt != "" {
		env = setenv(env, "PS1", o.Prompt)
	}
	env = setenv(env, contextVar, cmp.Or(o.Base, o.Context))
	return setenv(env, "PACKAGEFS_SERVER", o.Server.String())
}
