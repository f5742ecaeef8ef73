# make mnist   trains on handwritten digits
# make test    runs the tests
# make lint    checks style, types and layers
# make parity  compares with PyTorch, which it installs
# make bench   times training steps beside PyTorch, which it installs
# make kernels  tests the OpenCL kernels one by one, then in a simulator that finds wrong accesses
# make docs    builds the documentation into site/
# make dist    builds the wheel, checks it, and tries it in an environment of its own
# make clean   removes what the others made
#
# PYTHON=python3.12 chooses the interpreter, ARGS="--epochs 1" goes to the program that is run.
#
# Everything is installed in .venv, once: the file .venv/installed-EXTRA says that an extra of
# setup.py is there. Paths are relative and programs run as `python -m`, because neither make nor the
# first lines of scripts bear a space in the path of this folder.

PYTHON ?= python3
ARGS ?=
RUN = .venv/bin/python
# a worker for each core, and so one thread for each worker: BLAS threads that wait would spin
PYTEST = OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 8
# this copy of tinynet, wherever its folder was moved since it was installed
export PYTHONPATH := $(CURDIR)

# An environment that was never finished, was interrupted while installing or lost its interpreter
# is made anew.
IS_GOOD := $(shell test -f .venv/ready && test ! -f .venv/installing && \
	.venv/bin/python -c "import pip" 2>/dev/null && echo yes)
ifneq ($(IS_GOOD),yes)
$(shell rm -f .venv/ready)
endif

.PHONY: mnist test lint parity bench kernels docs dist clean

mnist: .venv/installed-examples
	@$(RUN) examples/mnist.py $(ARGS)

test: .venv/installed-test
	@$(PYTEST) --ignore tests/parity --ignore tests/kernels $(ARGS)

lint: .venv/installed-dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(RUN) -c "from importlinter.cli import lint_imports_command as run; run()"

parity: .venv/installed-parity
	@$(PYTEST) tests/parity $(ARGS)

bench: .venv/installed-parity
	@$(RUN) -m benchmarks $(ARGS)

kernels: .venv/installed-oclgrind
	@$(PYTEST) tests/kernels $(ARGS)
	@TINYNET_KERNEL_PLATFORM=Oclgrind $(PYTEST) tests/kernels $(ARGS)

docs: .venv/installed-docs
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build $(ARGS)
	@echo "site/index.html"

# The wheel is built from the sdist, so that both are whole.
dist: .venv/installed-release
	@rm -rf dist build
	@$(RUN) -m build --no-isolation --outdir dist . >/dev/null
	@$(RUN) -m twine check --strict dist/*
	@.ci/try-wheel $(RUN) dist/*.whl

clean:
	rm -rf .venv build dist site tinynet.egg-info .coverage .hypothesis .pytest_cache .mypy_cache \
		.ruff_cache .import_linter_cache runs
	find tinynet tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/installed-%: setup.py .venv/ready
	@echo "Installing what tinynet[$*] needs into .venv, this once ..."
	@touch .venv/installing
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[$*]" || { \
		rm -f .venv/installing; \
		echo "make: pip could not install the packages (see above); is there a network?" >&2; \
		exit 1; }
	@rm -f .venv/installing
	@touch $@

.venv/ready:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "make: no $(PYTHON) here: install Python 3.10 or newer," \
			"or say where it is: make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c "import sys; sys.exit(sys.version_info < (3, 10))" || { \
		echo "make: $$($(PYTHON) --version) is too old: tinynet needs Python 3.10 or newer" \
			"(make PYTHON=...)" >&2; exit 1; }
	@"$(PYTHON)" -c "import ensurepip, venv" 2>/dev/null || { \
		echo "make: $(PYTHON) has no venv: install it" \
			"(Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv
	@touch $@
