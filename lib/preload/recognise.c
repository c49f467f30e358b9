/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Recognises take_gil(); see recognise.h.
 *
 * A wait for the GIL is one whose next frames, all in the image that called, come
 * to a function that CPython exports for taking the GIL (PyEval_RestoreThread() and
 * its like), or to one that such a function calls or jumps to. The latter finds
 * take_gil() below the eval loop too, where none of the former is on the stack, and
 * where a compiler made the last call of PyEval_RestoreThread() a jump (3.13). The
 * unwinder knows where functions begin from .eh_frame, which stripped programs have.
 * Nothing else that CPython calls there waits on a condition with a time-out.
 *
 * Owns the places that called, each with a verdict. The invariants: a place is added
 * once, under `adding`, and its address is set last; a verdict doesn't change but
 * from OPEN to GIL. A place whose image isn't CPython 3.2 or later is never looked
 * at again; one that might be is unwound at each of the first calls, then at some.
 * Lock order: nothing is taken inside `adding`.
 */
#include "preload/recognise.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "base/compiler.h"
#include "os/lock.h"
#include "preload/image.h"

#define SITES_MAX 128	/* more are left alone */
#define FRAMES_MAX 6	/* above our own: take_gil() is at most the fourth */
#define TAKERS_MAX 4
#define EAGER 1000	/* calls that are all looked at; then each 16th is */

enum verdict { NO, OPEN, GIL };

/* CPython's functions that take the GIL and can wait for it. */
static const char *const taker_names[TAKERS_MAX] = {
	"PyEval_RestoreThread", "PyEval_AcquireThread", "PyEval_AcquireLock",
	"PyGILState_Ensure",
};

struct taker {
	uintptr_t begin, end;
};

struct site {
	_Atomic(const void *) ret;
	_Atomic int verdict;
	_Atomic uint64_t calls;
	struct tl__image image;
	struct taker takers[TAKERS_MAX];
};

static struct site sites[SITES_MAX];
static _Atomic unsigned int site_count;
static struct tl__lock adding = TL__LOCK_INIT;
static _Atomic uint64_t unwound;

/* --- whether an image is CPython ---------------------------------------------- */

/* "3.11.2 (main, ..." of CPython since 3.2, where the GIL waits with a time-out. */
static bool good_version(const char *v)
{
	char *end;
	long major = strtol(v, &end, 10), minor;

	if (*end != '.' || strstr(v, "PyPy"))
		return false;
	minor = strtol(end + 1, NULL, 10);
	return major > 3 || (major == 3 && minor >= 2);
}

static bool is_python(struct site *s)
{
	size_t size, i, found = 0;
	const char *(*version)(void);
	const void *address;

	address = tl__image_symbol(&s->image, "Py_GetVersion", &size);
	memcpy(&version, &address, sizeof(version));
	if (!version)
		return false;
	for (i = 0; i < TAKERS_MAX; i++) {
		address = tl__image_symbol(&s->image, taker_names[i], &size);
		s->takers[i].begin = (uintptr_t)address;
		s->takers[i].end = (uintptr_t)address + (address ? size : 0);
		found += address && size;
	}
	return found && good_version(version());
}

/* --- whether a frame is that of a function that takes the GIL ------------------- */

/* Whether the code at [begin, end) calls or jumps to @target somewhere. */
static bool leads_to(uintptr_t begin, uintptr_t end, uintptr_t target)
{
#if defined(__x86_64__)
	const unsigned char *p = (const unsigned char *)begin;
	int32_t offset;

	for (; p + 5 <= (const unsigned char *)end; p++) {
		if (*p != 0xe8 && *p != 0xe9)
			continue;
		memcpy(&offset, p + 1, sizeof(offset));
		if ((uintptr_t)(p + 5) + (uintptr_t)(intptr_t)offset == target)
			return true;
	}
#elif defined(__aarch64__)
	const uint32_t *p = (const uint32_t *)begin;

	for (; (uintptr_t)p < end; p++) {
		int32_t offset = (int32_t)(*p << 6) >> 4;

		if ((*p & 0x7c000000) == 0x14000000 &&
		    (uintptr_t)p + (uintptr_t)(intptr_t)offset == target)
			return true;
	}
#else
	(void)begin, (void)end, (void)target;
#endif
	return false;
}

