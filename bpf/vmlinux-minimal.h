/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs here use of the kernel's types, for a builder that has no BTF.
 * Only names and types count: where a field is, the loader finds out on the kernel
 * that the program runs on. Stands for the generated header.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct cpumask {
	unsigned long bits[1];
};

/* Of kernels with sched_ext. */
struct sched_ext_entity {
	__u64 slice;
	__u32 flags;
};

struct task_struct {
	unsigned int flags;
	int on_cpu;
	int pid;
	int tgid;
	char comm[16];
	struct files_struct *files;
	const void *cpus_ptr;	/* or else clang leaves out what struct cpumask is */
	struct sched_ext_entity scx;
};

#pragma clang attribute pop

/* A part of the system call interface: as it is. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};

struct pt_regs {
	__u64 regs[31], sp, pc, pstate, orig_x0;
	__s32 syscallno;
};
#endif

#endif
