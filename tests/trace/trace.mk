# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The programs that the tracers' tests look at.

TRACE_PROGS := $(addprefix $(O)/tests/trace/,wakes holds bare)

$(TRACE_PROGS): $(O)/tests/trace/%: $(O)/tests/trace/programs/%.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

-include $(TRACE_PROGS:$(O)/tests/trace/%=$(O)/tests/trace/programs/%.d)
