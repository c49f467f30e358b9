/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What becomes of io_uring where a kernel is older, a limit is small or a filter says no: fewer flags, fewer entries, or
 * epoll in its place with a word about why; and IO works all the same. Each case is a child of its own, for a process
 * settles on a backend once.
 */
#include "iochild.h"

#ifdef TL_NO_URING
int main(void)
{
	tap_skip_all("the library was built without io_uring");
}
#else

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/uring.h"

static volatile sig_atomic_t sigpipes;

static void on_sigpipe(UNUSED int sig)
{
	sigpipes++;
}

/* --- a bit of everything --- */

struct echo {
	struct tl_listener *l;
	int fd;
};

static int fn_echo(void *arg)
{
	struct echo *e = arg;
	char buf[64];
	ssize_t n;
	int fd;

	while ((fd = tl_listener_accept(e->l)) >= 0) {
		while ((n = tl_recv(fd, buf, sizeof(buf), 0)) > 0)
			tl_send(fd, buf, (size_t)n, 0);
		tl_close(fd);
	}
	return fd;
}

static int ask(const struct sockaddr_in *addr)
{
	int fd = tcp_socket();
	char buf[4] = "";

	child_check(!tl_connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), "connect");
	child_check(tl_send(fd, "ping", 4, 0) == 4, "send");
	child_check(tl_recv(fd, buf, 4, MSG_WAITALL) == 4 && !memcmp(buf, "ping", 4), "recv");
	child_check(tl_recv_until(fd, buf, 4, 0, tl_after(3 * MS)) == -ETIMEDOUT, "deadline");
	child_check(!tl_close(fd), "close");
	return 0;
}

static long offloaded(UNUSED void *arg)
{
	tl_now();
	usleep(2000);
	return 7;
}

static int some_files(void)
{
	char path[] = "/tmp/tl-ladder-XXXXXX", buf[8];
	int fd;

	child_check(mkdtemp(path), "mkdtemp");
	child_check((fd = tl_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)) >= 0, "%d", fd);
	child_check(!tl_close(fd), "close");
	rmdir(path);
	child_check((fd = tl_open("/proc/self/exe", O_RDONLY | O_CLOEXEC, 0)) >= 0, "%d", fd);
	child_check(tl_pread(fd, buf, 4, 0) == 4 && !memcmp(buf, "\177ELF", 4), "pread");
	child_check(!tl_close(fd), "close");
	return 0;
}

static int some_io(void)
{
	struct sigaction act = { .sa_handler = on_sigpipe };
	struct call reader = { .kind = READ, .size = 8 };
	struct sockaddr_in addr;
	struct tl_task *t;
	struct echo e;
	uint64_t since;
	long result;
	char buf[8];
	int i, p[2];

	e.fd = tcp_listen(&addr, 10);
	child_check(!tl_listener_new(&e.l, e.fd, SOCK_CLOEXEC), "listener");
	t = mk(fn_echo, &e);
	for (i = 0; i < 5; i++)
		if (ask(&addr))
			return 1;
	settle();
	tl_task_kill(t);
	while (tl_task_is_alive(t))
		tl_sleep(MS);
	tl_task_unref(t);
	tl_listener_free(e.l);
	close(e.fd);

	mkpipe(p);
	reader.fd = p[0];
	reader.buf = buf;
	t = mk(fn_call, &reader);
	settle();
	tl_task_kill(t);
	child_check(wait_done(&reader.done) && reader.result == -ECANCELED, "kill");
	tl_task_unref(t);
	sigaction(SIGPIPE, &act, NULL);
	close(p[0]);
	child_check(tl_write(p[1], "x", 1) == -EPIPE && !sigpipes, "SIGPIPE");
	close(p[1]);
	child_check(tl_pread(p[1], buf, 1, 0) == -EBADF, "a bad descriptor");

	since = tl_now();
	tl_sleep(5 * MS);
	child_check(tl_now() - since >= 5 * MS && tl_now() - since < 1000 * MS, "sleep");
	child_check(!tl_offload(offloaded, NULL, &result) && result == 7, "offload");
	if (some_files())
		return 1;
	child_check(tl_run() == TL_RUN_FINISHED && !stats().io_pending && stats().alive == 1, "leftovers");
	return 0;
}

