/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables of rows: what is counted of each key. A row begins with the name of the thread
 * that came first.
 */
#ifndef TL_BPF_ROWS_BPF_H
#define TL_BPF_ROWS_BPF_H

#include "task.bpf.h"

/* The table, and what a new row begins as, which is too large for a program's stack. */
#define TL_ROWS(map_name, key_type, row_type, count)			\
	struct {							\
		__uint(type, BPF_MAP_TYPE_HASH);			\
		__uint(max_entries, count);				\
		__type(key, key_type);					\
		__type(value, row_type);				\
	} map_name SEC(".maps");					\
	struct {							\
		__uint(type, BPF_MAP_TYPE_ARRAY);			\
		__uint(max_entries, 1);					\
		__type(key, __u32);					\
		__type(value, row_type);				\
	} map_name##_new SEC(".maps")

static __always_inline void *tl_row(void *rows, void *new_rows, const void *key, struct task_struct *p)
{
	void *row = bpf_map_lookup_elem(rows, key), *new;
	__u32 zero = 0;

	if (row)
		return row;
	new = bpf_map_lookup_elem(new_rows, &zero);
	if (!new)
		return NULL;
	/* Another processor may do the same: one of them comes first. */
	bpf_map_update_elem(rows, key, new, BPF_NOEXIST);
	row = bpf_map_lookup_elem(rows, key);
	if (row)
		bpf_probe_read_kernel_str(row, sizeof(p->comm), p->comm);
	else
		tl_count(TL_TRACE_LOST_ROWS);
	return row;
}

/* The row of *@key, which is made for @p if need be; NULL: there is no room, and that is counted. */
#define TL_ROW(map, key, p) ((typeof(*(map).value) *)tl_row(&(map), &map##_new, key, p))

#endif
