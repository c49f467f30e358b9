/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What the kernel module tasklet_handoff and programs have in common: the calls
 * of its device, /dev/tasklet.
 *
 * An open file is a domain: threads of the process that opened it register in it,
 * get a slot each, and wake each other by it. All else of the process' is left
 * alone, and so are other processes: a call by one of another address space (a
 * forked child, a receiver of the descriptor, the program after an exec) is
 * refused with EPERM.
 *
 * A slot counts. Its thread numbers its waits by cookies that grow, and waits until
 * its slot has been woken with the cookie of this wait or a later one. So
 *	- a wake-up that comes before the wait is not lost;
 *	- one that comes late, when that wait has timed out or been interrupted, is
 *	  told from the next wait's by its cookie, and does not end that;
 *	- waking once more with the same cookie does nothing, so that each call may
 *	  simply be made again, and is by the kernel after a signal (SA_RESTART).
 * Cookies are compared as sequence numbers: (__s64)(a - b) says which is later. A new
 * slot has been woken with 0, the first wait's cookie is 1 or any below 2^63.
 *
 * Order: what a thread did before it woke a slot with a cookie is visible to the
 * slot's thread when its wait for that cookie has returned 0.
 *
 * Each structure's first field is its size as the caller knows it. A kernel that
 * knows a longer one takes what is missing for 0; one that knows a shorter one takes
 * it if the rest is 0, and fails with E2BIG if not. EINVAL: too short for any
 * version, an unknown flag, a reserved field that is not 0.
 */
#ifndef TASKLET_UAPI_HANDOFF_H
#define TASKLET_UAPI_HANDOFF_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define TL_HANDOFF_DEVICE	"/dev/tasklet"

/* The number is free in the kernel's ioctl-number.rst; sizes are in the structures. */
#define TL_HANDOFF_MAGIC	0xB9
/* struct tl_handoff_register */
#define TL_HANDOFF_REGISTER	_IO(TL_HANDOFF_MAGIC, 1)
#define TL_HANDOFF_UNREGISTER	_IO(TL_HANDOFF_MAGIC, 2)
/* struct tl_handoff_op */
#define TL_HANDOFF_WAKE		_IO(TL_HANDOFF_MAGIC, 3)
#define TL_HANDOFF_WAIT		_IO(TL_HANDOFF_MAGIC, 4)
#define TL_HANDOFF_SWAP		_IO(TL_HANDOFF_MAGIC, 5)

/* tl_handoff_register.features: what this kernel can do for it */
#define TL_HANDOFF_F_HERE	(1u << 0)	/* wakes on the caller's processor */

/*
 * REGISTER: the calling thread gets a slot. Fails with EEXIST, and its slot, if it has
 * one already; ENOSPC: 65536 threads have one; ENOMEM.
 * UNREGISTER: it gives its slot back. ENOENT: it has none.
 * A thread that ends without that does the same. No slot has the number 0, and none
 * the number of one that is gone.
 */
struct tl_handoff_register {
	__u32 size;
	__u32 flags;		/* 0 */
	__aligned_u64 slot;	/* out */
	__u32 features;		/* out */
	__u32 reserved;		/* 0 */
};

/* tl_handoff_op.flags, for WAKE and SWAP */
#define TL_HANDOFF_ANYWHERE	(1u << 0)	/* on whichever processor */

/*
 * WAKE: wakes @target with @target_cookie. On the caller's processor, if @target may
 * run there (the caller is about to sleep, and what it leaves there is of use), or
 * ANYWHERE, as the scheduler sees fit. The other fields are 0.
 * WAIT: the caller, whose slot is @self, sleeps until it is woken with @self_cookie
 * or a later one. @target, @target_cookie and @flags are 0.
 * SWAP: both at once. The wake-up is done even if the wait fails in the end with
 * ETIMEDOUT or EINTR, and not if it fails in another way; but after ESRCH it may have
 * been: by the first try, before a signal had it made again.
 *
 * @deadline_ns is of CLOCK_MONOTONIC; below 0: none.
 *
 * ENOENT: no such slot. ESRCH: its thread has ended, or given it back. EPERM:
 * @self is not the caller's. EDEADLK: a swap with oneself. ETIMEDOUT. EINTR: a handler
 * without SA_RESTART ran.
 */
struct tl_handoff_op {
	__u32 size;
	__u32 flags;
	__aligned_u64 self;
	__aligned_u64 self_cookie;
	__aligned_u64 target;
	__aligned_u64 target_cookie;
	__s64 deadline_ns;
};

#endif
