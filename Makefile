# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# libtasklet: one Makefile for everything. `make help` lists the targets.
#
#   O=DIR       build there (default: build)      V=1        show commands
#   DESTDIR= prefix= libdir= includedir= mandir=  where `make install` puts it
#   CC= CFLAGS= CROSS_COMPILE=                    as usual
#   SAN=address,undefined                         build with sanitizers
#   INSTALL_PACKAGES=no                           never call the package manager
#   PROBES=no    without probes for tracers
#   CHECKED=yes  report pthread locks held while a tasklet waits (give it its own O)

O ?= build
prefix ?= /usr/local
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
DESTDIR ?=
SAN ?=
INSTALL_PACKAGES ?= yes

comma := ,
CC := $(CROSS_COMPILE)gcc
CXX := $(CROSS_COMPILE)g++
AR := $(CROSS_COMPILE)ar
ifeq ($(V),1)
Q :=
else
Q := @
say = @printf '  %-7s %s\n' $(1) '$(2)';
endif

VERSION := $(shell sed -n 's/^\#define TL_VERSION_\(MAJOR\|MINOR\|PATCH\) //p' \
	include/tasklet/base.h | paste -sd.)
SOVERSION := $(word 1,$(subst ., ,$(VERSION)))

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes \
	-Wshadow -Wundef -Wpointer-arith
CPPFLAGS_ALL = -D_GNU_SOURCE -Iinclude -Ilib $(CPPFLAGS_URING) \
	$(CPPFLAGS_CHECKED) $(CPPFLAGS_PROBES) $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(WARNINGS) -fvisibility=hidden -fPIC \
	-fno-semantic-interposition -MMD -MP $(SAN_FLAGS) $(CFLAGS)
LDFLAGS_ALL = $(SAN_FLAGS) $(LDFLAGS)
# Without io_uring (URING=no) the library has the epoll backend alone.
URING ?= yes
ifeq ($(URING),yes)
LDLIBS_LIB := -luring -lpthread
else
LDLIBS_LIB := -lpthread
CPPFLAGS_URING := -DTL_NO_URING
endif
# Probes (base/probe.h) are there if <sys/sdt.h> is.
PROBES ?= yes
ifneq ($(PROBES),yes)
CPPFLAGS_PROBES := -DTL_NO_PROBES
endif
# The checked library (core/checked.c) also exports pthread's functions, without a
# version: they stand in for the C library's.
CHECKED ?= no
LIB_MAP := lib/libtasklet.map
ifeq ($(CHECKED),yes)
CPPFLAGS_CHECKED := -DTL_CHECKED
LIB_MAP := $(O)/libtasklet-checked.map
endif
ifneq ($(SAN),)
SAN_FLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all
endif

# The preload library is no part of it: its functions have the names of the C
# library's.
PRELOAD_SRCS := $(sort $(wildcard lib/preload/*.c))
LIB_SRCS := $(filter-out $(PRELOAD_SRCS),$(sort $(wildcard lib/*/*.c))) \
	lib/core/switch.S lib/core/visit.S
ifneq ($(URING),yes)
LIB_SRCS := $(filter-out lib/os/uring%.c lib/io/uring%.c,$(LIB_SRCS))
endif
LIB_OBJS := $(patsubst %,$(O)/%.o,$(basename $(LIB_SRCS)))
PRELOAD_OBJS := $(PRELOAD_SRCS:%.c=$(O)/%.o)
PRELOAD := $(O)/libtasklet-preload.so
PRELOAD_CHECKED := $(O)/preload-checked/libtasklet-preload.so
.DEFAULT_GOAL := all
include bpf/bpf.mk
TOOL_NAMES := $(basename $(notdir $(wildcard tools/tl-*.c)))
ifneq ($(BPF),yes)
TOOL_NAMES := $(filter-out tl-trace tl-sched,$(TOOL_NAMES))
endif
ifneq ($(BPF_SCHED),)
TOOL_NAMES := $(filter-out tl-sched,$(TOOL_NAMES))
endif
TOOLS := $(TOOL_NAMES:%=$(O)/tools/%)
SO := $(O)/libtasklet.so.$(VERSION)
LIBS := $(O)/libtasklet.a $(SO) $(O)/libtasklet.so \
	$(O)/libtasklet.so.$(SOVERSION) $(O)/tasklet.pc $(PRELOAD)

