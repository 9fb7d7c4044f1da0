package enter

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// A plan is how this process gets into a context.
type plan struct {
	contexts *contextsDir
	options  *Options
	mounts   []mount.Line
	layers   *layers

	program program
	self    *os.File // this program, which tells what failed
	report  *os.File // takes what the program has done
	fd      struct{ self, report, contexts int }
}

// cwd says that a path is looked up as usual.
var cwd = uint64(unix.AT_FDCWD & (1<<64 - 1))

const cloneFlags = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE

// run makes this process the program.
func (p *plan) run() error {
	var err error
	if p.self, err = os.Open("/proc/self/exe"); err != nil {
		return err
	}
	defer p.self.Close()
	fd, err := unix.MemfdCreate("packagefs-report", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	p.report = os.NewFile(uintptr(fd), "report")
	defer p.report.Close()
	p.fd.self, p.fd.report, p.fd.contexts = int(p.self.Fd()), fd, int(p.contexts.dir.Fd())

	at, err := os.Getwd()
	if err != nil {
		at = "/"
		fmt.Fprintf(p.options.Notes, "packagefs: the working directory has no path; the program starts in /\n")
	}
	for _, f := range []int{p.fd.self, p.fd.report, p.fd.contexts} {
		p.program.add("keep a descriptor", unix.SYS_FCNTL, uint64(f), unix.F_SETFD, unix.FD_CLOEXEC)
		if _, err := unix.FcntlInt(uintptr(f), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	if p.options.Session != "" {
		p.leave()
		p.stack()
		p.program.add("", unix.SYS_EXIT_GROUP, 0)
	} else {
		p.namespaces()
		p.stack()
		p.chdir(at)
		p.execute()
	}
	failure, err := p.failure()
	if err != nil {
		return err
	}
	return p.program.become(failure)
}

// namespaces adds the steps into a mount namespace, and for those who are not root
// a user namespace in which they may mount.
func (p *plan) namespaces() {
	g := &p.program
	flags, uid, gid := unix.CLONE_NEWNS, os.Geteuid(), os.Getegid()
	if uid != 0 {
		flags |= unix.CLONE_NEWUSER
	}
	g.add("make a namespace", unix.SYS_UNSHARE, uint64(flags)).to(aimUnshare)
	if uid != 0 {
		for _, m := range [][2]string{
			{"setgroups", "deny"}, {"uid_map", fmt.Sprintf("%d %d 1\n", uid, uid)}, {"gid_map", fmt.Sprintf("%d %d 1\n", gid, gid)},
		} {
			file := "/proc/self/" + m[0]
			open := g.add("open "+file, unix.SYS_OPENAT, cwd, g.str(file), unix.O_WRONLY|unix.O_CLOEXEC)
			g.add("write "+file, unix.SYS_WRITE, 0, g.str(m[1]), uint64(len(m[1]))).takes(0, open).to(aimMap)
		}
	}
	if s := p.options.DeathSignal; s > 0 { // the new user namespace clears it
		g.add("keep the parent's death signal", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uint64(s))
	}
	p.isolateMounts()
}

// isolateMounts adds the step that lets mounts in the namespace stay in it.
func (p *plan) isolateMounts() {
	g := &p.program
	g.add("change mounts in the namespace", unix.SYS_MOUNT, g.str(""), g.str("/"), g.str(""), unix.MS_REC|unix.MS_SLAVE, g.str("")).to(aimMount)
}

// leave adds the steps out of the contexts that the mount namespace is in.
func (p *plan) leave() {
	g := &p.program
	p.isolateMounts()
	for _, m := range slices.Backward(p.mounts) {
		if isStacked(&m) {
			g.add("leave the context on "+m.Point, unix.SYS_UMOUNT2, g.str(m.Point), unix.MNT_DETACH)
		}
	}
}

// clone adds the step that makes a detached clone of what is mounted on a path,
// and all below it.
func (p *plan) clone(path string) *step {
	return p.program.add("clone the mount "+path, unix.SYS_OPEN_TREE, cwd, p.program.str(path), cloneFlags)
}

// attach adds the step that mounts what a step gives.
func (p *plan) attach(from *step, path string) *step {
	g := &p.program
	s := g.add("mount "+path, unix.SYS_MOVE_MOUNT, 0, g.str(""), cwd, g.str(path), unix.MOVE_MOUNT_F_EMPTY_PATH)
	return s.takes(0, from)
}

// stack adds the steps that stack the tree on the root.
func (p *plan) stack() {
	if p.contexts.within() {
		root, contexts := p.clone(rootPoint), p.clone(contextsPoint)
		p.layer(contextsPoint, rootPoint)
		p.attach(root, rootPoint).optional = true
		p.attach(contexts, contextsPoint).optional = true
		return
	}
	g := &p.program
	root := p.clone("/")
	if p.contexts.point == "" {
		g.add("mount the directory of contexts", unix.SYS_MOVE_MOUNT, uint64(p.fd.contexts), g.str(""), cwd, g.str(stage), unix.MOVE_MOUNT_F_EMPTY_PATH)
	} else {
		p.attach(p.clone(p.contexts.point), stage)
	}
	p.layer(stage, "/")
	toRoot := p.attach(root, rootPoint)
	toContexts := g.add("mount "+contextsPoint, unix.SYS_MOVE_MOUNT, cwd, g.str(stage), cwd, g.str(contextsPoint), 0)
	// A tree without these directories cannot be left for another.
	away := g.add("unmount "+stage, unix.SYS_UMOUNT2, g.str(stage), unix.MNT_DETACH)
	toRoot.otherwise, toContexts.otherwise = away, away
	toContexts.next = g.after(away)
}

// layer adds the steps that mount each directory of the tree over that of the
// root. Whatever is mounted below one of them there is mounted on top again.
func (p *plan) layer(contexts, root string) {
	g := &p.program
	g.add("enter the directory of contexts", unix.SYS_CHDIR, g.str(contexts))
	for _, dir := range p.toRestore(root) {
		p.attach(p.clone(filepath.Join(root, dir)), "/"+dir)
	}
	here := g.str(stacked{top: p.options.Context, base: cmp.Or(p.options.Base, p.options.Context)}.mountSource())
	for _, dir := range p.layers.dirs {
		points := slices.DeleteFunc(mount.Below(p.mounts, filepath.Join(root, dir)), func(at string) bool { return mount.Under(at, libexec) && root == "/" })
		clones := make([]*step, len(points))
		for i, at := range points {
			clones[i] = p.clone(at)
		}
		g.add("stack the context on /"+dir, unix.SYS_MOUNT, here, g.str("/"+dir), g.str("overlay"),
			unix.MS_RDONLY|unix.MS_NODEV, g.str(p.layers.options(dir, root))).to(aimStack)
		for i, at := range points {
			rel, _ := filepath.Rel(root, at)
			p.attach(clones[i], "/"+rel).optional = true // a package may have something else there
		}
	}
}

// toRestore gives the top directories on which the context that this process is in is
// stacked, and the one that it goes to is not.
func (p *plan) toRestore(root string) (dirs []string) {
	if !p.contexts.within() {
		return nil
	}
	for _, m := range p.mounts {
		dir := strings.TrimPrefix(m.Point, "/")
		if m.Type == "overlay" && strings.HasPrefix(m.Source, overlaySource+" ") && !strings.Contains(dir, "/") &&
			!slices.Contains(p.layers.dirs, dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// chdir adds the steps to the directory that this process is in, by its path.
func (p *plan) chdir(dir string) {
	g := &p.program
	note := "packagefs: the directory " + dir + " does not exist in the context; the program starts in /\n"
	there := g.add("enter the directory "+dir, unix.SYS_CHDIR, g.str(dir))
	say := g.add("say so", unix.SYS_WRITE, 2, g.str(note), uint64(len(note)))
	say.optional = true
	top := g.add("enter the directory /", unix.SYS_CHDIR, g.str("/"))
	there.otherwise, there.next = say, g.after(top)
}

// execute adds the steps that make this process the program: one for each place
// where it can be.
func (p *plan) execute() {
	g := &p.program
	environ := environment(p.options)
	argv, env := g.strs(p.options.Command), g.strs(environ)
	for _, path := range candidates(cmp.Or(p.options.Path, p.options.Command[0]), environ) {
		g.run(path, argv, env)
	}
}

// candidates are the paths that a command name can stand for.
func candidates(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var paths []string
	for _, dir := range filepath.SplitList(getenv(env, "PATH")) {
		if dir == "" {
			dir = "."
		}
		paths = append(paths, dir+"/"+name)
	}
	return paths
}
