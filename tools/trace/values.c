/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See values.h. */
#include "values.h"

#include <inttypes.h>
#include <time.h>

#include "text/time.h"

void values_between(struct tl_hist *out, const struct tl_bpf_hist *now,
		    const struct tl_bpf_hist *before)
{
	unsigned int i;

	tl_hist_init(out, "ns");
	for (i = 0; i < TL_BPF_HIST_SLOTS; i++) {
		__u64 n = now->slots[i] - (before ? before->slots[i] : 0);
		__u64 value = tl_bpf_hist_high(i);

		/* The last slot has no end. */
		if (value > now->max || i == TL_BPF_HIST_SLOTS - 1)
			value = now->max;
		tl_hist_record_n(out, value, n);
	}
}

double values_mean(const struct tl_bpf_hist *now,
		   const struct tl_bpf_hist *before)
{
	__u64 n = 0, sum = now->sum - (before ? before->sum : 0);
	unsigned int i;

	for (i = 0; i < TL_BPF_HIST_SLOTS; i++)
		n += now->slots[i] - (before ? before->slots[i] : 0);
	return n ? (double)sum / (double)n : 0;
}

void values_curve(const struct tl_hist *h, FILE *f)
{
	struct tl_hist_cursor c = { 0 };
	uint64_t below = 0, count = tl_hist_count(h);

	if (!count)
		fputs("1 0\n", f);
	while (tl_hist_next(h, &c)) {
		below += c.count;
		fprintf(f, "%" PRIu64 " %.8f\n", c.high,
			(double)below / (double)count);
	}
	fputs("e\n", f);
}

void values_comm(char *to, const char *comm)
{
	int i;

	for (i = 0; i < 15 && comm[i]; i++)
		to[i] = comm[i] >= ' ' && comm[i] <= '~' ? comm[i] : '?';
	to[i] = '\0';
}

const char *values_quoted(char *buf, const char *comm)
{
	char *to = buf;

	for (; *comm; comm++) {
		if (*comm == '\'')
			*to++ = '\'';
		*to++ = *comm;
	}
	*to = '\0';
	return buf;
}

void values_time(const struct tl_hist *h, double percent, FILE *f)
{
	char buf[TIME_TEXT];

	fprintf(f, " %7s", tl_hist_count(h) ?
		time_text(buf, (double)tl_hist_percentile(h, percent)) : "-");
}

const char *values_count(char *buf, uint64_t n)
{
	const char *letter = "MGTPE";

	if (n < 10000000) {
		snprintf(buf, VALUES_COUNT, "%" PRIu64, n);
		return buf;
	}
	/* In tenths of that. */
	for (n /= 100000; n >= 100000; letter++)
		n /= 1000;
	snprintf(buf, VALUES_COUNT, "%" PRIu64 ".%u%c", n / 10, (unsigned)(n % 10),
		 *letter);
	return buf;
}

const char *values_clock(char *buf)
{
	time_t now = time(NULL);

	strftime(buf, VALUES_CLOCK, "%H:%M:%S", localtime(&now));
	return buf;
}
