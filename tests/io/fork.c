/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A fork with IO under way: the parent does not notice; the child has IO of its own, and what was under way is over for
 * it as soon as it asks.
 */
#include "iotest.h"

#include <sys/wait.h>

/*
 * The child's checks. It leaves by _exit(): what the parent had under way is lost on purpose, and a leak checker need
 * not see that.
 */
static pid_t start_child(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (!pid)
		_exit(fn(arg));
	return pid;
}

/* Waits for it as a tasklet would: the others go on. */
static int end_child(pid_t pid)
{
	uint64_t until = tl_after(30000 * MS);
	int status = -1;
	pid_t r;

	while (!(r = waitpid(pid, &status, WNOHANG)) && tl_now() < until)
		tl_sleep(MS);
	if (!r) {
		tap_diag("a child hangs");
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define check(x) \
	do { if (!(x)) { tap_diag("child: line %d: %s", __LINE__, #x); return 1; } } while (0)

static int fresh_io(void)
{
	struct call c = { .kind = READ, .size = 8 };
	char buf[8];
	int p[2];

	mkpipe(p);
	c.fd = p[0];
	c.buf = buf;
	go(fn_call, &c);
	settle();
	check(!c.done);
	check(tl_write(p[1], "fresh", 5) == 5);
	check(wait_done(&c.done) && c.result == 5);
	check(tl_read_until(p[0], buf, 1, tl_after(2 * MS)) == -ETIMEDOUT);
	check(!tl_close(p[0]) && !tl_close(p[1]));
	return 0;
}

/* --- the child of a parent with a reader, a sender and a sleeper --- */

static struct call reader = { .kind = RECV }, poller = { .kind = POLL, .flags = POLLIN };
static struct tl_task *reader_task, *poller_task;
static char reader_buf[8];
static int data[2], ready[2];

static int fn_sleeper(void *arg)
{
	tl_sleep(20 * MS);
	*(bool *)arg = true;
	return 0;
}

/* How many lines of a file of /proc/self, or links of a directory there, tell of the parent's IO. */
static int traces_in_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "[io_uring]") != NULL;
	if (f)
		fclose(f);
	return n;
}

static int traces_in_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	char link[64];
	ssize_t len;
	int n = 0;

	must(d);
	while ((e = readdir(d))) {
		len = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		n += strstr(link, "[io_uring]") || strstr(link, "[eventpoll]") || strstr(link, "[eventfd]");
	}
	closedir(d);
	return n;
}

static int with_io(void *arg)
{
	/* Unless it has IO of its own already. */
	check(arg || (traces_in_maps() == 0 && traces_in_fds() == 0));
	check(stats().io_pending == 0);
	if (fresh_io())
		return 1;
	/* The parent's: nothing will ever come of them here, but a kill ends them at once. */
	check(tl_task_is_blocked(reader_task) && !reader.done);
	check(!tl_task_kill(reader_task) && reader.done && reader.result == -ECANCELED);
	check(!tl_task_kill(poller_task) && poller.done && poller.result == -ECANCELED);
	check(tl_run() == TL_RUN_FINISHED);
	check(stats().io_pending == 0 && stats().alive == 1);
	check(!tl_sched_end());
	return fresh_io();
}

static void start_readers(void)
{
	unix_pair(data, SOCK_STREAM);
	mkpipe(ready);
	reader.fd = data[0];
	poller.fd = ready[0];
	reader.buf = reader_buf;
	reader.size = sizeof(reader_buf);
	reader.done = poller.done = false;
	reader_task = mk(fn_call, &reader);
	poller_task = mk(fn_call, &poller);
}

static void end_readers(const char *what)
{
	must(write(data[1], "parent's", 8) == 8 && write(ready[1], "x", 1) == 1);
	tap_ok(wait_done(&reader.done) && reader.result == 8 && !memcmp(reader_buf, "parent's", 8) &&
	       wait_done(&poller.done) && (poller.result & POLLIN), "%s: the parent's go on", what);
	tl_task_unref(reader_task);
	tl_task_unref(poller_task);
	close_both(data);
	close_both(ready);
}

static void test_under_way(bool submitted)
{
	const char *what = submitted ? "under way" : "queued";
	bool slept = false;
	pid_t pid;

	start_readers();
	go(fn_sleeper, &slept);
	tl_schedule();
	if (submitted)
		tl_sleep(2 * MS);
	pid = start_child(with_io, NULL);
	tap_is(end_child(pid), 0, "%s: the child has IO of its own", what);
	end_readers(what);
	tap_ok(wait_done(&slept), "%s: and the parent's sleeper wakes", what);
	all_gone(what);
}

/* The child ends with its parent's tasklets blocked. */
static int just_leaves(UNUSED void *arg)
{
	if (fresh_io())
		return 1;
	check(!tl_sched_end());
	check(reader.done && reader.result == -ECANCELED);
	return 0;
}

static int grandchild(UNUSED void *arg)
{
	return with_io(NULL);
}

static int has_child(UNUSED void *arg)
{
	pid_t pid;

	if (fresh_io())
		return 1;
	pid = start_child(grandchild, NULL);
	check(end_child(pid) == 0);
	return with_io(&pid);
}

/* While the parent's readers wait, a child does that. */
static void test_child(int (*fn)(void *arg), const char *what, const char *name)
{
	start_readers();
	settle();
	tl_sleep(MS);
	tap_is(end_child(start_child(fn, NULL)), 0, "%s", name);
	end_readers(what);
	all_gone(what);
}

/* --- many forks in the middle of traffic, from a tasklet --- */

struct traffic {
	int in, out;
	size_t size, sent, got;
	bool ok;
};

static int fn_send(void *arg)
{
	struct traffic *t = arg;
	char buf[1000];
	ssize_t n;

	while (t->sent < t->size) {
		fill(buf, sizeof(buf), t->sent);
		n = tl_send(t->out, buf, sizeof(buf), 0);
		if (n <= 0)
			break;
		t->sent += (size_t)n;
	}
	tl_close(t->out);
	return 0;
}

static int fn_recv(void *arg)
{
	struct traffic *t = arg;
	char buf[777];
	ssize_t n;

	t->ok = true;
	while ((n = tl_recv(t->in, buf, sizeof(buf), 0)) > 0) {
		t->ok &= filled(buf, (size_t)n, t->got);
		t->got += (size_t)n;
	}
	t->ok &= n == 0 && t->got == t->size;
	tl_close(t->in);
	return 0;
}

static int quick_child(UNUSED void *arg)
{
	return fresh_io();
}

static int fn_forks(void *arg)
{
	int i, *bad = arg;

	for (i = 0; i < 20; i++) {
		pid_t pid = start_child(quick_child, NULL);

		tl_schedule();
		*bad += end_child(pid) != 0;
	}
	return 0;
}

static void test_traffic(void)
{
	struct traffic t[4];
	bool ok = true;
	int i, p[2], bad = 0;

	for (i = 0; i < 4; i++) {
		tcp_pair(p);
		t[i] = (struct traffic){ .in = p[0], .out = p[1], .size = 2000000 };
		go(fn_recv, &t[i]);
		go(fn_send, &t[i]);
	}
	go(fn_forks, &bad);
	tl_run();
	for (i = 0; i < 4; i++)
		ok &= t[i].ok;
	tap_ok(ok, "forks in the middle of traffic: it arrives");
	tap_is(bad, 0, "and the children have IO");
	all_gone("traffic");
}

/* --- a listener that parent and child share --- */

struct served {
	struct tl_listener *l;		/* NULL: it was freed */
	int count;
};

static int fn_accept(void *arg)
{
	struct served *s = arg;
	int fd;

	while (s->l && (fd = tl_listener_accept(s->l)) >= 0) {
		s->count++;
		tl_send(fd, "x", 1, 0);
		tl_close(fd);
	}
	return 0;
}

#define CONNECTIONS 20

/* Takes what comes until nothing does; what it has accepted ahead would be lost otherwise. */
static int accepts_too(void *arg)
{
	struct served *s = arg;
	int fd;

	s->count = 0;
	for (;;) {
		fd = tl_listener_accept_until(s->l, tl_after(s->count < CONNECTIONS ? 20000 * MS : 300 * MS));
		if (fd < 0)
			break;
		check(tl_send(fd, "x", 1, 0) == 1);
		close(fd);
		s->count++;
	}
	check(fd == -ETIMEDOUT && s->count >= CONNECTIONS);
	tl_listener_free(s->l);
	check(tl_run() == TL_RUN_FINISHED && stats().alive == 1 && !stats().io_pending);
	return 0;
}

static bool all_served(struct sockaddr_in *addr)
{
	int c[CONNECTIONS], i;
	bool ok = true;
	char b;

	for (i = 0; i < CONNECTIONS; i++) {
		c[i] = tcp_socket();
		must(!connect(c[i], (struct sockaddr *)addr, sizeof(*addr)));
		usleep(100);	/* whose turn it is now is anybody's guess */
	}
	for (i = 0; i < CONNECTIONS; i++) {
		ok &= tl_recv_until(c[i], &b, 1, 0, tl_after(20000 * MS)) == 1;
		close(c[i]);
	}
	return ok;
}

static void test_listener(void)
{
	struct sockaddr_in addr;
	struct served s = { 0 };
	int fd = tcp_listen(&addr, 100);
	pid_t pid;

	must(!tl_listener_new(&s.l, fd, SOCK_CLOEXEC));
	go(fn_accept, &s);
	settle();
	tl_sleep(MS);
	pid = start_child(accepts_too, &s);
	tap_ok(all_served(&addr), "a listener in parent and child: each connection is served");
	tap_diag("%d of %d by the parent", s.count, CONNECTIONS);
	tl_listener_free(s.l);
	s.l = NULL;
	tl_sleep(10 * MS);	/* the kernel lets go of what it was to accept for us */
	tap_ok(all_served(&addr), "by the child alone when the parent's is gone");
	tap_is(end_child(pid), 0, "which has them all");
	close(fd);
	all_gone("listener");
}

/* --- exec --- */

static int execs(UNUSED void *arg)
{
	execl("/bin/sh", "sh", "-c",
	      "for f in /proc/$$/fd/*; do case $(readlink $f) in *io_uring*|*eventpoll*|*eventfd*) exit 9;; esac; done",
	      (char *)NULL);
	return 8;
}

static void test_exec(void)
{
	pid_t pid;

	start_readers();
	settle();
	tl_sleep(MS);
	pid = start_child(execs, NULL);
	tap_is(end_child(pid), 0, "what is executed inherits no descriptor of ours");
	end_readers("exec");
	all_gone("exec");
}

int main(void)
{
	/* Tasklets that go on in the child are other threads to it, that race with those of the parent. */
	if (IOTEST_TSAN)
		tap_skip_all("ThreadSanitizer loses its fibers in a fork");
	tap_plan(4 * 2 + 3 + 3 + 3 + 4 + 3);
	test_under_way(true);
	test_under_way(false);
	test_child(just_leaves, "ends", "a child that ends its scheduler ends them too");
	test_child(has_child, "grandchild", "a grandchild");
	test_traffic();
	test_listener();
	test_exec();
	tl_sched_end();
	return tap_exit();
}
