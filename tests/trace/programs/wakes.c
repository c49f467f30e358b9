/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wakes KIND COUNT: a thread that waits in KIND is woken exactly COUNT times, each time when it is known to be off its
 * processor. For tests that count what a tracer has seen.
 * The other thread waits for nothing but time.
 *
 * KIND: futex, sem, cond, tl-cond, eventfd, pipe, socket, epoll, poll, uring. Or burner: futex, on one processor, which
 * the waker keeps for 5 ms more each time, with a priority that leaves nothing to others. Or bulk: pipe, with so much to
 * copy that the two calls themselves are most of it, of two threads whom no others keep from their processors.
 *
 * Says how long it takes on average from before the waker's call until the sleeper is back from its own.
 *
 * The sleeper's voluntary switches, as the kernel counts them, tell that it is off.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <tasklet/tasklet.h>

#include "go.h"

#define KEEP_NS 5000000
#define BULK (1 << 20)

struct kind {
	const char *name;
	void (*wait)(void);
	void (*wake)(void);
};

static _Atomic int word;
static _Atomic uint64_t called_ns;	/* before the call that wakes */
static uint64_t sum_ns;
static char bulk[BULK];
static _Atomic long turns;		/* waits that have ended */
static _Atomic pid_t sleeper_tid;
static _Atomic long slept_before;	/* the first wait */
static sem_t sem;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct tl_wake_mutex tl_mutex;
static struct tl_wake_cond tl_cond;
static const struct tl_wake *tl;
static bool flag;
static int fds[2], epoll_fd;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void wait_futex(void)
{
	while (!atomic_load(&word))
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store(&word, 0);
}

static void wake_futex(void)
{
	atomic_store(&word, 1);
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void wake_and_keep(void)
{
	uint64_t end;

	wake_futex();
	end = now() + KEEP_NS;
	while (now() < end)
		;
}

static void wait_sem(void)
{
	sem_wait(&sem);
}

static void wake_sem(void)
{
	sem_post(&sem);
}

/* Without the mutex while it signals, so that nobody waits for that. */
static void wait_cond(void)
{
	pthread_mutex_lock(&mutex);
	while (!flag)
		pthread_cond_wait(&cond, &mutex);
	flag = false;
	pthread_mutex_unlock(&mutex);
}

static void wake_cond(void)
{
	pthread_mutex_lock(&mutex);
	flag = true;
	pthread_mutex_unlock(&mutex);
	pthread_cond_signal(&cond);
}

static void wait_tl_cond(void)
{
	tl->mutex_lock(&tl_mutex);
	while (!flag)
		tl->cond_wait(&tl_cond, &tl_mutex, CLOCK_MONOTONIC, TL_FOREVER);
	flag = false;
	tl->mutex_unlock(&tl_mutex);
}

static void wake_tl_cond(void)
{
	tl->mutex_lock(&tl_mutex);
	flag = true;
	tl->mutex_unlock(&tl_mutex);
	tl->cond_signal(&tl_cond);
}

static void take(int fd)
{
	uint64_t value;

	if (read(fd, &value, sizeof(value)) != sizeof(value))
		fail("read");
}

static void wait_fd(void)
{
	take(fds[0]);
}

static void wake_fd(void)
{
	uint64_t one = 1;

	if (write(fds[1], &one, sizeof(one)) != sizeof(one))
		fail("write");
}

static void wait_bulk(void)
{
	if (read(fds[0], bulk, BULK) != BULK)
		fail("read");
}

static void wake_bulk(void)
{
	static char from[BULK];

	if (write(fds[1], from, BULK) != BULK)
		fail("write");
}

static void wait_epoll(void)
{
	struct epoll_event event;

	while (epoll_wait(epoll_fd, &event, 1, -1) != 1)
		;
	take(fds[0]);
}

static void wait_poll(void)
{
	struct pollfd fd = { .fd = fds[0], .events = POLLIN };

	while (poll(&fd, 1, -1) != 1)
		;
	take(fds[0]);
}

/* Through the library, which has nothing else to do than to wait in io_uring. */
static void wait_uring(void)
{
	uint64_t value;

	if (tl_read(fds[0], &value, sizeof(value)) != sizeof(value))
		fail("tl_read");
}

static const struct kind kinds[] = {
	{ "futex", wait_futex, wake_futex },
	{ "sem", wait_sem, wake_sem },
	{ "cond", wait_cond, wake_cond },
	{ "tl-cond", wait_tl_cond, wake_tl_cond },
	{ "eventfd", wait_fd, wake_fd },
	{ "pipe", wait_fd, wake_fd },
	{ "socket", wait_fd, wake_fd },
	{ "epoll", wait_epoll, wake_fd },
	{ "poll", wait_poll, wake_fd },
	{ "uring", wait_uring, wake_fd },
	{ "burner", wait_futex, wake_and_keep },
	{ "bulk", wait_bulk, wake_bulk },
	{ NULL, NULL, NULL }
};

static const struct kind *kind;
static long count;

static void *sleeper(void *arg)
{
	struct rusage before;
	long i;

	getrusage(RUSAGE_THREAD, &before);
	atomic_store(&slept_before, before.ru_nvcsw);
	atomic_store(&sleeper_tid, (pid_t)syscall(SYS_gettid));
	for (i = 0; i < count; i++) {
		kind->wait();
		sum_ns += now() - atomic_load(&called_ns);
		atomic_store(&turns, i + 1);
	}
	return arg;
}

/* How often it has gone to sleep, of one that sleeps; else 0. */
static long sleeps(void)
{
	char path[64], line[128], state = 0;
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", atomic_load(&sleeper_tid));
	f = fopen(path, "r");
	while (f && n < 0 && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &state);
		sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	}
	if (!f || n < 0)
		fail(path);
	fclose(f);
	return state == 'S' ? n : 0;
}