.PHONY: all
all: lib tools

include tests/tests.mk

# --- packages ---------------------------------------------------------------
# Each goal names what it needs; what is missing is installed, or named.

define packages
	$(Q)tools/install-packages --for "$(1)" --install "$(INSTALL_PACKAGES)"
endef

PACKAGES := packages-lib packages-demo packages-check packages-bench \
	packages-lint packages-bpf
.PHONY: $(PACKAGES)
$(PACKAGES): packages-%:
	$(call packages,$*)

# Headers of packages must be there before anything that includes them.
ifeq ($(URING),yes)
$(LIB_OBJS): | packages-lib
endif

# --- the library ------------------------------------------------------------

.PHONY: lib
lib: $(LIBS)

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(O)/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(O)/libtasklet.a: $(LIB_OBJS)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(O)/libtasklet-checked.map: lib/libtasklet.map
	@mkdir -p $(@D)
	$(Q)sed '/^local:/,/\*;/d' $< > $@

$(SO): $(LIB_OBJS) $(LIB_MAP)
	$(call say,LD,$@)$(CC) -shared -Wl,-soname,libtasklet.so.$(SOVERSION) \
		-Wl,--version-script=$(LIB_MAP) -Wl,-z,defs,-z,relro,-z,now,-z,nodelete \
		$(if $(SAN),-Wl$(comma)-z$(comma)undefs) \
		$(LDFLAGS_ALL) -o $@ $(LIB_OBJS) $(LDLIBS_LIB)

$(O)/libtasklet.so.$(SOVERSION) $(O)/libtasklet.so: $(SO)
	$(Q)ln -sf $(notdir $<) $@

# Has no soname, for nobody links with it; and the unwinder of its own, which the
# programs that load it may not have.
PRELOAD_LINK = $(CC) -shared -static-libgcc \
	-Wl,--version-script=lib/preload/preload.map -Wl,-z,defs \
	-Wl,-z,relro,-z,now,-z,nodelete \
	$(if $(SAN),-Wl$(comma)-z$(comma)undefs) $(LDFLAGS_ALL) -o $@
$(PRELOAD): $(PRELOAD_OBJS) $(O)/libtasklet.a lib/preload/preload.map
	$(call say,LD,$@)$(PRELOAD_LINK) $(PRELOAD_OBJS) $(O)/libtasklet.a -lpthread

# The same with reports of objects that are used after they were destroyed.
PRELOAD_CHECKED_OBJS := $(PRELOAD_SRCS:lib/%.c=$(O)/preload-checked/%.o)
$(O)/preload-checked/%.o: lib/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) -DTL_CHECKED $(CFLAGS_ALL) -c -o $@ $<
$(PRELOAD_CHECKED): $(PRELOAD_CHECKED_OBJS) $(O)/libtasklet.a lib/preload/preload.map
	@mkdir -p $(@D)
	$(call say,LD,$@)$(PRELOAD_LINK) $(PRELOAD_CHECKED_OBJS) $(O)/libtasklet.a -lpthread

# Depends on prefix and libdir, which may differ each time: made anew always.
.PHONY: FORCE
$(O)/tasklet.pc: lib/tasklet.pc.in FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' \
		-e 's|@includedir@|$(includedir)|' -e 's|@version@|$(VERSION)|' \
		$< > $@

# --- tools ------------------------------------------------------------------

.PHONY: tools
tools: $(TOOLS)

