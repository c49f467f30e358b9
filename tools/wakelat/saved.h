/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Results as files.
 *
 * A file is lines that begin with "# wakelat", and histograms as tl_hist_write()
 * writes them:
 *
 *	# wakelat: 1
 *	# wakelat setup: WORDS
 *	# wakelat series: PRIMITIVE WORK PIN BURNER ROUNDS
 *	# wakelat round: NUMBER COUNT ELAPSED_NS P50_NS LOST BACKWARDS BURNER_NS
 *	... so many of these, then the histograms of the way
 *	    there, the way back and half the round trip; further series
 *	# wakelat end: CHECKSUM
 *
 * The checksum (64 bits of FNV-1a) covers the lines before it that begin so;
 * histograms have one of their own.
 */
#ifndef WAKELAT_SAVED_H
#define WAKELAT_SAVED_H

#include "results.h"

/* 0 or why not, as -ENOSPC. */
int saved_write(const struct results *results, FILE *f);

/*
 * Into @results, which is empty and stays so unless 0 is returned. 0, -EINVAL
 * (*@line is what can't be right: no such file, cut off or altered), -EIO,
 * -ENOMEM.
 */
int saved_read(struct results *results, FILE *f, unsigned long *line);

#endif
