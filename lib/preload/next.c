/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Finds the C library's functions; see next.h.
 */
#include "preload/next.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include "os/out.h"

struct tl__next tl__next;

/*
 * For C libraries before 2.34, from the newest on: that is what programs are
 * linked with. The old conditions would be found last.
 */
static const char *const versions[] = {
	"GLIBC_2.34", "GLIBC_2.30", "GLIBC_2.28", "GLIBC_2.17",
	"GLIBC_2.3.3", "GLIBC_2.3.2", "GLIBC_2.2.5",
};

static void no_such(const char *name)
{
	struct tl__out out;

	tl__out_init(&out, 2);
	tl__out_str(&out, "libtasklet-preload: the C library has no ");
	tl__out_str(&out, name);
	tl__out_str(&out, "() of a version that we know\n");
	tl__out_flush(&out);
	abort();
}

tl__cold void *tl__next_find(_Atomic(void *) *where, const char *name,
			     const char *version)
{
	void *fn = dlvsym(RTLD_NEXT, name, version);
	size_t i;

	for (i = 0; !fn && i < sizeof(versions) / sizeof(versions[0]); i++)
		fn = dlvsym(RTLD_NEXT, name, versions[i]);
	if (!fn)
		no_such(name);
	/* relaxed: every thread finds the same */
	atomic_store_explicit(where, fn, memory_order_relaxed);
	return fn;
}
