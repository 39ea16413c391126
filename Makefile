# `make test` and `make demo` set up what they need: Python 3.11 or newer and make are enough.
# Another Python: make test PYTHON=python3.12      One test: make test ARGS="tests/django -x"

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed.stamp
CONSTRAINTS ?= constraints.txt
ARGS ?=

# The first of these that really runs, is new enough and can make a virtual environment.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo "$$python" && break; done)

.PHONY: help install test demo docs screenshots bench-overhead lint format types imports constraints clean

help:
	@echo "make test         the whole suite (ARGS=... goes to pytest)"
	@echo "make demo         slow endpoints beside their repaired twins"
	@echo "make docs         write the generated pages of the reference again"
	@echo "make screenshots  take the pictures of the report again (needs Chromium)"
	@echo "make bench-overhead  what recording costs, beside other tools: half an hour; writes a page"
	@echo "make lint         ruff check and ruff format --check"
	@echo "make format       let ruff rewrite what it can"
	@echo "make types        mypy --strict on src"
	@echo "make imports      the import contracts"
	@echo "make constraints  resolve all dependencies again and pin what comes out"
	@echo "make clean        remove environments and caches"

install: $(STAMP)

# Runs again only when what is to be installed has changed.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { \
		echo "make: no Python 3.11 or newer with the venv module was found;" \
			"install it (Debian: apt-get install python3 python3-venv)" \
			"or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(CONSTRAINTS) pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(CONSTRAINTS) --build-constraint $(CONSTRAINTS) --group dev --editable .
	@touch $@

test: $(STAMP)
	$(BIN)/pytest $(ARGS)

demo: $(STAMP)
	$(BIN)/python example_apps/demo.py $(ARGS)

docs: $(STAMP)
	$(BIN)/python docs/generate.py

screenshots: $(STAMP)
	$(BIN)/python docs/screenshots.py

# On a machine that does little else. The other tools come into environments of their own.
bench-overhead: $(STAMP)
	$(BIN)/python benchmarks/overhead/run.py --markdown docs/reference/overhead.md $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

# Both files come from the same resolution but for SQLAlchemy, so that a failure of one run
# alone speaks of SQLAlchemy alone.
constraints:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] == (3, 11) else "pins are made with Python 3.11")'
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet --upgrade pip
	.venv-constraints/bin/python -m pip install --quiet --group dev --editable . \
		hatchling editables 'sqlalchemy>=2.0,<2.1'
	{ echo "# The exact versions that development and CI install, for Python 3.11."; \
	  echo "# Written by \`make constraints\`; do not edit."; \
	  .venv-constraints/bin/python -m pip freeze --all --exclude-editable --exclude setuptools; \
	} > constraints.txt
	.venv-constraints/bin/python -m pip install --quiet 'sqlalchemy>=2.1,<2.2' \
		--constraint <(grep -vi '^sqlalchemy==' constraints.txt)
	{ echo "# constraints.txt with SQLAlchemy 2.1 in place of 2.0."; \
	  echo "# Written by \`make constraints\`; do not edit."; \
	  .venv-constraints/bin/python -m pip freeze --all --exclude-editable --exclude setuptools; \
	} > constraints-sqlalchemy21.txt
	rm -rf .venv-constraints

constraints: SHELL := bash

clean:
	rm -rf .venv .venv-sqlalchemy21 .venv-constraints \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache .queryscope
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
