/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Known and unknown threads; see tids.h.
 *
 * The kernel says how many threads there are: /proc/self/task has that many
 * links, and two. Only if they are more than we know are their names looked at,
 * for io_uring's workers count as threads of the process.
 */
#include "os/tids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define SINGLE_THREADED __libc_single_threaded
#else
#define SINGLE_THREADED 0
#endif

#include "base/compiler.h"

static _Atomic int known;
static _Atomic int work;	/* under way on helpers */
/* How often the thread was made known: one of ours may get a scheduler. */
static __thread int entered;
/* Threads of an emulator or a checker, there before the program's first. */
static int foreign;

void tl__tids_enter(void)
{
	if (entered++)
		return;
	/* relaxed: those who count have other means to know whom they count */
	atomic_fetch_add_explicit(&known, 1, memory_order_relaxed);
}

void tl__tids_leave(void)
{
	if (!--entered)
		atomic_fetch_sub_explicit(&known, 1, memory_order_relaxed);
}

void tl__tids_work_begins(void)
{
	/* relaxed: who waits for it looks later, or was woken later */
	atomic_fetch_add_explicit(&work, 1, memory_order_relaxed);
}

void tl__tids_work_ends(void)
{
	/* release: pairs with tl__tids_unknown(), whom it has woken */
	atomic_fetch_sub_explicit(&work, 1, memory_order_release);
}

void tl__tids_work_after_fork(void)
{
	/* relaxed: there is one thread */
	atomic_store_explicit(&work, 0, memory_order_relaxed);
}

void tl__tids_after_fork(bool self)
{
	entered = self;
	atomic_store_explicit(&known, self, memory_order_relaxed);
}

/* -1: can't be told. */
static int count_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) || st.st_nlink < 3 ?
		-1 : (int)st.st_nlink - 2;
}

static bool is_kernel_worker(int dir, const char *tid)
{
	char path[64], name[16] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.20s/comm", tid);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, name, sizeof(name) - 1);
	close(fd);
	return n > 4 && !memcmp(name, "iou-", 4);
}

/* io_uring's threads, which run nothing of the program. */
static int count_kernel_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			count += is_kernel_worker(dirfd(dir), entry->d_name);
	closedir(dir);
	return count;
}

__attribute__((constructor)) static void count_foreign(void)
{
#if defined(__SANITIZE_THREAD__)
	foreign = 1;	/* it comes with the program's first */
#else
	int saved = errno;
	int threads = count_threads();

	/* Loaded late, into a process with threads: whose they are can't be told. */
	if (SINGLE_THREADED && threads > 1)
		foreign = threads - 1;
	errno = saved;
#endif
}

bool tl__tids_unknown(void)
{
	int saved = errno;
	int threads, more;

	/* acquire: pairs with tl__tids_work_ends() */
	if (atomic_load_explicit(&work, memory_order_acquire))
		return true;
	if (SINGLE_THREADED)
		return false;
	threads = count_threads();
	/* relaxed: see tl__tids_enter() */
	more = threads - foreign -
	       atomic_load_explicit(&known, memory_order_relaxed);
	if (threads > 0 && more > 0)
		more -= count_kernel_workers();
	errno = saved;
	return threads < 0 || more > 0;
}
