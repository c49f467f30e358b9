/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Text that goes to a descriptor: a buffer, a few formats, write(2).
 *
 * Nothing allocates, takes a lock or uses stdio, so that reports can be written
 * in whatever state the process is in and from small stacks. The first error
 * stays, and what comes after it is dropped. errno is left alone.
 */
#ifndef TL_OS_OUT_H
#define TL_OS_OUT_H

#include <stddef.h>
#include <stdint.h>

struct tl__out {
	int fd;
	int error;		/* 0 or -errno of the first write that failed */
	size_t len;
	char buf[4096];
};

void tl__out_init(struct tl__out *out, int fd);

/*
 * Writes what is there; returns out->error. Waits for a descriptor that is
 * non-blocking, but for one that takes nothing in 5 seconds: -EAGAIN. A broken
 * pipe is -EPIPE, and no signal.
 */
int tl__out_flush(struct tl__out *out);

void tl__out_str(struct tl__out *out, const char *s);
void tl__out_u64(struct tl__out *out, uint64_t n);
void tl__out_hex(struct tl__out *out, uint64_t n);	/* with its 0x */
void tl__out_blanks(struct tl__out *out, int n);

/* A string from elsewhere: what would break a line shows as '?'. */
void tl__out_name(struct tl__out *out, const char *s);

#endif
