/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Files: each call against what the system call of its name does, at the end of a file, at the file position and
 * apart from it, with holes in the page cache, with descriptors and pointers that are none; and many at a time, killed
 * or not, without a descriptor lost.
 */
#include "iotest.h"

#include <limits.h>

#define BIG (8u << 20)

static char dir[] = "/tmp/tl-files-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void test_basic(void)
{
	char buf[64] = "";
	int fd, r;

	fd = tl_open(in_dir("basic"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	tap_ok(fd >= 0, "open makes a file");
	tap_is(tl_write(fd, "0123456789", 10), 10, "write");
	tap_is(lseek(fd, 0, SEEK_CUR), 10, "moves the position");
	tap_is(tl_read(fd, buf, sizeof(buf)), 0, "read at the end");
	tap_ok(tl_pread(fd, buf, 4, 3) == 4 && !memcmp(buf, "3456", 4), "pread");
	tap_is(tl_pwrite(fd, "abc", 3, 2), 3, "pwrite");
	tap_is(lseek(fd, 0, SEEK_CUR), 10, "leave the position alone");
	lseek(fd, 6, SEEK_SET);
	tap_ok(tl_read(fd, buf, sizeof(buf)) == 4 && !memcmp(buf, "6789", 4), "read is short at the end");
	tap_is(lseek(fd, 0, SEEK_CUR), 10, "and moves the position");
	tap_is(tl_pread(fd, buf, 4, 8), 2, "so is pread");
	tap_is(tl_pread(fd, buf, 4, 10), 0, "which finds nothing at the end");
	tap_is(tl_pread(fd, buf, 4, 1000000), 0, "nor behind it");
	tap_is(tl_pwrite(fd, "z", 1, 99999), 1, "pwrite behind the end makes a hole");
	tap_ok(tl_pread(fd, buf, 4, 99997) == 3 && !memcmp(buf, "\0\0z", 3), "that reads as zeroes");
	r = (int)tl_read_until(fd, buf, 2, 1);
	tap_ok(r == 2 || (r == -ETIMEDOUT && lseek(fd, 0, SEEK_CUR) == 10 && tl_read(fd, buf, 2) == 2),
	       "a deadline that has passed is no matter, if this is done at once");
	tap_ok(!memcmp(buf, "\0\0", 2), "... and reads on");
	tap_is(tl_close(fd), 0, "close");
	tap_is(tl_close(fd), -EBADF, "close again");
	tap_is(tl_read(fd, buf, 1), -EBADF, "it is closed");
	all_gone("basic");
}

static void test_vectors(void)
{
	char a[4] = "", b[8] = "", c[64] = "";
	struct iovec out[3] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } };
	struct iovec in[3] = { { a, 2 }, { b, 3 }, { c, sizeof(c) } }, many[IOV_MAX + 1];
	int fd = tl_open(in_dir("vectors"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), i;

	tap_is(tl_writev(fd, out, 3), 8, "writev");
	lseek(fd, 0, SEEK_SET);
	tap_is(tl_readv(fd, in, 3), 8, "readv");
	tap_ok(!memcmp(a, "ab", 2) && !memcmp(b, "cde", 3) && !memcmp(c, "fgh", 3), "into one after the other");
	tap_is(tl_readv_until(fd, in, 3, TL_FOREVER), 0, "at the end");
	tap_is(tl_writev(fd, out, 0), 0, "of none");
	tap_is(tl_writev(fd, out, -1), -EINVAL, "of fewer than none");
	tap_is(tl_readv(fd, in, -1), -EINVAL, "the same for readv");
	for (i = 0; i <= IOV_MAX; i++)
		many[i] = (struct iovec){ a, 1 };
	tap_is(tl_writev(fd, many, IOV_MAX + 1), -EINVAL, "of too many");
	tap_is(tl_writev_until(fd, many, IOV_MAX, TL_FOREVER), IOV_MAX, "of as many as there may be");
	tl_close(fd);
	all_gone("vectors");
}

static void test_full(void)
{
	char buf[16] = "";
	size_t done = 77;
	int fd = tl_open(in_dir("full"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	tap_ok(tl_write_full(fd, "0123456789", 10, &done) == 10 && done == 10, "write_full");
	lseek(fd, 0, SEEK_SET);
	tap_ok(tl_read_full(fd, buf, 4, NULL) == 4 && !memcmp(buf, "0123", 4), "read_full");
	tap_ok(tl_read_full(fd, buf, 16, &done) == 6 && done == 6, "read_full at the end has fewer");
	tap_ok(tl_read_full(fd, buf, 16, &done) == 0 && done == 0, "or nothing");
	tl_close(fd);
	fd = tl_open(in_dir("full"), O_RDONLY | O_CLOEXEC, 0);
	tap_ok(tl_write_full(fd, "x", 1, &done) == -EBADF && done == 0, "write_full's error");
	tl_close(fd);
	tap_ok(tl_read_full(fd, buf, 1, &done) == -EBADF && done == 0, "read_full's error");
	all_gone("full");
}

/* A long read must not end at a page that is not in the cache: the file has more. */
static void test_big(void)
{
	char *data = malloc(BIG), *back = malloc(BIG);
	struct iovec in[3] = { { back, 12345 }, { back + 12345, 1 }, { back + 12346, BIG - 12346 } };
	int fd = tl_open(in_dir("big"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	must(data && back);
	fill(data, BIG, 1);
	tap_is(tl_write(fd, data, BIG), BIG, "8 MiB in one write");
	tap_is(tl_fsync(fd), 0, "fsync");
	posix_fadvise(fd, 1 << 20, 3 << 20, POSIX_FADV_DONTNEED);
	tap_ok(tl_pread(fd, back, BIG, 0) == BIG && !memcmp(data, back, BIG), "in one pread, partly from the cache");
	posix_fadvise(fd, 1 << 20, 3 << 20, POSIX_FADV_DONTNEED);
	memset(back, 0, BIG);
	lseek(fd, 0, SEEK_SET);
	tap_ok(tl_readv(fd, in, 3) == BIG && !memcmp(data, back, BIG), "in one readv");
	posix_fadvise(fd, 1 << 20, 3 << 20, POSIX_FADV_DONTNEED);
	memset(back, 0, BIG);
	lseek(fd, 4096, SEEK_SET);
	tap_ok(tl_read(fd, back, BIG) == BIG - 4096 && !memcmp(data + 4096, back, BIG - 4096), "to the end");
	tap_is(lseek(fd, 0, SEEK_CUR), BIG, "the position is there");
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	tap_ok(tl_pread(fd, back, 100, 5000) == 100 && !memcmp(data + 5000, back, 100), "without any cache");
	tap_is(tl_fdatasync(fd), 0, "fdatasync");
	tl_close(fd);
	free(data);
	free(back);
	all_gone("big");
}

struct appender {
	int fd, id;
};

static int fn_append(void *arg)
{
	struct appender *a = arg;
	char line[100];
	int i;

	memset(line, 'a' + a->id % 26, sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (i = 0; i < 50; i++)
		if (tl_write(a->fd, line, sizeof(line)) != sizeof(line))
			return -EIO;
	return 0;
}

/* Each write to an O_APPEND file goes to its end as a whole. */
static void test_append(void)
{
	struct appender a[20];
	int fd = tl_open(in_dir("append"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), i;
	static char all[20 * 50 * 100 + 1];
	long bad = 0;
	ssize_t n;

	for (i = 0; i < 20; i++) {
		a[i] = (struct appender){ fd, i };
		go(fn_append, &a[i]);
	}
	tap_is(tl_run(), TL_RUN_FINISHED, "20 tasklets append 50 lines each");
	tl_close(fd);
	fd = tl_open(in_dir("append"), O_RDONLY | O_CLOEXEC, 0);
	n = tl_read_full(fd, all, sizeof(all), NULL);
	tap_is(n, 20 * 50 * 100, "nothing is missing");
	for (i = 0; i < n; i++)
		bad += i % 100 == 99 ? all[i] != '\n' : all[i] != all[i / 100 * 100];
	tap_is(bad, 0, "no line is torn");
	tl_close(fd);
	all_gone("append");
}

static void test_statx(void)
{
	struct statx st;
	int d, fd = tl_open(in_dir("statx"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	tl_write(fd, "12345", 5);
	memset(&st, 0, sizeof(st));
	tap_ok(!tl_statx(AT_FDCWD, in_dir("statx"), 0, STATX_BASIC_STATS, &st) && st.stx_size == 5, "statx of a path");
	memset(&st, 0, sizeof(st));
	tap_ok(!tl_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) && st.stx_size == 5, "of a descriptor");
	tap_is(tl_statx(AT_FDCWD, in_dir("none"), 0, STATX_SIZE, &st), -ENOENT, "of nothing");
	tap_is(tl_statx(AT_FDCWD, in_dir("statx"), -1, STATX_SIZE, &st), -EINVAL, "with wrong flags");
	d = tl_open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	memset(&st, 0, sizeof(st));
	tap_ok(!tl_statx(d, "statx", 0, STATX_SIZE, &st) && st.stx_size == 5, "of a name in a directory");
	tl_close(d);
	tl_close(fd);
	all_gone("statx");
}

static void test_openat(void)
{
	int d = tl_open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), fd;
	char buf[8];

	tap_ok(d >= 0, "open a directory");
	tap_is(tl_read(d, buf, sizeof(buf)), -EISDIR, "which can't be read");
	fd = tl_openat(d, "at", O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
	tap_ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC, "openat in it, with its flags");
	tl_close(fd);
	tap_is(tl_openat(d, "at", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST, "not twice");
	tap_is(tl_openat(d, "none", O_RDONLY, 0), -ENOENT, "nothing");
	tap_is(tl_openat(d, "at/x", O_RDONLY, 0), -ENOTDIR, "no directory");
	tap_is(tl_open(dir, O_WRONLY, 0), -EISDIR, "a directory for writing");
	tap_is(tl_open("", O_RDONLY, 0), -ENOENT, "an empty name");
	tap_is(tl_close(d), 0, "close a directory");
	tap_is(tl_openat(d, "at", O_RDONLY, 0), -EBADF, "in a directory that is closed");
	all_gone("openat");
}

static void test_bad_fds(void)
{
	static const int bad[] = { -1, -100, 19999, INT_MAX };
	char buf[8] = "";
	struct iovec iov = { buf, 1 };
	bool ok = true;
	size_t i;
	int fd, r;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		fd = bad[i];
		ok &= tl_read(fd, buf, 1) == -EBADF && tl_write(fd, buf, 1) == -EBADF &&
		      tl_readv(fd, &iov, 1) == -EBADF && tl_writev(fd, &iov, 1) == -EBADF &&
		      tl_pread(fd, buf, 1, 0) == -EBADF && tl_pwrite(fd, buf, 1, 0) == -EBADF &&
		      tl_fsync(fd) == -EBADF && tl_fdatasync(fd) == -EBADF && tl_close(fd) == -EBADF &&
		      tl_poll(fd, POLLIN) == -EBADF && tl_recv(fd, buf, 1, 0) == -EBADF &&
		      tl_send(fd, buf, 1, 0) == -EBADF && tl_accept(fd, NULL, NULL, 0) == -EBADF &&
		      tl_shutdown(fd, SHUT_RD) == -EBADF;
		if (!ok) {
			tap_diag("descriptor %d", fd);
			break;
		}
	}
	tap_ok(ok, "descriptors that are none");
	fd = tl_open(in_dir("rdonly"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	tap_is(tl_write(fd, buf, 1), -EBADF, "write to one that is read-only");
	tap_is(tl_pwrite(fd, buf, 1, 0), -EBADF, "pwrite to it");
	tl_close(fd);
	fd = tl_open(in_dir("rdonly"), O_WRONLY | O_CLOEXEC, 0600);
	tap_is(tl_read(fd, buf, 1), -EBADF, "read from one that is write-only");
	tap_is(tl_recv(fd, buf, 1, 0), -ENOTSOCK, "recv from a file");
	tap_is(tl_send(fd, buf, 1, 0), -ENOTSOCK, "send to a file");
	tap_is(tl_accept(fd, NULL, NULL, 0), -ENOTSOCK, "accept from a file");
	tap_is(fcntl(fd, F_GETFL) & O_NONBLOCK, 0, "which does nothing to it");
	tap_is(tl_shutdown(fd, SHUT_RD), -ENOTSOCK, "shutdown of a file");
	tap_is(tl_pread(fd, buf, 1, -1), -EINVAL, "pread before the beginning");
	tap_is(tl_pwrite(fd, buf, 1, -5), -EINVAL, "pwrite before the beginning");
	tap_is(tl_poll(fd, POLLOUT), POLLOUT, "a file is ready always");
	r = tl_poll_until(fd, 0, tl_after(MS));
	tap_ok(r == -ETIMEDOUT || r == -EINVAL, "but not for nothing");
	tl_close(fd);
	all_gone("bad descriptors");
}

static void test_bad_pointers(void)
{
	int fd = tl_open(in_dir("pointers"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct iovec iov = { (void *)8, 10 };
	struct statx st;
	char buf[16];

	tap_is(tl_write(fd, (void *)8, 10), -EFAULT, "write");
	tap_is(tl_writev(fd, &iov, 1), -EFAULT, "writev of an element");
	tap_is(tl_writev(fd, (void *)8, 1), -EFAULT, "writev of an array");
	tl_write(fd, "0123456789", 10);
	lseek(fd, 0, SEEK_SET);
	tap_is(tl_read(fd, (void *)8, 10), -EFAULT, "read");
	tap_is(tl_pread(fd, (void *)8, 10, 0), -EFAULT, "pread");
	tap_is(tl_readv(fd, &iov, 1), -EFAULT, "readv to an element");
	tap_is(tl_readv(fd, (void *)8, 1), -EFAULT, "readv by an array");
	tap_is(tl_open((void *)8, O_RDONLY, 0), -EFAULT, "open");
	tap_is(tl_statx(AT_FDCWD, (void *)8, 0, STATX_SIZE, &st), -EFAULT, "statx of a name");
	tap_is(tl_statx(AT_FDCWD, "/", 0, STATX_SIZE, (void *)8), -EFAULT, "statx to memory");
	tap_is(tl_read(fd, buf, sizeof(buf)), 10, "nothing is lost");
	tl_close(fd);
	all_gone("bad pointers");
}

static void test_sizes(void)
{
	int fd = tl_open(in_dir("sizes"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	volatile size_t huge = 0x7ffff000;	/* not a constant, or the compiler says that it is too large */
	char *memory = malloc(1 << 20);
	int most;

	must(memory);
	tl_write(fd, "0123456789", 10);
	/* An emulator may want all of the memory to be there. */
	most = pread(fd, memory, huge, 0) < 0 ? -EFAULT : 10;
	tap_is(tl_pread(fd, memory, SIZE_MAX, 0), most, "as much as there may be");
	tap_is(tl_pread(fd, memory, (size_t)SSIZE_MAX + 1, 0), most, "one more than a result can say");
	tap_is(tl_pread(fd, memory, (size_t)UINT32_MAX + 1, 0), most, "more than 32 bits");
	tap_is(tl_pread(fd, memory, 0, 0), 0, "nothing");
	tap_is(tl_pwrite(fd, memory, 0, 0), 0, "write nothing");
	tap_is(tl_pwrite(fd, memory, 1, INT64_MAX - 4096), -EFBIG, "at an offset that no file has");
	free(memory);
	tl_close(fd);
	all_gone("sizes");
}

static int many_done;

static int fn_many(void *arg)
{
	char name[128], buf[5000], back[5000];
	long i = (long)arg;
	int fd, r;

	snprintf(name, sizeof(name), "%s/many-%ld", dir, i);
	fd = tl_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	fill(buf, sizeof(buf), (uint64_t)i);
	if (tl_write(fd, buf, sizeof(buf)) != sizeof(buf))
		return -EIO;
	if (i % 8 == 0 && tl_fsync(fd))
		return -EIO;
	if (tl_pread(fd, back, sizeof(back), 0) != sizeof(back) || memcmp(buf, back, sizeof(buf)))
		return -EIO;
	r = tl_close(fd);
	unlink(name);
	many_done += !r;
	return r;
}

static void test_many(void)
{
	long i;

	for (i = 0; i < 100; i++)
		go(fn_many, (void *)i);
	tap_is(tl_run(), TL_RUN_FINISHED, "100 files at a time");
	tap_is(many_done, 100, "all come through");
	all_gone("many");
}

static int opened;

static int fn_open(void *arg)
{
	int fd = tl_open(arg, O_RDONLY | O_CLOEXEC, 0);

	if (fd >= 0) {
		opened++;
		close(fd);
	}
	return fd < 0 && fd != -ECANCELED ? fd : 0;
}

/* Kills cross completions: what was opened is told, or was not opened. */
static void test_kill(void)
{
	static struct tl_task *t[300];
	uint64_t rnd = tap_seed();
	int fds, round, i, spins;
	char path[128];

	snprintf(path, sizeof(path), "%s/basic", dir);
	tl_close(tl_open(path, O_RDONLY | O_CLOEXEC, 0));
	fds = count_fds();
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 300; i++)
			t[i] = mk(fn_open, path);
		for (spins = (int)(tap_random(&rnd) % 4); spins >= 0; spins--)
			tl_schedule();
		for (i = 0; i < 300; i++)
			if (tap_random(&rnd) % 4)
				tl_task_kill(t[i]);
		tl_run();
		for (i = 0; i < 300; i++)
			tl_task_unref(t[i]);
	}
	tap_diag("%d of 3000 were opened", opened);
	tap_is(count_fds(), fds, "kills of those that open lose no descriptor");
	all_gone("kill");
}

static int fn_slow_read(void *arg)
{
	struct call *c = arg;

	c->result = tl_pread(c->fd, c->buf, c->size, 0);
	c->done = true;
	return 0;
}

static int fn_fail(UNUSED void *arg)
{
	return -EIO;
}

/* close() waits for the kernel to let go of the others' buffers. */
static void test_close_busy(void)
{
	char *back = malloc(6 * (BIG / 4));
	struct call c[6];
	int fd = tl_open(in_dir("big"), O_RDWR | O_CLOEXEC, 0), i;
	bool done = true, ok = true;

	must(back);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (i = 0; i < 6; i++) {
		c[i] = (struct call){ .fd = fd, .buf = back + i * (BIG / 4), .size = BIG / 4 };
		go(fn_slow_read, &c[i]);
	}
	tl_schedule();
	go(fn_fail, NULL);	/* its error comes to us, but does not stop us */
	tap_is(tl_close(fd), 0, "close while others read");
	tap_is((long long)stats().io_pending, 0, "it has waited for them");
	tap_is(tl_schedule(), -EIO, "what happened meanwhile is told later");
	tl_error_free(tl_catch());
	tap_is(tl_close(fd), -EBADF, "it is closed");
	tl_run();
	for (i = 0; i < 6; i++) {
		done &= c[i].done;
		ok &= c[i].result == -ECANCELED || c[i].result > 0 || c[i].result == -EBADF;
	}
	tap_ok(done && ok, "they have ended with what they have read, or with -ECANCELED");
	free(back);
	all_gone("close");
}

int main(void)
{
	char command[64];

	iotest_begin(111);
	must(mkdtemp(dir));
	test_basic();
	test_vectors();
	test_full();
	test_big();
	test_append();
	test_statx();
	test_openat();
	test_bad_fds();
	test_bad_pointers();
	test_sizes();
	test_many();
	test_kill();
	test_close_busy();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	must(!system(command));
	return iotest_end();
}
