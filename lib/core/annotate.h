/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tells AddressSanitizer, ThreadSanitizer and valgrind about each stack and each
 * switch. Costs nothing in a build without them, except that valgrind's requests
 * (a few instructions when a stack is mapped) are always in.
 */
#ifndef TL_CORE_ANNOTATE_H
#define TL_CORE_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TL__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TL__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TL__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TL__TSAN 1
#endif
#endif

#if defined(TL__ASAN) || defined(TL__TSAN)
#define TL__ANNOTATES 1	/* something has to be done after each switch */
#endif

#ifdef TL__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TL__TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include) && !defined(TL_NO_VALGRIND)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define TL__VALGRIND 1
#endif
#endif

struct tl__annotation {
#ifdef TL__ASAN
	const void *bottom;
	size_t size;
	void *fake_stack;
#endif
#ifdef TL__TSAN
	void *fiber;
#endif
#ifdef TL__VALGRIND
	unsigned int valgrind_id;
#endif
	char unused;	/* a struct needs a member */
};

/* A stack was mapped, or is about to be unmapped. */
static inline void tl__annotate_map(struct tl__annotation *a, char *low,
				    size_t size)
{
	(void)a, (void)low, (void)size;
#ifdef TL__ASAN
	a->bottom = low;
	a->size = size;
#endif
#ifdef TL__VALGRIND
	a->valgrind_id = VALGRIND_STACK_REGISTER(low, low + size);
#endif
}

static inline void tl__annotate_unmap(struct tl__annotation *a)
{
	(void)a;
#ifdef TL__TSAN
	if (a->fiber)
		__tsan_destroy_fiber(a->fiber);
	a->fiber = NULL;
#endif
#ifdef TL__VALGRIND
	VALGRIND_STACK_DEREGISTER(a->valgrind_id);
#endif
}

/* A tasklet starts on the stack; its predecessor's traces are gone. */
static inline void tl__annotate_start(struct tl__annotation *a)
{
	(void)a;
#ifdef TL__ASAN
	a->fake_stack = NULL;
	__asan_unpoison_memory_region(a->bottom, a->size);
#endif
#ifdef TL__TSAN
	if (a->fiber)
		__tsan_destroy_fiber(a->fiber);
	a->fiber = __tsan_create_fiber(0);
#endif
}

/* The thread's own stack, whose bounds the main tasklet needs to know. */
static inline void tl__annotate_thread(struct tl__annotation *a,
				       const void *bottom, size_t size)
{
	(void)a, (void)bottom, (void)size;
#ifdef TL__ASAN
	a->bottom = bottom;
	a->size = size;
#endif
#ifdef TL__TSAN
	a->fiber = __tsan_get_current_fiber();
#endif
}

/* Just before @from is left for @to; @final if it never comes back. */
static inline void tl__annotate_leave(struct tl__annotation *from,
				      struct tl__annotation *to, bool final)
{
	(void)from, (void)to, (void)final;
#ifdef TL__ASAN
	__sanitizer_start_switch_fiber(final ? NULL : &from->fake_stack,
				       to->bottom, to->size);
#endif
#ifdef TL__TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* Frames of the running tasklet will be left without returning from them. */
static inline void tl__annotate_no_return(void)
{
#ifdef TL__ASAN
	__asan_handle_no_return();
#endif
}

/* The first thing that runs in a tasklet that was switched to. */
static inline void tl__annotate_enter(struct tl__annotation *self)
{
	(void)self;
#ifdef TL__ASAN
	__sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
}

#endif
