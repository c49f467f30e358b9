/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a system call is, told from the registers with which a thread entered the kernel:
 * what it waits in, which costs nothing while nobody is woken; whether it may sleep or
 * wake others.
 */
#ifndef TL_BPF_SYSCALLS_BPF_H
#define TL_BPF_SYSCALLS_BPF_H

#include "wakelat.h"

#if defined(__TARGET_ARCH_x86)
enum { NR_read = 0, NR_poll = 7, NR_pread64 = 17, NR_readv = 19, NR_select = 23, NR_nanosleep = 35,
	NR_accept = 43, NR_recvfrom = 45, NR_recvmsg = 47, NR_futex = 202, NR_clock_nanosleep = 230,
	NR_epoll_wait = 232, NR_pselect6 = 270, NR_ppoll = 271, NR_epoll_pwait = 281, NR_accept4 = 288,
	NR_recvmmsg = 299 };
#define REGS_NR(regs)	((long)(regs)->orig_ax)
#define REGS_ARG1(regs)	((__u64)(regs)->di)
#define REGS_ARG2(regs)	((__u64)(regs)->si)
#elif defined(__TARGET_ARCH_arm64)
enum { NR_read = 63, NR_poll = -2, NR_pread64 = 67, NR_readv = 65, NR_select = -3, NR_nanosleep = 101,
	NR_accept = 202, NR_recvfrom = 207, NR_recvmsg = 212, NR_futex = 98, NR_clock_nanosleep = 115,
	NR_epoll_wait = -4, NR_pselect6 = 72, NR_ppoll = 73, NR_epoll_pwait = 22, NR_accept4 = 242,
	NR_recvmmsg = 243 };
#define REGS_NR(regs)	((long)(regs)->syscallno)
#define REGS_ARG1(regs)	((__u64)(regs)->orig_x0)
#define REGS_ARG2(regs)	((__u64)(regs)->regs[1])
#else
#error "wakelat does not know this architecture's system calls"
#endif

/* The same everywhere. */
enum { NR_io_uring_enter = 426, NR_epoll_pwait2 = 441, NR_futex_waitv = 449, NR_futex_wake = 454, NR_futex_wait = 455 };

/* Of futex(), without its flags: those that wait for somebody. */
#define FUTEX_COMMAND	0x1f
#define FUTEX_WAITS	(1u << 0 | 1u << 6 | 1u << 9 | 1u << 11 | 1u << 13)

#define S_IFMT_	0170000
#define S_IFIFO_	0010000
#define S_IFSOCK_	0140000

/* What kind of file the descriptor @fd of @p is. */
static __always_inline enum wakelat_primitive kind_of_file(struct task_struct *p, __u64 fd)
{
	struct file **fds, *file = NULL;
	const unsigned char *name;
	struct inode *inode;
	union {
		char text[16];
		__u64 word;
	} start = {};
	unsigned int max;

	max = BPF_CORE_READ(p, files, fdt, max_fds);
	if (fd >= max)
		return WAKELAT_OTHER;
	fds = BPF_CORE_READ(p, files, fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), &fds[fd]) || !file)
		return WAKELAT_OTHER;
	inode = BPF_CORE_READ(file, f_inode);
	switch (BPF_CORE_READ(inode, i_mode) & S_IFMT_) {
	case S_IFIFO_:
		return WAKELAT_PIPE;
	case S_IFSOCK_:
		return WAKELAT_SOCKET;
	}
	name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	if (bpf_probe_read_kernel_str(start.text, sizeof(start.text), name) == 10 &&
	    start.word == *(const __u64 *)"[eventfd" && start.text[8] == ']')
		return WAKELAT_EVENTFD;
	return WAKELAT_OTHER;
}

/* *@futex is the word's address, where it is a futex. */
static __always_inline enum wakelat_primitive kind_of_wait(struct task_struct *p, const struct pt_regs *regs,
							   __u64 *futex)
{
	__u64 arg = REGS_ARG1(regs);

	*futex = 0;
	switch (REGS_NR(regs)) {
	case NR_futex:
	case NR_futex_wait:
		*futex = arg;
		return WAKELAT_FUTEX;
	case NR_futex_waitv:
		return WAKELAT_FUTEX;
	case NR_io_uring_enter:
		return WAKELAT_IO_URING;
	case NR_epoll_wait:
	case NR_epoll_pwait:
	case NR_epoll_pwait2:
		return WAKELAT_EPOLL;
	case NR_poll:
	case NR_ppoll:
	case NR_select:
	case NR_pselect6:
		return WAKELAT_POLL;
	case NR_nanosleep:
	case NR_clock_nanosleep:
		return WAKELAT_SLEEP;
	case NR_accept:
	case NR_accept4:
	case NR_recvfrom:
	case NR_recvmsg:
	case NR_recvmmsg:
		return WAKELAT_SOCKET;
	case NR_read:
	case NR_readv:
	case NR_pread64:
		return kind_of_file(p, arg);
	}
	return WAKELAT_OTHER;
}

static __always_inline bool futex_waits(const struct pt_regs *regs)
{
	return FUTEX_WAITS >> (REGS_ARG2(regs) & FUTEX_COMMAND) & 1;
}

/* Whether it is a system call in which a thread may sleep until it is woken. */
static __always_inline bool call_may_sleep(const struct pt_regs *regs)
{
	long nr = REGS_NR(regs);

	if (nr == NR_futex)
		return futex_waits(regs);
	return nr >= 0 && nr != NR_futex_wake;
}

/* Whether it is one that may wake others: all but those that do nothing else than wait. */
static __always_inline bool call_may_wake(const struct pt_regs *regs)
{
	switch (REGS_NR(regs)) {
	case NR_futex:
		return !futex_waits(regs);
	case NR_futex_wait:
	case NR_futex_waitv:
	case NR_epoll_wait:
	case NR_epoll_pwait:
	case NR_epoll_pwait2:
	case NR_poll:
	case NR_ppoll:
	case NR_select:
	case NR_pselect6:
	case NR_nanosleep:
	case NR_clock_nanosleep:
		return false;
	}
	return REGS_NR(regs) >= 0;
}

#endif
