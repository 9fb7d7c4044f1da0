package enter

import "strings"

// getenv is the value of a variable in a list.
func getenv(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Setenv gives a list in which a variable has a value.
func Setenv(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return append(out, name+"="+value)
}

// ContextVar is the variable that tells programs what context they are in.
const ContextVar = "PACKAGEFS_CONTEXT"

// Env is the environment of a program in a context: the directories where
// packages have programs are in PATH, and it tells context and server.
func Env(env []string, context, server string) []string {
	path := getenv(env, "PATH")
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		if !strings.Contains(":"+path+":", ":"+dir+":") {
			path = strings.TrimPrefix(path+":"+dir, ":")
		}
	}
	env = Setenv(env, "PATH", path)
	env = Setenv(env, ContextVar, context)
	return Setenv(env, "PACKAGEFS_SERVER", server)
}
