# The C core without Python: library, C tests, sanitizers, example.  Run from the top folder, usually by the Makefile:
#
#   make -f scripts/core.mk test CC=clang OPT=-O2             build tests/c/*.c, run those named test_*
#   make -f scripts/core.mk sanitize SANITIZE=thread          the same under sanitizers, with commas between, that were first
#                                                           seen to work
#   make -f scripts/core.mk programs EXTRA=-ffp-contract=fast BUILD=build/contract      (negative controls)
#
# A file in tests/c/ is one program, linked with the whole core; tests/c/*.h are theirs to share.

ifeq ($(origin CC),default)
CC := $(firstword $(foreach c,gcc clang,$(if $(shell command -v $(c) 2>/dev/null),$(c))) cc)
endif
SANITIZE :=
KINDS := $(shell echo '$(SANITIZE)' | tr , ' ')
OPT := $(if $(SANITIZE),-O1,-O3)
EXTRA :=
BUILD := build/ctest/$(notdir $(firstword $(CC)))$(OPT)$(if $(SANITIZE),-$(SANITIZE))

# The same as in setup.py; a test compares them.
CORE_FLAGS := -std=c11 -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread
QUIET := -Wno-psabi -Wno-unknown-warning-option
# Warnings are shown here and errors in continuous integration (WERROR=1).
WARN := -Wall -Wextra -Wstrict-prototypes -Wshadow -Wmissing-prototypes -Wconversion -Wno-sign-conversion
# Sanitized programs are ten times slower: MNC_TEST_SHORT asks a test for each kind of work once, not all of it.
SANITIZE_FLAGS := $(if $(SANITIZE),-g -DMNC_TEST_SHORT -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_FLAGS := $(CORE_FLAGS) $(QUIET) $(OPT) $(WARN) $(if $(WERROR),-Werror) $(SANITIZE_FLAGS) $(EXTRA) $(CFLAGS)

CORE := $(sort $(filter-out csrc/python/% csrc/examples/%,$(wildcard csrc/*.c csrc/*/*.c)))
OBJECTS := $(CORE:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libmnc.a
PROGRAMS := $(patsubst tests/c/%.c,$(BUILD)/%,$(wildcard tests/c/*.c))
ALONE := $(if $(filter thread,$(SANITIZE)),%/test_kernels %/test_math) # have one thread, so no races
TESTS := $(filter-out $(ALONE),$(filter $(BUILD)/test_%,$(PROGRAMS)))

.PHONY: library programs symbols test sanitize example
library: $(LIBRARY)
programs: $(PROGRAMS)
symbols: $(LIBRARY) # name, type and section of each; tests/test_layering.py reads them
	@nm --format=sysv --defined-only $(LIBRARY)

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@ar rcs $@ $(OBJECTS)

$(BUILD)/%.o: %.c scripts/core.mk
	@mkdir -p $(dir $@)
	@$(CC) $(ALL_FLAGS) -Icsrc -MMD -MP -c $< -o $@

$(BUILD)/%: tests/c/%.c $(LIBRARY) scripts/core.mk
	@mkdir -p $(dir $@)
	@$(CC) $(ALL_FLAGS) -Icsrc -Itests/c -MMD -MP -MF $@.d -MT $@ $< $(LIBRARY) $(LDFLAGS) -lm -o $@

-include $(OBJECTS:.o=.d) $(addsuffix .d,$(PROGRAMS))

# A failing program's output is shown; the others say one line.
test: $(TESTS)
	@sh scripts/ctest.sh '$(notdir $(CC)) $(OPT)$(if $(SANITIZE), $(SANITIZE) sanitizer)' $(sort $(TESTS))

# Reports must end the program with an error, and they must be there: the canary has one bug for each sanitizer.
# (No detect_stack_use_after_return: with it, gcc 12 puts 64-byte aligned variables on a stack that is not.)
export ASAN_OPTIONS := halt_on_error=1:detect_stack_use_after_return=0:strict_string_checks=1
export UBSAN_OPTIONS := halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS := halt_on_error=1:second_deadlock_stack=1
REPORT_address := heap-buffer-overflow
REPORT_undefined := signed integer overflow
REPORT_thread := data race
# Older thread sanitizers cannot stand the address randomisation of newer kernels.
PLAIN_ADDRESSES := $(if $(filter thread,$(SANITIZE)),$(shell setarch -R true 2>/dev/null && echo setarch -R))

sanitize: $(TESTS) $(KINDS:%=planted-%)
	$(if $(KINDS),,$(error SANITIZE names no sanitizer))
	@$(PLAIN_ADDRESSES) $(MAKE) -f scripts/core.mk test SANITIZE=$(SANITIZE)

planted-%: $(BUILD)/canary
	@if $(PLAIN_ADDRESSES) $(BUILD)/canary $* >$(BUILD)/canary-$*.log 2>&1; then \
	    echo "the $* sanitizer did not see a planted bug: its silence would mean nothing"; exit 1; fi
	@grep -q '$(REPORT_$*)' $(BUILD)/canary-$*.log || { cat $(BUILD)/canary-$*.log; \
	    echo "the canary failed, but not with '$(REPORT_$*)'"; exit 1; }

# benchmarks/kernels.c once per instruction set, whose vocabulary its loops are written in:
#   make -f scripts/core.mk benchmarks ISAS='avx512 avx2 scalar' BUILD=build/benchmarks EXTRA=-DNDEBUG
ISAS :=
BENCHMARKS := $(ISAS:%=$(BUILD)/kernels-%)
.PHONY: benchmarks flags
benchmarks: $(BENCHMARKS)
$(BENCHMARKS): $(BUILD)/kernels-%: benchmarks/kernels.c $(LIBRARY) scripts/core.mk
	@$(CC) $(ALL_FLAGS) -DISA_$* -Icsrc -MMD -MP -MF $@.d -MT $@ $< $(LIBRARY) $(LDFLAGS) -lm -o $@
-include $(addsuffix .d,$(BENCHMARKS))

flags: # what everything is compiled with
	@echo '$(CC) $(ALL_FLAGS)'

# The C example sees nothing of the core but mnc.h, and reads plain files, so those that are compressed are unpacked.
EXAMPLE := $(BUILD)/example
EXAMPLE_DATA := build/example-data
example: $(LIBRARY)
	@sh scripts/unpack.sh '$(DATA)' $(EXAMPLE_DATA)
	@mkdir -p $(EXAMPLE)/include && cp csrc/mnc.h $(EXAMPLE)/include/
	@$(CC) $(ALL_FLAGS) -DNDEBUG -I$(EXAMPLE)/include csrc/examples/train.c $(LIBRARY) $(LDFLAGS) -lm -o $(EXAMPLE)/train
	$(EXAMPLE)/train $(EXAMPLE_DATA)
