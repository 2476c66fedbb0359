# Everything here works on a fresh clone: the first target that needs Python makes .venv by itself.
#   make train PYTHON=python3.12 ARGS="--epochs 20 --seed 1"
# Written for GNU make 3.81 (macOS) and newer.

VENV := .venv
PY := $(VENV)/bin/python
# Without PYTHON=..., keep the interpreter that .venv was made with.
PYTHON ?= $(or $(shell head -n 1 $(VENV)/made-with 2>/dev/null),python3)
JOBS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
CORE_MAKE = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS)) -f scripts/core.mk

# What the extension is built from, and the settings of that build (see setup.py).
SOURCES := $(shell find csrc -name '*.[ch]' ! -path 'csrc/examples/*')
SETTINGS = $(if $(filter default,$(origin CC)),,$(CC)) $(CFLAGS) $(LDFLAGS) $(MNIST_C_DEBUG) $(MNIST_C_SANITIZE) $(MNIST_C_OPT) $(MNIST_C_WERROR)

.DEFAULT_GOAL := help
.PHONY: FORCE help preflight build train test pytest ctest asan ubsan tsan neon example bench compare notebook notebook-check lint \
        format clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-15s %s\n", $$1, $$2 }'

# ------------------------------------------------------------------ environment

preflight:
	@sh scripts/preflight.sh '$(PYTHON)'

# Changes when another PYTHON is asked for, when the folder was moved (a venv cannot be) or when .venv no longer runs.
$(VENV)/made-with: FORCE | preflight
	@{ printf '%s\n%s\n' '$(PYTHON)' "$$PWD" | cmp -s - $@ && $(PY) -c ''; } 2>/dev/null || { \
	    sh scripts/venv.sh '$(PYTHON)' $(VENV) && printf '%s\n%s\n' '$(PYTHON)' "$$PWD" >$@; }

# An editable install, so that edited Python files need nothing.
$(VENV)/installed: $(VENV)/made-with pyproject.toml setup.py
	@echo 'building mnist_c ...'
	@PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

build/settings: FORCE
	@mkdir -p build
	@echo '$(SETTINGS)' | cmp -s - $@ || echo '$(SETTINGS)' >$@

# Edited C files are compiled, and all of them after a header changed.
build/extension: $(VENV)/installed build/settings $(SOURCES)
	@$(PY) setup.py --quiet build_ext --inplace
	@touch $@

build: build/extension ## build the extension in place, in .venv

# Tools come on top. Where pip reaches no index, what is there already has to do.
$(VENV)/test: $(VENV)/made-with pyproject.toml
	@echo 'installing the test tools ...'
	@$(PY) -m pip install --quiet --retries 2 --group test || $(PY) -c 'import pytest'
	@touch $@

$(VENV)/lint: $(VENV)/made-with pyproject.toml
	@echo 'installing the linters ...'
	@$(PY) -m pip install --quiet --group lint
	@touch $@

$(VENV)/bench: $(VENV)/made-with pyproject.toml
	@echo 'installing the libraries to compare with ...'
	@$(PY) -m pip install --quiet --group bench
	@touch $@

$(VENV)/notebook: $(VENV)/installed pyproject.toml
	@echo 'installing Jupyter ...'
	@PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --no-build-isolation --editable '.[notebook]'
	@touch $@

# ------------------------------------------------------------------ use

train: build ## train 784-128-64-10 on MNIST and print its test accuracy (ARGS="--epochs 20")
	@$(VENV)/bin/mnist-c train $(ARGS)

notebook: build $(VENV)/notebook ## run the notebooks in place (then: .venv/bin/jupyter lab notebooks)
	@$(PY) scripts/run_notebooks.py notebooks $(ARGS)

example: ## build csrc/examples/train.c against the core and run it (DATA=folder of the four MNIST files)
	+@$(CORE_MAKE) example DATA='$(DATA)'

# The other libraries pin versions of what they need, so they get an environment of their own.
bench: ## install the peers in .venv-bench and compare with them (ARGS="--works keras-mlp --rounds 7")
	+@$(MAKE) --no-print-directory VENV=.venv-bench compare

compare: build $(VENV)/bench
	@mkdir -p build
	@$(PY) benchmarks/compare.py --json build/compare.json --markdown build/compare.md --picture build/compare.png $(ARGS)

# ------------------------------------------------------------------ check

test: ctest pytest ## run all tests

ctest: preflight ## run the C tests (CC=clang OPT=-O1)
	+@$(CORE_MAKE) test

pytest: build $(VENV)/test
	@$(PY) -m pytest $(shell $(PY) -c 'import xdist' 2>/dev/null && echo '--numprocesses=$(JOBS) --dist=worksteal') $(ARGS)

asan: preflight ## run the C tests under the address and the undefined-behaviour sanitizer
	+@$(CORE_MAKE) sanitize SANITIZE=address,undefined

ubsan: asan

tsan: preflight ## run the C tests under the thread sanitizer
	+@$(CORE_MAKE) sanitize SANITIZE=thread

notebook-check: build $(VENV)/notebook ## run copies of the notebooks
	@$(PY) scripts/run_notebooks.py notebooks --to build/notebooks --jobs=$(JOBS) $(ARGS)

# Golden hashes, kernels and mathematics on the NEON kernels; on other machines than ARM's they are emulated.
neon: ## run the C tests on NEON (elsewhere: aarch64-linux-gnu-gcc and qemu-aarch64)
ifneq ($(filter aarch64 arm64,$(shell uname -m)),)
	+@$(CORE_MAKE) test
else
	+@RUNNER=qemu-aarch64 $(CORE_MAKE) test CC=aarch64-linux-gnu-gcc OPT=-O2 LDFLAGS=-static EXTRA=-DMNC_TEST_SHORT
endif

C_FILES = $(shell find csrc tests/c benchmarks -name '*.[ch]')

lint: build $(VENV)/lint ## check style and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml mnist_c._core
	$(VENV)/bin/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/lint ## format Python and C
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format
	$(VENV)/bin/clang-format -i $(C_FILES)

clean: ## remove what was built
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache $(VENV)/installed
	find mnist_c tests benchmarks scripts \( -name '*.so' -o -name '__pycache__' \) -prune -exec rm -rf {} +

distclean: clean ## remove .venv, too
	rm -rf $(VENV) .venv-bench
