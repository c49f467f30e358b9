# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The programs that the tracers' tests look at.

TRACE_PROGS := $(addprefix $(O)/tests/trace/,wakes holds overtakes bare)

$(TRACE_PROGS): $(O)/tests/trace/%: $(O)/tests/trace/programs/%.o $(O)/libtasklet.a
$(filter-out %/bare,$(TRACE_PROGS)): $(O)/tests/trace/programs/go.o
$(TRACE_PROGS):
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

$(O)/tests/trace/%.o: CPPFLAGS += -Itools -I.
$(O)/tests/trace/values: $(O)/tools/trace/values.o $(O)/tools/text/time.o

-include $(TRACE_PROGS:$(O)/tests/trace/%=$(O)/tests/trace/programs/%.d)