struct walk {
	const struct site *site;
	const void *ret;
	int left;		/* frames; -1 until the one of ret was seen */
	bool found;
};

static bool takes_the_gil(const struct site *s, uintptr_t pc)
{
	uintptr_t function = (uintptr_t)_Unwind_FindEnclosingFunction(
		(void *)pc);
	size_t i;

	for (i = 0; i < TAKERS_MAX; i++) {
		const struct taker *t = &s->takers[i];

		if (pc >= t->begin && pc < t->end)
			return true;
		if (function && leads_to(t->begin, t->end, function))
			return true;
	}
	return false;
}

static _Unwind_Reason_Code look_at(struct _Unwind_Context *context, void *arg)
{
	uintptr_t ip = _Unwind_GetIP(context);
	struct walk *w = arg;

	if (ip == (uintptr_t)w->ret)
		w->left = FRAMES_MAX;
	else if (w->left < 0)
		return _URC_NO_REASON;		/* still us */
	if (!w->left-- || !tl__image_has(&w->site->image, ip))
		return _URC_END_OF_STACK;
	w->found = takes_the_gil(w->site, ip - 1);
	return w->found ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static bool look_at_stack(struct site *s, const void *ret)
{
	struct walk w = { .site = s, .ret = ret, .left = -1 };

	/* relaxed: statistics */
	atomic_fetch_add_explicit(&unwound, 1, memory_order_relaxed);
	_Unwind_Backtrace(look_at, &w);
	return w.found;
}

/* --- the places ---------------------------------------------------------------------- */

static struct site *find_site(const void *ret)
{
	/* acquire: pairs with add_site(): the site is whole */
	unsigned int n = atomic_load_explicit(&site_count, memory_order_acquire);
	unsigned int i;

	for (i = 0; i < n; i++)
		/* relaxed: it was set before the count was */
		if (atomic_load_explicit(&sites[i].ret,
					 memory_order_relaxed) == ret)
			return &sites[i];
	return NULL;
}

static tl__cold struct site *add_site(const void *ret)
{
	struct site *s;
	unsigned int n;

	tl__lock(&adding);
	s = find_site(ret);
	/* relaxed: it only changes under the lock */
	n = atomic_load_explicit(&site_count, memory_order_relaxed);
	if (!s && n < SITES_MAX) {
		s = &sites[n];
		s->verdict = tl__image_of(ret, &s->image) && is_python(s) ?
				     OPEN : NO;
		/* relaxed: published by the count */
		atomic_store_explicit(&s->ret, ret, memory_order_relaxed);
		/* release: pairs with find_site(): the site is whole */
		atomic_store_explicit(&site_count, n + 1, memory_order_release);
	}
	tl__unlock(&adding);
	return s;
}

bool tl__recognise(const void *ret)
{
	struct site *s = find_site(ret);
	uint64_t calls;
	int verdict;

	if (unlikely(!s))
		s = add_site(ret);
	if (!s)
		return false;
	/* relaxed: a verdict says nothing of other data */
	verdict = atomic_load_explicit(&s->verdict, memory_order_relaxed);
	if (verdict != OPEN)
		return verdict == GIL;
	/* relaxed: a counter */
	calls = atomic_fetch_add_explicit(&s->calls, 1, memory_order_relaxed);
	if ((calls > EAGER && calls % 16) || !look_at_stack(s, ret))
		return false;
	atomic_store_explicit(&s->verdict, GIL, memory_order_relaxed);
	return true;
}

void tl__recognise_in_child(void)
{
	/* A place that was not whole was not counted. relaxed: one thread */
	atomic_store_explicit(&adding.word, 0, memory_order_relaxed);
}

void tl__recognise_stats(struct tl__recognise_stats *stats)
{
	/* relaxed throughout: statistics */
	unsigned int n = atomic_load_explicit(&site_count, memory_order_relaxed);
	unsigned int i;

	stats->sites = n;
	stats->found = 0;
	for (i = 0; i < n; i++)
		stats->found += atomic_load_explicit(&sites[i].verdict,
						     memory_order_relaxed) == GIL;
	stats->unwound = atomic_load_explicit(&unwound, memory_order_relaxed);
}