/* Whether the child has `io`, with a reason that says `reason`. Then all of the above. */
static int expect(const char *io, const char *reason)
{
	struct tl_features f = { .size = sizeof(f) };
	int r = tl_features(&f);

	child_check(!r, "tl_features: %d", r);
	child_check(!strcmp(f.io, io), "%s: %s", f.io, f.io_reason);
	child_check(reason ? strstr(f.io_reason, reason) != NULL : !f.io_reason[0], "reason: %s", f.io_reason);
	if (some_io())
		return 1;
	child_check(!tl_sched_end(), "end");
	return 0;
}

/* --- older kernels --- */

struct step {
	const char *what;
	uint32_t refused, has, has_not;
	bool old;
};

static const struct step steps[] = {
	{ "the best", 0, IORING_SETUP_SUBMIT_ALL, 0, false },
	{ "the best, without the newest", 0, IORING_SETUP_SUBMIT_ALL, 0, true },
	{ "without DEFER_TASKRUN", IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN,
	  IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, false },
	{ "without TASKRUN_FLAG", IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SUBMIT_ALL,
	  IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN, true },
	{ "without SUBMIT_ALL", IORING_SETUP_SUBMIT_ALL, IORING_SETUP_CQSIZE, IORING_SETUP_SUBMIT_ALL, true },
};

static int on_step(void *arg)
{
	const struct step *step = arg;
	struct tl_features f = { .size = sizeof(f) };

	tl__uring_test_refused = step->refused;
	tl__uring_test_old = step->old;
	child_check(!tl_features(&f), "tl_features");
	child_check((f.io_uring_flags & step->has) == step->has && !(f.io_uring_flags & step->has_not), "flags %x",
		    f.io_uring_flags);
	child_check(f.io_uring_entries == 256, "%u entries", f.io_uring_entries);
	child_check(!step->old || !f.multishot_accept, "multishot");
	return expect("io_uring", NULL);
}

static int too_old(UNUSED void *arg)
{
	tl__uring_test_refused = IORING_SETUP_CLAMP;
	return expect("epoll", "too old");
}

/* --- limits --- */

/* Root may lock what it likes: become somebody else, who may not even be looked at by the leak checker otherwise. */
static int become_nobody(void)
{
	if (getuid())
		return 0;
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return -1;
	return prctl(PR_SET_DUMPABLE, 1);
}

/* Told by the children. */
static bool *counted;	/* whether this kernel counts the memory of rings */
static bool *smaller;	/* whether there was a ring of less than full size */

static int with_memlock(void *arg)
{
	rlim_t bytes = (rlim_t)(uintptr_t)arg;
	struct rlimit limit = { bytes, bytes };
	struct tl_features f = { .size = sizeof(f) };
	int r;

	child_check(!setrlimit(RLIMIT_MEMLOCK, &limit) && !become_nobody(), "%s", strerror(errno));
	r = tl_features(&f);
	child_check(!r, "tl_features: %d", r);
	tap_diag("RLIMIT_MEMLOCK %lu: %s, %u entries; %s", (unsigned long)bytes, f.io, f.io_uring_entries, f.io_reason);
	/* Kernels from 5.12 up to some newer ones don't count rings. */
	if (f.io_uring_entries < 256 && !strcmp(f.io, "io_uring"))
		child_check(f.io_uring_entries >= 32 && bytes >= 8192, "%u", f.io_uring_entries);
	if (!strcmp(f.io, "epoll"))
		child_check(bytes <= 16384 && strstr(f.io_reason, "RLIMIT_MEMLOCK"), "%s", f.io_reason);
	if (!bytes)
		*counted = !strcmp(f.io, "epoll");
	*smaller |= f.io_uring_entries && f.io_uring_entries < 256;
	return expect(f.io, f.io_reason[0] ? "RLIMIT_MEMLOCK" : NULL);
}

