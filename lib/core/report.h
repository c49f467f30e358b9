/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Reports: text about tasklets that goes to a descriptor.
 *
 * There is one buffer in the process, and a lock for it, which is held while a
 * block of a report is formatted and written. Whoever holds it waits for nobody
 * but the descriptor. No other lock of the library is taken inside.
 */
#ifndef TL_CORE_REPORT_H
#define TL_CORE_REPORT_H

#include "core/backtrace.h"
#include "os/out.h"

struct tl_sched;

struct tl__report {
	struct tl__out out;
	struct tl__symbols symbols;
};

struct tl__report *tl__report_begin(int fd);
int tl__report_end(struct tl__report *report);	/* 0 or -errno */

/*
 * Writes what the calling thread's tasklets do, as tl_dump() does for each
 * thread; at most @limit of them. Does not switch. Returns 0 or -errno.
 */
int tl__dump_own(struct tl_sched *s, int fd, uint64_t limit);

/* " 12 (name)"; nothing in brackets if there is no name. */
void tl__report_label(struct tl__report *report, uint64_t id,
		      const char *name);

#endif
