/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the library found on this machine, and what it fell back to.
 */
#ifndef TASKLET_FEATURES_H
#define TASKLET_FEATURES_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

/*
 * struct tl_features - what is in use
 *
 * @size is set by the caller to sizeof(struct tl_features). The strings are
 * constant.
 */
struct tl_features {
	size_t size;
	const char *arch;	/* "x86_64", "aarch64" */
	const char *io;		/* "io_uring", "epoll", or "none" before IO */
	const char *io_reason;	/* why not io_uring; "" if it is */
	const char *guards;	/* "madvise", "mprotect", "none" */
	uint32_t io_uring_flags; /* IORING_SETUP_ flags that the kernel took */
	uint32_t io_uring_entries; /* submission entries that the limits allow */
	bool multishot_accept;
	bool ring_messages;	/* threads wake each other's rings by those */
	const char *doorbell;	/* else by: "futex", "eventfd" */
	const char *handoff;	/* threads hand over by: "module", "futex" */
	const char *handoff_reason; /* why not the module; "" if it is */
};

/*
 * tl_features - fill in what this process has
 *
 * Starts the calling thread's IO to find out; the answer is the same for all
 * threads. Contexts: tasklets and plain threads. Returns 0, -EINVAL (the size is
 * too small), or why no IO could be started (-ENOMEM, -EMFILE).
 */
TL_API int tl_features(struct tl_features *out);

TL_END_DECLS

#endif