/* No thread to be had, for us or for the kernel: what needs one says so, the rest works. */
static int without_threads(UNUSED void *arg)
{
	struct rlimit limit, old;
	struct call c = { .kind = READ, .size = 8 };
	char path[] = "/tmp/tl-ladder-XXXXXX", buf[8];
	int fd = mkstemp(path), r, p[2];
	long result;

	if (getuid())
		return TAP_EXIT_SKIP;	/* others may have any number */
	must(fd >= 0);
	close(fd);
	chmod(path, 0666);
	must(!getrlimit(RLIMIT_NPROC, &old));
	limit = old;
	limit.rlim_cur = 1;
	child_check(!become_nobody() && !setrlimit(RLIMIT_NPROC, &limit), "%s", strerror(errno));
	child_check(!strcmp(backend(), "io_uring"), "%s", backend());
	child_check(tl_offload(offloaded, NULL, &result) == -EAGAIN, "offload");
	r = tl_open(path, O_RDWR | O_CLOEXEC, 0);
	child_check(r == -EAGAIN, "open: %d", r);
	fd = open(path, O_RDWR | O_CLOEXEC);
	child_check(fd >= 0, "%s", strerror(errno));
	unlink(path);
	child_check((r = tl_fsync(fd)) == -EAGAIN, "fsync: %d", r);
	child_check((r = (int)tl_pread(fd, buf, 8, 0)) == 0, "pread: %d", r);
	child_check((r = tl_close(fd)) == 0 && fcntl(fd, F_GETFD) < 0, "close: %d", r);
	mkpipe(p);
	c.fd = p[0];
	c.buf = buf;
	go(fn_call, &c);
	settle();
	child_check(tl_write(p[1], "abc", 3) == 3 && wait_done(&c.done) && c.result == 3, "pipe");
	tl_close(p[0]);
	tl_close(p[1]);
	must(!setrlimit(RLIMIT_NPROC, &old));	/* a leak checker needs one */
	return 0;
}

static int without_descriptors(UNUSED void *arg)
{
	struct tl_features f = { .size = sizeof(f) };
	struct rlimit old, limit;
	int fd, r;

	must(!getrlimit(RLIMIT_NOFILE, &old));
	fd = dup(0);
	limit = old;
	limit.rlim_cur = (rlim_t)fd + 1;
	must(!setrlimit(RLIMIT_NOFILE, &limit));
	r = tl_features(&f);
	child_check(r == -EMFILE, "tl_features: %d", r);
	r = (int)tl_read(0, &r, sizeof(r));
	child_check(r == -EMFILE, "tl_read: %d", r);
	must(!setrlimit(RLIMIT_NOFILE, &old));
	close(fd);
	/* That was then. */
	return expect("io_uring", NULL);
}

/* --- filters --- */

