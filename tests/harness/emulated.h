/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * emulated.h: what a test can't ask of those that run it.
 */
#ifndef EMULATED_H
#define EMULATED_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

#if defined(__SANITIZE_THREAD__)
#define EMULATED_TSAN 1
#else
#define EMULATED_TSAN 0
#endif

/* Who lets no forked child of a program with threads start one; NULL if all is well. */
static inline const char *no_threads_in_child(void)
{
	char name[32] = "";
	int fd;

	if (EMULATED_TSAN)
		return "ThreadSanitizer";
	fd = open("/proc/self/comm", O_RDONLY);
	if (fd < 0 || read(fd, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	close(fd);
	return strncmp(name, "qemu-", 5) ? NULL : "qemu";
}

/* How many threads the process has, those of checkers and emulators included. */
static inline int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	if (!dir)
		tap_bail("no /proc/self/task");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static inline void *emulated__nothing(void *arg)
{
	return arg;
}

/* The same before the program has any: ThreadSanitizer starts its own with the first. */
static inline int threads_at_rest(void)
{
	int n = threads() + EMULATED_TSAN;
	pthread_t thread;

	if (pthread_create(&thread, NULL, emulated__nothing, NULL))
		tap_bail("no thread");
	pthread_join(thread, NULL);
	return n;
}

#endif
