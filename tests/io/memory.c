/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Out of memory, threads and descriptors: every point at which a call can fail for it is made to fail, one after the
 * other, and then that one and all that follow. The call says so or succeeds; nothing is lost, nothing is left behind,
 * and the same call works afterwards.
 */
#include "iotest.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/alloc.h"

/* A call, made with faults and without. What it opened before is in fd[], and stays. */
struct scenario {
	const char *name;
	int (*call)(struct scenario *s);
	bool fresh;	/* the thread has no IO yet */
	int fd[2];
	int calls, failures;
	bool ok;
};

static bool may_fail(int r)
{
	return r == -ENOMEM || r == -EAGAIN;
}

static int call_read(struct scenario *s)
{
	char c = 0;
	int r = (int)tl_read(s->fd[0], &c, 1);

	if (r == 1) {
		s->ok &= c == 'x';
		s->ok &= write(s->fd[1], "x", 1) == 1;	/* for the next one */
	}
	return r;
}

static int call_wait(struct scenario *s)
{
	char c;
	int r = (int)tl_read_until(s->fd[0], &c, 1, tl_after(50000));

	return r == -ETIMEDOUT ? 0 : r;
}

static int call_poll(struct scenario *s)
{
	int r = tl_poll_until(s->fd[0], POLLPRI, tl_after(50000));

	return r == -ETIMEDOUT ? 0 : r;
}

static int call_file(struct scenario *s)
{
	char path[] = "/tmp/tl-memory-XXXXXX", buf[4] = "";
	int fd = mkostemp(path, O_CLOEXEC), r, k;

	must(fd >= 0);
	r = (int)tl_write(fd, "abc", 3);
	if (r == 3)
		r = (int)tl_pread(fd, buf, 3, 0);
	if (r == 3) {
		s->ok &= !memcmp(buf, "abc", 3);
		r = tl_fsync(fd);
	}
	/* It is closed whatever happens. */
	k = tl_close(fd);
	s->ok &= k == 0 && fcntl(fd, F_GETFD) < 0;
	unlink(path);
	return r;
}

#define HOLES (8 << 20)	/* more than the kernel drops and reads at a time */

/*
 * A read of which the page cache has a part: it gives that part or moves nothing, so that the position is always what
 * the results say.
 */
static int call_holes(struct scenario *s)
{
	static char data[HOLES];
	int r;

	posix_fadvise(s->fd[0], sizeof(data) / 2, 0, POSIX_FADV_DONTNEED);
	must(!lseek(s->fd[0], 0, SEEK_SET));
	memset(data, 0, sizeof(data));
	r = (int)tl_read(s->fd[0], data, sizeof(data));
	s->ok &= lseek(s->fd[0], 0, SEEK_CUR) == (r < 0 ? 0 : r) && (r < 0 || filled(data, (size_t)r, 5));
	return r;
}

static int holes_open(void)
{
	char path[] = "/tmp/tl-memory-XXXXXX", *data = malloc(HOLES);
	int fd = mkostemp(path, O_CLOEXEC);

	must(fd >= 0 && data);
	unlink(path);
	fill(data, HOLES, 5);
	must(write(fd, data, HOLES) == HOLES && !fsync(fd));
	free(data);
	return fd;
}

static int call_open(UNUSED struct scenario *s)
{
	int fd = tl_open("/dev/null", O_RDWR | O_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long fn_add(void *arg)
{
	return (long)arg + 1;
}

static int call_offload(struct scenario *s)
{
	long result = 0;
	int r = tl_offload_until(fn_add, (void *)1, &result, tl_after(10000 * MS));

	s->ok &= r || result == 2;
	return r;
}

static int call_lookup(UNUSED struct scenario *s)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST }, *list;
	int r = tl_getaddrinfo_until("127.0.0.1", "80", &hints, &list, tl_after(10000 * MS));

	if (!r)
		freeaddrinfo(list);
	return r;
}

static int call_connect(struct scenario *s)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd = tcp_socket(), r, peer = -1;

	must(!getsockname(s->fd[0], (struct sockaddr *)&addr, &len));
	r = tl_connect_until(fd, (struct sockaddr *)&addr, sizeof(addr), tl_after(10000 * MS));
	if (!r) {
		peer = tl_accept_until(s->fd[0], NULL, NULL, SOCK_CLOEXEC, tl_after(10000 * MS));
		if (peer < 0)
			r = peer;
		/* Who was not accepted is still there. */
		if (peer < 0)
			peer = accept(s->fd[0], NULL, NULL);
		s->ok &= peer >= 0;
		close(peer);
	}
	s->ok &= tl_close(fd) == 0;
	return r;
}

static int call_send(struct scenario *s)
{
	char buf[4] = "";
	int r = (int)tl_send(s->fd[0], "abc", 3, 0);

	if (r == 3) {
		r = (int)tl_recv(s->fd[1], buf, 4, 0);
		if (r < 0)
			s->ok &= recv(s->fd[1], buf, 4, MSG_DONTWAIT) == 3;
		s->ok &= !memcmp(buf, "abc", 3);
	}
	return r;
}

static void once(struct scenario *s, unsigned long nth, bool sticky, bool *hit)
{
	int fds = count_fds(), r;
	struct tl_stats st;

	tl__fault_arm(nth, sticky);
	r = s->call(s);
	tl__fault_arm(0, false);
	*hit = tl__fault_count() >= nth;
	s->calls++;
	s->failures += r < 0;
	if (r < 0 && !may_fail(r)) {
		tap_diag("%s: fault %lu: %d", s->name, nth, r);
		s->ok = false;
	}
	tl_run();
	st = stats();
	if (st.alive != 1 || st.timers || st.io_pending || (!s->fresh && count_fds() != fds)) {
		tap_diag("%s: fault %lu: something is left", s->name, nth);
		s->ok = false;
	}
	r = s->call(s);
	if (r < 0) {
		tap_diag("%s: fault %lu: afterwards %d", s->name, nth, r);
		s->ok = false;
	}
}