static void open_files(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!strcmp(kind->name, "pipe") || !strcmp(kind->name, "bulk")) {
		if (pipe(fds) || fcntl(fds[1], F_SETPIPE_SZ, BULK) < BULK)
			fail("pipe");
	} else if (!strcmp(kind->name, "socket")) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			fail("socketpair");
	} else {
		fds[0] = fds[1] = eventfd(0, 0);
		if (fds[0] < 0)
			fail("eventfd");
	}
	epoll_fd = epoll_create1(0);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[0], &event))
		fail("epoll");
}

static void keep_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("sched_setaffinity");
}

/* And those that it makes from then on. */
static void rule(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		fail("sched_setscheduler");
}

/* Each time that it has got so far, and then has gone to sleep once more. */
static void wake_all(void)
{
	long i, slept, before = atomic_load(&slept_before);

	for (i = 0; i < count; i++) {
		while (atomic_load(&turns) < i || (slept = sleeps()) <= before)
			usleep(50);
		before = slept;
		atomic_store(&called_ns, now());
		kind->wake();
	}
	/* No join: that would be one more wait on a futex. */
	while (atomic_load(&turns) < count)
		usleep(50);
}

static void play(void)
{
	bool burns = kind->wake == wake_and_keep;
	pthread_t thread;

	if (burns)
		keep_one_processor();
	if (kind->wake == wake_bulk)
		rule();
	if (pthread_create(&thread, NULL, sleeper, NULL))
		fail("pthread_create");
	while (!atomic_load(&sleeper_tid))
		sched_yield();
	printf("sleeper %d\n", atomic_load(&sleeper_tid));
	if (burns)
		rule();
	wake_all();
	printf("mean %" PRIu64 "\n", sum_ns / (uint64_t)count);
}

int main(int argc, char **argv)
{
	count = argc == 3 ? atol(argv[2]) : 0;
	for (kind = kinds; kind->name && argc == 3 && strcmp(kind->name, argv[1]); kind++)
		;
	if (count <= 0 || !kind->name) {
		fputs("usage: wakes KIND COUNT\n", stderr);
		return 2;
	}
	tl = tl_wake_find("futex");
	sem_init(&sem, 0, 0);
	open_files();
	go_begin();
	play();
	go_end(count);
	return 0;
}
