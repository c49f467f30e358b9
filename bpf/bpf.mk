# SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later OR MIT
#
# The tracers and the scheduler: programs for the kernel, compiled by clang, each as an
# object that can be loaded by itself and as a header that tl-trace or tl-sched includes.
#
#   BPF=no            leave them out, and tl-trace and tl-sched
#   VMLINUX_BTF=FILE  describe the kernel's types by that (the running kernel's)
#   VMLINUX_H=FILE    ... or by this header; bpf/vmlinux-minimal.h has what is used
#                     here and is taken where a builder has no BTF

BPF ?= yes
VMLINUX_BTF ?= /sys/kernel/btf/vmlinux
VMLINUX_H ?= $(if $(wildcard $(VMLINUX_BTF)),,bpf/vmlinux-minimal.h)
BPF_CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
BPF_ARCH := $(patsubst x86_64%,x86,$(patsubst aarch64%,arm64,$(shell uname -m)))
# The C library's headers for this machine: usdt.bpf.h wants <asm/errno.h>.
BPF_FLAGS := -g -O2 -Wall -Wextra -Wno-unused-parameter -target bpf -mcpu=v3 \
	-idirafter /usr/include/$(shell uname -m)-linux-gnu \
	-D__TARGET_ARCH_$(BPF_ARCH) -Ibpf

# The scheduler is left out where clang or libbpf is older than what it is known to work
# with; not where they are yet to be installed.
BPF_LIBBPF ?= /usr/include/bpf/libbpf_version.h
BPF_CLANG_MAJOR := $(shell $(BPF_CLANG) -dumpversion 2>/dev/null | cut -d. -f1)
BPF_TOO_OLD := $(filter 1 2 3 4 5 6 7 8 9 10 11 12 13,$(BPF_CLANG_MAJOR))
BPF_SCHED := $(if $(BPF_TOO_OLD),clang $(BPF_TOO_OLD) is too old$(comma) 14 will do)
ifneq ($(wildcard $(BPF_LIBBPF)),)
BPF_SCHED := $(or $(BPF_SCHED),$(if $(shell grep 'MAJOR_VERSION [1-9]' $(BPF_LIBBPF)),,libbpf is too old$(comma) 1.1 will do))
endif
ifneq ($(and $(filter yes,$(BPF)),$(BPF_SCHED),$(filter 0,$(MAKELEVEL))),)
$(info tl-sched is left out: $(BPF_SCHED))
endif

# An object of the same name with _raw: the same source, with raw tracepoints. Parts of
# an object, and the scheduler, have none.
BPF_SRCS := $(filter-out $(if $(BPF_SCHED),bpf/gilsched.bpf.c),$(sort $(wildcard bpf/*.bpf.c)))
BPF_NAMES := $(patsubst bpf/%.bpf.c,%,$(BPF_SRCS))
BPF_RAW := $(patsubst %,%_raw,$(filter-out %_usdt %_calls gilsched,$(BPF_NAMES)))
BPF_OBJS := $(patsubst %,$(O)/bpf/%.bpf.o,$(BPF_NAMES) $(BPF_RAW))
BPF_SKELETONS := $(BPF_OBJS:%.bpf.o=%.skel.h)

.PHONY: bpf
bpf: $(BPF_OBJS)

$(O)/bpf/vmlinux.h: $(if $(VMLINUX_H),$(VMLINUX_H),$(wildcard $(VMLINUX_BTF))) | packages-bpf
	@mkdir -p $(@D)
ifneq ($(VMLINUX_H),)
	$(call say,GEN,$@)cp $(VMLINUX_H) $@
else
	$(call say,GEN,$@)$(BPFTOOL) btf dump file $(VMLINUX_BTF) format c > $@.new \
		&& mv $@.new $@
endif

bpf_compile = $(call say,BPF,$@)$(BPF_CLANG) $(BPF_FLAGS) -I$(@D) $(1) -MMD -MP \
	-MT $@ -c $< -o $@ && llvm-strip -g $@
$(O)/bpf/%_raw.bpf.o: bpf/%.bpf.c $(O)/bpf/vmlinux.h
	$(call bpf_compile,-DTL_RAW_TP)
$(O)/bpf/%.bpf.o: bpf/%.bpf.c $(O)/bpf/vmlinux.h
	$(call bpf_compile)

$(O)/bpf/%.skel.h: $(O)/bpf/%.bpf.o
	$(call say,GEN,$@)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.new \
		&& mv $@.new $@

.SECONDARY: $(BPF_OBJS) $(BPF_SKELETONS)
-include $(BPF_OBJS:.o=.d)