static unsigned long point;
static bool point_sticky, point_hit;

/* A thread of its own has nothing yet: all that grows with use has to grow. */
static void *fn_thread(void *arg)
{
	struct scenario *s = arg;

	if (!s->fresh)
		backend();
	once(s, point, point_sticky, &point_hit);
	if (tl_sched_end())
		tap_bail("tl_sched_end");
	return NULL;
}

static void run(struct scenario *s)
{
	pthread_t t;

	s->ok = true;
	for (point_sticky = false;; point_sticky = true) {
		point = 0;
		do {
			point++;
			must(!pthread_create(&t, NULL, fn_thread, s));
			pthread_join(t, NULL);
		} while (point_hit && point < 200);
		if (point_sticky)
			break;
	}
	tap_ok(s->ok && point < 200, "%s%s: %d calls, %d of them fail", s->name, s->fresh ? ", the first IO of a thread" : "",
	       s->calls, s->failures);
}

static void each(bool fresh)
{
	struct sockaddr_in addr;
	struct scenario read = { "read", call_read, fresh, { 0 }, 0, 0, true };
	struct scenario wait = { "read up to a deadline", call_wait, fresh, { 0 }, 0, 0, true };
	struct scenario poll = { "poll", call_poll, fresh, { 0 }, 0, 0, true };
	struct scenario file = { "file", call_file, fresh, { 0 }, 0, 0, true };
	struct scenario open = { "open", call_open, fresh, { 0 }, 0, 0, true };
	struct scenario offload = { "offload", call_offload, fresh, { 0 }, 0, 0, true };
	struct scenario lookup = { "getaddrinfo", call_lookup, fresh, { 0 }, 0, 0, true };
	struct scenario connect = { "connect and accept", call_connect, fresh, { 0 }, 0, 0, true };
	struct scenario holes = { "read with holes in the cache", call_holes, fresh, { 0 }, 0, 0, true };
	struct scenario send = { "send and recv", call_send, fresh, { 0 }, 0, 0, true };

	mkpipe(read.fd);
	must(write(read.fd[1], "x", 1) == 1);
	run(&read);
	close_both(read.fd);
	mkpipe(wait.fd);
	run(&wait);
	close_both(wait.fd);
	unix_pair(poll.fd, SOCK_STREAM);
	run(&poll);
	close_both(poll.fd);
	run(&file);
	holes.fd[0] = holes_open();
	run(&holes);
	close(holes.fd[0]);
	run(&open);
	run(&offload);
	run(&lookup);
	connect.fd[0] = tcp_listen(&addr, 8);
	run(&connect);
	close(connect.fd[0]);
	unix_pair(send.fd, SOCK_STREAM);
	run(&send);
	close_both(send.fd);
}

/* Those that wait already do not suffer when there is no memory any more. */
static void test_waiters(void)
{
	char buf[3];
	struct call c[3];
	int p[2], i;
	bool ok = true;

	mkpipe(p);
	for (i = 0; i < 3; i++) {
		c[i] = (struct call){ .kind = READ, .fd = p[0], .buf = &buf[i], .size = 1 };
		go(fn_call, &c[i]);
	}
	settle();
	tl_sleep(MS);	/* the sleeper's timer has its memory */
	tl__fault_arm(1, true);
	for (i = 0; i < 3; i++) {
		must(write(p[1], "x", 1) == 1);
		tl_sleep(5 * MS);
	}
	tl__fault_arm(0, false);
	for (i = 0; i < 3; i++) {
		wait_done(&c[i].done);
		ok &= c[i].result == 1;
	}
	tap_ok(ok, "three that wait are served without memory");
	close_both(p);
	all_gone("waiters");
}

/* Without descriptors a thread can't begin IO. It can close some. */
static void *fn_no_fds(void *arg)
{
	struct rlimit old, none;
	int *p = arg, r, k, top;
	bool ok;
	char c;

	must(!getrlimit(RLIMIT_NOFILE, &old));
	top = dup(p[0]);
	close(top);
	none = old;
	none.rlim_cur = (rlim_t)top;	/* the lowest free one */
	must(!setrlimit(RLIMIT_NOFILE, &none));
	r = (int)tl_read(p[0], &c, 1);
	k = tl_close(p[1]);
	ok = fcntl(p[1], F_GETFD) < 0;
	must(!setrlimit(RLIMIT_NOFILE, &old));
	tap_is(r, -EMFILE, "no descriptor is left: IO can't begin");
	tap_ok(k == 0 && ok, "but tl_close() closes");
	tap_is(tl_read(p[0], &c, 1), 1, "then it can, and what was there is there");
	tap_is(tl_sched_end(), 0, "the scheduler ends");
	return NULL;
}

static void test_no_fds(void)
{
	pthread_t t;
	int p[2];

	mkpipe(p);
	must(write(p[1], "x", 1) == 1);
	must(!pthread_create(&t, NULL, fn_no_fds, p));
	pthread_join(t, NULL);
	close(p[0]);
}

int main(void)
{
	iotest_begin(26);
	each(false);
	each(true);
	test_waiters();
	test_no_fds();
	return iotest_end();
}
