package enter

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program is a list of system calls that this process makes after it has given
// itself up: it becomes an executable of a few instructions (stub_*.s), which has
// one thread, as the kernel demands of who enters a new user namespace, and which
// keeps process id, terminal and descriptors. A Go program has several threads
// before its main function runs.
//
// The stub makes the call of the first step and goes on with the step's next or,
// if the call fails, with its otherwise. The last step of a program becomes
// another program.
type program struct {
	steps []*step
	text  []byte // strings and what else the calls are given, at textAt
}

// A step is one system call. Its next is the step that was added after it; so is
// its otherwise if the step is optional, and the program's failure if not. Either
// can be set to another one.
type step struct {
	label  string // what failed, in words
	aim    aim
	path   string // of the program that it runs
	number uintptr
	args   [6]uint64

	result    *step // that takes the result as an argument
	resultArg int

	optional        bool
	next, otherwise *step
	index           int
}

// Where the parts of a program are in memory. The stub knows tableAt.
const (
	stubAt  = 0x08000000
	tableAt = 0x10000000
	textAt  = 0x20000000

	pageSize  = 64 << 10 // no kernel has larger ones
	tableHead = 3 * 8    // first step, the step that failed last, where results go that nobody wants
	stepSize  = 11 * 8   // number, six arguments, result, where else the result goes, next, otherwise
)

var le = binary.LittleEndian

// stubText tells where in this program the stub is.
func stubText() (start, end uintptr)

// add adds a step.
func (p *program) add(label string, number uintptr, args ...uint64) *step {
	s := &step{label: label, number: number, index: len(p.steps)}
	copy(s.args[:], args)
	p.steps = append(p.steps, s)
	return s
}

// run adds the step that runs the program at a path, if it is there.
func (p *program) run(path string, argv, env uint64) {
	s := p.add("run "+path, unix.SYS_EXECVE, p.str(path), argv, env).to(aimRun)
	s.path, s.optional = path, true
}

// to says what a step is for.
func (s *step) to(a aim) *step {
	s.aim = a
	return s
}

// after stands for the step that will be added after s.
func (p *program) after(s *step) *step { return &step{index: s.index + 1} }

// takes makes the result of a step an argument of s.
func (s *step) takes(arg int, from *step) *step {
	from.result, from.resultArg = s, arg
	return s
}

// bytes puts data in the program and gives its address.
func (p *program) bytes(data []byte) uint64 {
	for len(p.text)%8 != 0 {
		p.text = append(p.text, 0)
	}
	at := textAt + uint64(len(p.text))
	p.text = append(p.text, data...)
	return at
}

// str puts a string in the program, which ends at its first NUL.
func (p *program) str(s string) uint64 { return p.bytes(append([]byte(s), 0)) }

// strs puts a list of strings in the program, as execve takes it.
func (p *program) strs(list []string) uint64 {
	var pointers []byte
	for _, s := range list {
		pointers = le.AppendUint64(pointers, p.str(s))
	}
	return p.bytes(le.AppendUint64(pointers, 0))
}

func stepAt(s *step) uint64 { return tableAt + tableHead + uint64(s.index)*stepSize }

// table is what the stub reads. failure is where a step goes on that fails and
// does not say otherwise.
func (p *program) table(failure *step) []byte {
	b := le.AppendUint64(nil, stepAt(p.steps[0]))
	b = append(b, make([]byte, tableHead-8)...)
	for i, s := range p.steps {
		following := p.steps[min(i+1, len(p.steps)-1)]
		next, otherwise, result := s.next, s.otherwise, uint64(tableAt+tableHead-8)
		if next == nil {
			next = following
		}
		if otherwise == nil {
			otherwise = failure
			if s.optional {
				otherwise = following
			}
		}
		if s.result != nil {
			result = stepAt(s.result) + 8 + 8*uint64(s.resultArg)
		}
		b = le.AppendUint64(b, uint64(s.number))
		for _, a := range s.args {
			b = le.AppendUint64(b, a)
		}
		for _, v := range []uint64{0, result, stepAt(next), stepAt(otherwise)} {
			b = le.AppendUint64(b, v)
		}
	}
	return b
}

// write writes the program as an executable file. What is between the parts stays a
// hole.
func (p *program) write(f io.WriterAt, failure *step) error {
	start, end := stubText()
	parts := []struct {
		at    uint64
		flags elf.ProgFlag
		data  []byte
	}{
		{stubAt, elf.PF_R | elf.PF_X, unsafe.Slice((*byte)(codeAt(start)), end-start)},
		{tableAt, elf.PF_R | elf.PF_W, p.table(failure)},
		{textAt, elf.PF_R | elf.PF_W, p.text},
	}
	machine := elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_AARCH64
	}
	const size, entrySize = 64, 56 // of the header, and of one for a part
	head := append([]byte(elf.ELFMAG), byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT))
	head = append(head, make([]byte, elf.EI_NIDENT-len(head))...)
	head = le.AppendUint16(head, uint16(elf.ET_EXEC))
	head = le.AppendUint16(head, uint16(machine))
	head = le.AppendUint32(head, uint32(elf.EV_CURRENT))
	head = le.AppendUint64(head, stubAt)
	head = le.AppendUint64(head, size) // where the headers of parts begin
	head = append(head, make([]byte, 8+4)...)
	for _, v := range []uint16{size, entrySize, uint16(len(parts) + 1), 0, 0, 0} {
		head = le.AppendUint16(head, v)
	}
	part := func(kind elf.ProgType, flags elf.ProgFlag, offset, at, size uint64) {
		head = le.AppendUint32(head, uint32(kind))
		head = le.AppendUint32(head, uint32(flags))
		for _, v := range []uint64{offset, at, at, size, size, pageSize} {
			head = le.AppendUint64(head, v)
		}
	}
	part(elf.PT_GNU_STACK, elf.PF_R|elf.PF_W, 0, 0, 0)
	offset := uint64(pageSize)
	for _, d := range parts {
		size := uint64(len(d.data))
		part(elf.PT_LOAD, d.flags, offset, d.at, size)
		if _, err := f.WriteAt(d.data, int64(offset)); err != nil {
			return err
		}
		offset += (size + pageSize - 1) &^ (pageSize - 1)
	}
	_, err := f.WriteAt(head, 0)
	return err
}

// codeAt makes a pointer of an address in this program's code, which does not
// move.
func codeAt(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// become makes this process the program. It returns only if that fails.
//
// Of signals that are ignored, the program gets SIGHUP and SIGINT so; the Go runtime
// takes all others, and forgets how they were.
func (p *program) become(failure *step) error {
	fd, err := unix.MemfdCreate("packagefs", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL { // a kernel before 6.3
		fd, err = unix.MemfdCreate("packagefs", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "program")
	defer f.Close()
	if err := p.write(f, failure); err != nil {
		return fmt.Errorf("make a file in memory: %w", err)
	}
	signal.Reset()
	err = syscall.Exec(fmt.Sprint("/proc/self/fd/", fd), []string{"packagefs"}, nil)
	return fmt.Errorf("run a file in memory: %w", err)
}