# Some tools are a thin main over the objects of a folder.
FOLDER_tl-testserver := http
FOLDER_tl-giltest := giltest
FOLDER_tl-run := run
FOLDER_tl-wakelat := wakelat
FOLDER_tl-trace := trace
FOLDER_tl-sched := sched
LDLIBS_tl-testserver := -lhttp_parser
LDLIBS_tl-giltest := -lm
LDLIBS_tl-wakelat := -lm
LDLIBS_tl-trace := -lbpf -lelf -lm
LDLIBS_tl-sched := -lbpf -lelf
tool_objs = $(if $(FOLDER_$(1)),$(patsubst %.c,$(O)/%.o,$(sort \
	$(wildcard tools/$(FOLDER_$(1))/*.c))))
TOOL_OBJS := $(foreach t,$(TOOL_NAMES),$(call tool_objs,$(t)))
$(foreach t,$(TOOL_NAMES),$(eval $(O)/tools/$(t): $(call tool_objs,$(t))))
.SECONDARY: $(TOOLS:%=%.o) $(TOOL_OBJS)
$(O)/tools/tl-giltest $(O)/tools/tl-wakelat $(O)/tools/tl-trace: \
	$(O)/tools/plot/gnuplot.o $(O)/tools/output/output.o
$(O)/tools/tl-hist: $(O)/tools/output/output.o
$(TOOLS): $(O)/tools/text/args.o
$(O)/tools/tl-wakelat $(O)/tools/tl-trace: $(O)/tools/text/time.o
# Of what the two sides share, the kernel's and ours, and the objects.
$(O)/tools/trace/%.o $(O)/tools/sched/%.o $(O)/tools/tl-sched.o: CPPFLAGS += -I. -I$(O)/bpf
$(call tool_objs,tl-trace) $(call tool_objs,tl-sched): | $(BPF_SKELETONS)
# It finds probes, and its command, as tl-trace does.
$(O)/tools/tl-sched: $(O)/tools/trace/object.o $(O)/tools/trace/symbol.o $(O)/tools/trace/target.o \
	$(O)/tools/output/output.o
# Its burner and its queue's lock are those of tl-giltest.
$(O)/tools/tl-testserver: $(O)/tools/giltest/lock.o $(O)/tools/giltest/work.o
$(O)/tools/tl-testserver.o $(call tool_objs,tl-testserver): | packages-demo

# Where tl-run looks for the library once it is installed. That may differ each time.
$(O)/libdir.h: FORCE
	@mkdir -p $(@D)
	$(Q)echo '#define TL_LIBDIR "$(libdir)"' | cmp -s - $@ || \
		echo '#define TL_LIBDIR "$(libdir)"' > $@
$(O)/tools/tl-run.o: $(O)/libdir.h
$(O)/tools/tl-run.o: CPPFLAGS += -include $(O)/libdir.h

$(O)/tools/%.o: CPPFLAGS += -Itools
$(O)/tools/%: $(O)/tools/%.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) \
		$(filter %.a,$^) $(LDLIBS_$*) $(LDLIBS_LIB)

# --- install ----------------------------------------------------------------

# The test server is for the demo and the tests.
INSTALLED_TOOLS := $(filter-out tl-testserver,$(TOOL_NAMES))
MAN_PAGES := $(wildcard man/*.[0-9])
INSTALLED_PAGES := $(filter-out man/tl-testserver.1,$(MAN_PAGES))

.PHONY: install uninstall
install: lib $(INSTALLED_TOOLS:%=$(O)/tools/%) $(if $(filter yes,$(BPF)),bpf)
	$(Q)install -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)/tasklet
	$(Q)install -m 755 $(SO) $(DESTDIR)$(libdir)/
	$(Q)ln -sf libtasklet.so.$(VERSION) $(DESTDIR)$(libdir)/libtasklet.so.$(SOVERSION)
	$(Q)ln -sf libtasklet.so.$(SOVERSION) $(DESTDIR)$(libdir)/libtasklet.so
	$(Q)install -m 644 $(O)/libtasklet.a $(DESTDIR)$(libdir)/
	$(Q)install -m 755 $(PRELOAD) $(DESTDIR)$(libdir)/
	$(Q)install -d $(DESTDIR)$(bindir)
	$(Q)install -m 755 $(INSTALLED_TOOLS:%=$(O)/tools/%) $(DESTDIR)$(bindir)/
	$(Q)install -m 644 $(O)/tasklet.pc $(DESTDIR)$(libdir)/pkgconfig/
ifeq ($(BPF),yes)
	$(Q)install -d $(DESTDIR)$(libdir)/libtasklet/bpf
	$(Q)install -m 644 $(BPF_OBJS) $(DESTDIR)$(libdir)/libtasklet/bpf/
endif
	$(Q)install -m 644 include/tasklet/*.h $(DESTDIR)$(includedir)/tasklet/
	$(Q)install -d $(DESTDIR)$(includedir)/tasklet/uapi
	$(Q)install -m 644 include/tasklet/uapi/*.h $(DESTDIR)$(includedir)/tasklet/uapi/
	$(Q)for page in $(INSTALLED_PAGES); do \
		dir=$(DESTDIR)$(mandir)/man$${page##*.}; \
		install -d $$dir && install -m 644 $$page $$dir/; done

uninstall:
	$(Q)rm -f $(DESTDIR)$(libdir)/libtasklet.so \
		$(DESTDIR)$(libdir)/libtasklet.so.$(SOVERSION) \
		$(DESTDIR)$(libdir)/libtasklet.so.$(VERSION) \
		$(DESTDIR)$(libdir)/libtasklet.a \
		$(DESTDIR)$(libdir)/libtasklet-preload.so \
		$(INSTALLED_TOOLS:%=$(DESTDIR)$(bindir)/%) \
		$(DESTDIR)$(libdir)/pkgconfig/tasklet.pc
	$(Q)rm -rf $(DESTDIR)$(includedir)/tasklet $(DESTDIR)$(libdir)/libtasklet
	$(Q)for page in $(INSTALLED_PAGES); do \
		rm -f $(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}; done

# The kernel module's sources, with what dkms(8) wants to know of them, the rule for its
# device and the group that may open that. To build it by hand:
# make -C /lib/modules/$(uname -r)/build M=$PWD
DKMS_DIR := $(DESTDIR)/usr/src/tasklet-$(VERSION)

.PHONY: install-dkms
install-dkms:
	$(Q)install -d $(DKMS_DIR)/kmod $(DKMS_DIR)/include/tasklet/uapi \
		$(DESTDIR)/usr/lib/udev/rules.d $(DESTDIR)/usr/lib/sysusers.d
	$(Q)install -m 644 Kbuild $(DKMS_DIR)/
	$(Q)install -m 644 kmod/*.c kmod/*.h $(DKMS_DIR)/kmod/
	$(Q)install -m 644 include/tasklet/uapi/*.h $(DKMS_DIR)/include/tasklet/uapi/
	$(Q)sed 's/@version@/$(VERSION)/' kmod/dkms.conf > $(DKMS_DIR)/dkms.conf
	$(Q)install -m 644 kmod/tasklet.rules $(DESTDIR)/usr/lib/udev/rules.d/60-tasklet.rules
	$(Q)install -m 644 kmod/tasklet.sysusers $(DESTDIR)/usr/lib/sysusers.d/tasklet.conf

# --- demo, clean, help ------------------------------------------------------

.PHONY: demo clean help
demo: packages-demo
	$(Q)$(MAKE) --no-print-directory lib tools
	$(Q)tools/demo $(O)
	$(Q)tools/demo-trace $(O)

clean:
	$(Q)rm -rf $(O)

.PHONY: lint
lint: packages-lint
	$(Q)cppcheck --quiet --enable=warning,performance,portability \
		--inline-suppr --error-exitcode=1 -j 2 -D_GNU_SOURCE \
		-D__x86_64__ '-DLIBBPF_OPTS(type,name,...)=struct type name' \
		-Iinclude -Ilib lib tools
	$(Q)mandoc -Tlint -W warning $(MAN_PAGES)
	$(Q)for script in tools/install-packages tests/*/*.sh \
			tests/harness/check-all tests/harness/apt-fetch \
			tests/vm/common tests/vm/kernel tests/vm/headers \
			tests/vm/build-module tests/vm/run tests/vm/init .ci/run; do \
		bash -n $$script || exit 1; done
	$(Q)! git grep -nE '[[:space:]]+$$' -- . ':!*.md' ':!*.svg'
	$(Q)tests/product/floors.sh

help:
	@sed -n 's/^# \{0,1\}//; 3,11p' Makefile
	@echo 'Targets: lib tools install install-dkms uninstall demo check check-checked check-asan check-ubsan'
	@echo '         check-tsan check-valgrind check-aarch64 check-vm explore soak bench lint clean'

-include $(LIB_OBJS:.o=.d) $(PRELOAD_OBJS:.o=.d) \
	$(PRELOAD_CHECKED_OBJS:.o=.d) $(TOOLS:%=%.d) $(TOOL_OBJS:.o=.d)
