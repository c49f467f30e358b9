/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build: objects that are used after they were destroyed are told of.
 *
 * A mutex that was destroyed has a kind that there isn't, as the C library has it; a
 * condition a bit in its last word; a semaphore a word in a part that nobody uses. To
 * set an object up again clears them. Owns the number of reports.
 */
#ifdef TL_CHECKED

#include "preload/checked.h"

#include <dlfcn.h>
#include <stdatomic.h>

#include "os/out.h"

#define REPORTS_MAX 100

void tl__preload_dead(const char *what, const void *object, const void *ret)
{
	static _Atomic int reports;
	struct tl__out out;
	Dl_info info = { 0 };

	/* relaxed: only the number matters */
	if (atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed) >=
	    REPORTS_MAX)
		return;
	tl__out_init(&out, 2);
	tl__out_str(&out, "libtasklet-preload: a ");
	tl__out_str(&out, what);
	tl__out_str(&out, " is used that was destroyed: ");
	tl__out_hex(&out, (uintptr_t)object);
	tl__out_str(&out, ", in ");
	if (dladdr(ret, &info) && info.dli_fname) {
		tl__out_name(&out, info.dli_fname);
		tl__out_str(&out, "+");
		tl__out_hex(&out, (uintptr_t)ret - (uintptr_t)info.dli_fbase);
	} else {
		tl__out_hex(&out, (uintptr_t)ret);
	}
	tl__out_str(&out, "\n");
	tl__out_flush(&out);
}

#endif
