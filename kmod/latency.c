// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes from the wake-up of a slot until its thread goes on: a trace event,
 * and a histogram in debugfs, tasklet/latency. Nobody looks at the clock unless
 * the event is on, or the parameter `histogram`.
 *
 * The histogram is log-linear, with the buckets of <tasklet/hist.h>: below 64 ns one
 * each, above that 32 in each power of two. A processor counts for itself. Its file
 * has a line for each bucket that is not empty, with the middle of it and the count:
 * what tl-hist -v ns reads. Writing anything to it empties it.
 */
#include <linux/debugfs.h>
#include <linux/jump_label.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/timekeeping.h>

#include "handoff.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define SUB_BITS 5
#define EXACT (2u << SUB_BITS)
/* Values from 2^37 ns on share the last one. */
#define OCTAVES (37 - SUB_BITS - 1)
#define BUCKETS (EXACT + (OCTAVES << SUB_BITS) + 1)

struct histogram {
	u64 count[BUCKETS];
};

static struct histogram __percpu *histograms;
static struct dentry *directory;
static DEFINE_STATIC_KEY_FALSE(counting);

/* --- the switch ------------------------------------------------------------- */

static int set_histogram(const char *value, const struct kernel_param *param)
{
	bool on;
	int ret = kstrtobool(value, &on);

	if (ret)
		return ret;
	if (on)
		static_branch_enable(&counting);
	else
		static_branch_disable(&counting);
	return 0;
}

static int get_histogram(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%c\n", static_key_enabled(&counting) ? 'Y' : 'N');
}

static const struct kernel_param_ops histogram_ops = {
	.set = set_histogram,
	.get = get_histogram,
};
module_param_cb(histogram, &histogram_ops, NULL, 0644);
MODULE_PARM_DESC(histogram, "Count latencies, for debugfs' tasklet/latency (N)");

bool handoff_latency_wanted(void)
{
	return static_branch_unlikely(&counting) ||
	       trace_tasklet_handoff_enabled();
}

/* --- counting --------------------------------------------------------------- */

static unsigned int bucket_of(u64 ns)
{
	unsigned int shift = ns < EXACT ? 0 : ilog2(ns) - SUB_BITS;

	return min((shift << SUB_BITS) + (u64)(ns >> shift), (u64)BUCKETS - 1);
}

/* The middle of a bucket. */
static u64 value_of(unsigned int bucket)
{
	unsigned int shift = bucket < EXACT ? 0 : (bucket >> SUB_BITS) - 1;
	u64 low = (u64)(bucket - (shift << SUB_BITS)) << shift;

	return low + ((1ull << shift) >> 1);
}

void handoff_latency_record(const struct handoff_slot *slot, u64 posted_ns)
{
	u64 ns = ktime_get_ns() - posted_ns;

	/* The slot is the caller's own: its generation stays. */
	trace_tasklet_handoff(handoff_handle(slot, slot->generation), ns);
	if (static_branch_unlikely(&counting))
		this_cpu_inc(histograms->count[bucket_of(ns)]);
}

/* --- the file --------------------------------------------------------------- */

static int show_latency(struct seq_file *file, void *unused)
{
	unsigned int i;
	int cpu;

	for (i = 0; i < BUCKETS; i++) {
		u64 sum = 0;

		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu_ptr(histograms, cpu)->count[i]);
		if (sum)
			seq_printf(file, "%llu %llu\n", value_of(i), sum);
	}
	return 0;
}

static int open_latency(struct inode *inode, struct file *file)
{
	return single_open(file, show_latency, NULL);
}

/* What is counted at the same time may be lost. */
static ssize_t empty_latency(struct file *file, const char __user *data,
			     size_t size, loff_t *offset)
{
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu)
		for (i = 0; i < BUCKETS; i++)
			WRITE_ONCE(per_cpu_ptr(histograms, cpu)->count[i], 0);
	return size;
}

static const struct file_operations latency_operations = {
	.owner = THIS_MODULE,
	.open = open_latency,
	.read = seq_read,
	.write = empty_latency,
	.llseek = seq_lseek,
	.release = single_release,
};

/* Without debugfs there is no file, and all else works. */
int handoff_latency_init(void)
{
	histograms = alloc_percpu(struct histogram);
	if (!histograms)
		return -ENOMEM;
	directory = debugfs_create_dir("tasklet", NULL);
	debugfs_create_file("latency", 0600, directory, NULL,
			    &latency_operations);
	return 0;
}

void handoff_latency_exit(void)
{
	debugfs_remove_recursive(directory);
	free_percpu(histograms);
}
