/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Files in parallel: some tasklets take names from a channel, and hash what the
 * files hold. It shows tl_openat(), tl_statx(), tl_read() and tl_write_full() on
 * regular files, which block no thread, and a pool of workers that is nothing
 * but several receivers of one channel.
 */
#define _GNU_SOURCE		/* struct statx */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <tasklet/tasklet.h>
#include <unistd.h>

#define FILES 60
#define WORKERS 8

struct name {
	char text[16];
};

struct totals {
	uint64_t files, bytes, hashes;
};

static struct tl_chan *names;
static struct totals written, seen;
static int dir;

/* FNV-1a, by Fowler, Noll and Vo */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash(uint64_t h, const unsigned char *data, size_t size)
{
	while (size--)
		h = (h ^ *data++) * UINT64_C(0x100000001b3);
	return h;
}

/* Hashes are joined by XOR: the files may come in any order. */
static void add(struct totals *totals, uint64_t bytes, uint64_t h)
{
	totals->files++;
	totals->bytes += bytes;
	totals->hashes ^= h;
}

static int write_file(const char *name, size_t size)
{
	unsigned char *data = malloc(size);
	ssize_t r = -ENOMEM;
	size_t i;
	int fd;

	if (!data)
		return -ENOMEM;
	for (i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 31 + size);
	fd = tl_openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0) {
		r = tl_write_full(fd, data, size, NULL);
		tl_close(fd);
		add(&written, size, hash(HASH_START, data, size));
	}
	free(data);
	return fd < 0 ? fd : r < 0 ? (int)r : 0;
}

static int hash_file(const char *name)
{
	uint64_t h = HASH_START, bytes = 0;
	unsigned char buf[4096];
	struct statx stat;
	ssize_t r;
	int fd;

	r = tl_statx(dir, name, 0, STATX_SIZE, &stat);
	if (r < 0)
		return (int)r;
	fd = tl_openat(dir, name, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	while ((r = tl_read(fd, buf, sizeof(buf))) > 0) {
		h = hash(h, buf, (size_t)r);
		bytes += (uint64_t)r;
	}
	tl_close(fd);
	if (r == 0 && bytes != stat.stx_size)
		r = -EIO;
	if (r == 0)
		add(&seen, bytes, h);
	return (int)r;
}

static int worker(void *arg)
{
	struct name name;
	int r;

	(void)arg;
	while ((r = tl_chan_next(names, &name)) > 0) {
		r = hash_file(name.text);
		if (r)
			break;
	}
	return r;
}

int main(void)
{
	char path[] = "/tmp/tasklet-files.XXXXXX";
	struct name name;
	int i, r = 0;

	if (!mkdtemp(path) || tl_chan_new(&names, sizeof(name), 0))
		return 1;
	dir = tl_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	for (i = 0; i < WORKERS && !r; i++)
		r = tl_spawn(NULL, worker, NULL);
	for (i = 0; i < FILES && dir >= 0 && !r; i++) {
		snprintf(name.text, sizeof(name.text), "file%d", i);
		r = write_file(name.text, 1000 * (size_t)i + 1);
		if (!r)
			r = tl_chan_send(names, &name);
	}
	tl_chan_close(names);
	r = r ? r : tl_run();

	for (i = 0; i < FILES; i++) {
		snprintf(name.text, sizeof(name.text), "file%d", i);
		unlinkat(dir, name.text, 0);
	}
	tl_close(dir);
	rmdir(path);
	printf("%llu files, %llu bytes, hash %016llx\n",
	       (unsigned long long)seen.files, (unsigned long long)seen.bytes,
	       (unsigned long long)seen.hashes);
	if (r || seen.files != FILES || seen.bytes != written.bytes ||
	    seen.hashes != written.hashes || tl_sched_end())
		return 1;
	tl_chan_unref(names);
	return 0;
}
