// Package local has the commands that change what this machine, or one program on it,
// finds at its usual paths: mount and umount, run, shell and enter, login, and doctor,
// which tells whether they can work. What they do is in the packages mount, enter and
// login; these are their command lines.
package local
