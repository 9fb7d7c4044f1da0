/*
 * A library for LD_PRELOAD that lets Debian's User Mode Linux run on processors whose
 * register state is larger than it knows (those with AMX). The kernel takes the
 * state of a traced process only as a whole; User Mode Linux keeps the beginning of
 * it, and everything behind that is never used by its processes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NT_X86_XSTATE 0x202

static long (*real)(int, pid_t, void *, void *);
static char whole[1 << 16]; /* zero behind what User Mode Linux keeps */
static char probe[1 << 16];
static size_t size; /* of the processor's state, once it is known to be larger */

__attribute__((constructor)) static void find(void)
{
	real = (long (*)(int, pid_t, void *, void *))dlsym(RTLD_NEXT, "ptrace");
}

static long set_whole(pid_t pid, void *kind, struct iovec *kept)
{
	struct iovec all = { whole, size };
	sigset_t every, before;
	long r;
	int failure;

	if (kept->iov_len > size) {
		errno = EFAULT;
		return -1;
	}
	sigfillset(&every);
	sigprocmask(SIG_SETMASK, &every, &before); /* there is one buffer */
	memcpy(whole, kept->iov_base, kept->iov_len);
	r = real(PTRACE_SETREGSET, pid, kind, &all);
	failure = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = failure;
	return r;
}

long ptrace(enum __ptrace_request request, ...)
{
	__builtin_va_list args;
	pid_t pid;
	void *addr, *data;

	__builtin_va_start(args, request);
	pid = __builtin_va_arg(args, pid_t);
	addr = __builtin_va_arg(args, void *);
	data = __builtin_va_arg(args, void *);
	__builtin_va_end(args);
	if (request != PTRACE_SETREGSET || addr != (void *)NT_X86_XSTATE)
		return real(request, pid, addr, data);
	if (!size) {
		struct iovec got = { probe, sizeof probe };
		long r = real(request, pid, addr, data);

		if (r != -1 || errno != EFAULT)
			return r;
		if (real(PTRACE_GETREGSET, pid, addr, &got) == -1)
			return -1;
		size = got.iov_len;
	}
	return set_whole(pid, addr, data);
}
