/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A thread that ends with a tasklet which swallows every kill leaves it and its scheduler behind. Nobody who deals with
 * that tasklet touches the thread's memory, and nobody asks the thread or waits for it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "threads.h"

#if defined(__SANITIZE_ADDRESS__)
/* What the kernel might still write to is left behind on purpose. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

#define STACK_SIZE ((size_t)1 << 20)

static struct tl_task *task;
static unsigned int *word;

static int fn_stubborn(UNUSED void *arg)
{
	for (;;) {
		tl_schedule();
		tl_error_free(tl_catch());
	}
	return 0;
}

static void *ends(UNUSED void *arg)
{
	word = &tl__tick_word;
	if (tl_spawn(&task, fn_stubborn, NULL))
		tap_bail("no tasklet");
	tl_schedule();
	return NULL;
}

static void test_dump(void)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	static char text[65536];
	int r = tl_dump(fd);

	tap_ok(!r && pread(fd, text, sizeof(text) - 1, 0) > 0, "dump.h: a dump afterwards: %d", r);
	tap_ok(strstr(text, "total: 1 thread,") && !strstr(text, "does not answer"), "dump.h: the thread is not in it");
	close(fd);
}

int main(void)
{
	pthread_attr_t attr;
	pthread_t t;
	void *stack;

	tap_plan(5);
	/* Ours, so that we may look at it when the thread is gone. */
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || pthread_attr_init(&attr) || pthread_attr_setstack(&attr, stack, STACK_SIZE) ||
	    pthread_create(&t, &attr, ends, NULL))
		tap_bail("no thread");
	pthread_join(t, NULL);
	tap_ok(!tl_task_is_alive(task), "1.6: one that has survived its thread is dead all the same");
	/* Afresh, with the same address. */
	if (mmap(stack, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != stack)
		tap_bail("no memory");
	tap_is(tl_task_kill(task), 0, "9: (#1) another one");
	tap_is(*word, 0, "the memory of the thread, which is gone, is left alone");
	test_dump();
	munmap(stack, STACK_SIZE);
	return tap_exit();
}