static int deny(int call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_LEN(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

struct filter {
	const char *what;
	int call, error;
	const char *reason;
};

static const struct filter filters[] = {
	{ "io_uring_setup: EPERM", SYS_io_uring_setup, EPERM, "denied" },
	{ "io_uring_setup: ENOSYS", SYS_io_uring_setup, ENOSYS, "no io_uring" },
	{ "io_uring_setup: EACCES", SYS_io_uring_setup, EACCES, "security module" },
	{ "io_uring_setup: EOPNOTSUPP", SYS_io_uring_setup, EOPNOTSUPP, "too old" },
	{ "io_uring_setup: ENFILE", SYS_io_uring_setup, ENFILE, "descriptor" },
	{ "io_uring_setup: an error that nobody expects", SYS_io_uring_setup, EXDEV, "link" },
	{ "io_uring_enter: EPERM", SYS_io_uring_enter, EPERM, "denied" },
	{ "io_uring_enter: ENOSYS", SYS_io_uring_enter, ENOSYS, "no io_uring" },
	{ "io_uring_register: EPERM", SYS_io_uring_register, EPERM, "denied" },
};

static int behind_filter(void *arg)
{
	const struct filter *f = arg;
	int fds = count_fds();

	if (deny(f->call, f->error)) {
		tap_diag("no seccomp filter: %s", strerror(errno));
		return TAP_EXIT_SKIP;
	}
	if (expect("epoll", f->reason))
		return 1;
	child_check(count_fds() == fds, "%d descriptors", count_fds());
	return 0;
}

/* A thread that is out of luck has epoll; those that have rings keep them. */
static int second_thread_status;

static void *second_thread(UNUSED void *arg)
{
	second_thread_status = strcmp(backend(), "epoll") || some_io() || tl_sched_end();
	return NULL;
}

static int later_denied(UNUSED void *arg)
{
	pthread_t thread;

	child_check(!strcmp(backend(), "io_uring"), "%s", backend());
	if (deny(SYS_io_uring_setup, EPERM))
		return TAP_EXIT_SKIP;
	must(!pthread_create(&thread, NULL, second_thread, NULL));
	pthread_join(thread, NULL);
	child_check(!second_thread_status, "the other thread");
	return expect("io_uring", NULL);
}

/* --- requests --- */

static int wish(void *arg)
{
	setenv("TL_IO", arg, 1);
	if (!strcmp(arg, "epoll"))
		return expect("epoll", "TL_IO=epoll");
	return expect("io_uring", NULL);
}

/* An exec finds none of our descriptors, and run after run nothing is left. */
static int many_rings(UNUSED void *arg)
{
	int fds = count_fds(), i;

	for (i = 0; i < 50; i++) {
		child_check(!strcmp(backend(), "io_uring"), "%s", backend());
		child_check(!tl_sleep(10000), "sleep");
		child_check(!tl_sched_end(), "end");
	}
	child_check(count_fds() == fds, "%d descriptors", count_fds());
	return 0;
}

static void child(int (*fn)(void *arg), const void *arg, const char *what)
{
	int r = in_child(fn, (void *)(uintptr_t)arg);

	if (r == TAP_EXIT_SKIP)
		tap_skip("%s", what);
	else
		tap_is(r, 0, "%s", what);
}

static int look(UNUSED void *arg)
{
	return strcmp(backend(), "io_uring") != 0;
}

int main(void)
{
	static const unsigned long limits[] = { 0, 4096, 16384, 24576, 32768, 65536, 262144, 8388608 };
	size_t i;

	counted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(counted != MAP_FAILED);
	smaller = counted + 1;

	unsetenv("TL_IO");
	if (in_child(look, NULL))
		tap_skip_all("no io_uring here");
	tap_plan((long)(ARRAY_LEN(steps) + ARRAY_LEN(limits) + ARRAY_LEN(filters)) + 9);
	for (i = 0; i < ARRAY_LEN(steps); i++)
		child(on_step, &steps[i], steps[i].what);
	child(too_old, NULL, "a kernel that is too old");
	for (i = 0; i < ARRAY_LEN(limits); i++) {
		char what[64];

		snprintf(what, sizeof(what), "RLIMIT_MEMLOCK of %lu", limits[i]);
		child(with_memlock, (void *)limits[i], what);
	}
	tap_ok(*smaller || !*counted, "in between there are smaller rings");
	child(without_threads, NULL, "no thread to be had");
	child(without_descriptors, NULL, "no descriptor to be had, and later on some");
	for (i = 0; i < ARRAY_LEN(filters); i++)
		child(behind_filter, &filters[i], filters[i].what);
	child(later_denied, NULL, "a filter that comes between two threads");
	child(wish, "epoll", "TL_IO=epoll");
	child(wish, "io_uring", "TL_IO=io_uring");
	child(wish, "kqueue", "TL_IO=kqueue");
	child(many_rings, NULL, "50 rings, one after the other");
	return tap_exit();
}
#endif
