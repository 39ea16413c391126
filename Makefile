# `make test` and `make demo` set up what they need: Python 3.11 or newer and make are enough.
# Another Python: make test PYTHON=python3.12      One test: make test ARGS="tests/django -x"

VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints.txt
# CI asks for `native`, too: what is compiled where it is installed, with headers of the system.
DEPENDENCIES ?= dev
empty :=
STAMP := $(VENV)/installed-$(subst $(empty) ,-,$(strip $(DEPENDENCIES))).stamp
ARGS ?=

# The first of these that really runs, is new enough and can make a virtual environment.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo "$$python" && break; done)

.PHONY: help install test demo docs screenshots bench-overhead bench-load bench-prophet bench-detection \
	bench-applications bench-verifier lint format types imports constraints clean

help:
	@echo "make test         the whole suite (ARGS=... goes to pytest)"
	@echo "make demo         slow endpoints beside their repaired twins; one patch proved, one refused"
	@echo "make docs         write the generated pages of the reference again"
	@echo "make screenshots  take the pictures of the report again (needs Chromium)"
	@echo "make bench-overhead  what recording costs, beside other tools: half an hour; writes a page"
	@echo "make bench-load   both examples under load, bare and recorded: two hours; writes a page"
	@echo "make bench-prophet  the pool prophet beside real load: half an hour; writes a page"
	@echo "make bench-detection  how often the detectors are right, on three databases; writes a page"
	@echo "make bench-applications  the same in applications from the registry; writes a page"
	@echo "make bench-verifier  rewrites that break something, and some that do not: an hour; writes a page"
	@echo "make lint         ruff check and ruff format --check"
	@echo "make format       let ruff rewrite what it can"
	@echo "make types        mypy --strict on src"
	@echo "make imports      the import contracts"
	@echo "make constraints  resolve all dependencies again and pin what comes out (ARGS=--keep: new ones)"
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
		--constraint $(CONSTRAINTS) --build-constraint $(CONSTRAINTS) \
		$(addprefix --group ,$(DEPENDENCIES)) --editable .
	@touch $@

test: $(STAMP)
	$(BIN)/pytest $(ARGS)

demo: $(STAMP)
	$(BIN)/python example_apps/demo.py $(ARGS)

docs: $(STAMP)
	$(BIN)/python docs/generate.py

screenshots: $(STAMP)
	$(BIN)/python docs/screenshots.py

# On a machine that does little else. The other tools come into environments of their own; other
# interpreters that CI has set up are measured too, and PostgreSQL where it answers.
BENCH_PYTHONS ?= $(wildcard .venv-py313*/bin/python)
bench-overhead: $(STAMP)
	$(BIN)/python benchmarks/overhead/publish.py docs/reference/overhead.md \
		$(BENCH_PYTHONS:%=--python %) $(ARGS)

# Each pass takes up where an earlier run left off: what is measured again replaces what was.
bench-load: $(STAMP)
	nice -n 15 $(BIN)/python -m benchmarks.load.run --markdown docs/reference/load.md $(ARGS)

# Requests that sleep while they hold connections: it takes time, and little of the processor.
bench-prophet: $(STAMP)
	$(BIN)/python -m benchmarks.prophet.run --markdown docs/reference/prophet.md $(ARGS)

# Servers that do not answer are left out, and the page says so. ARGS=--run-peers installs the other
# tools in environments of their own and runs the same scenarios under them.
bench-detection: $(STAMP)
	nice -n 15 $(BIN)/python -m benchmarks.detection.run --markdown docs/reference/detection.md $(ARGS)

# Installs each application in an environment of its own, with pinned versions.
bench-applications: $(STAMP)
	nice -n 15 $(BIN)/python -m benchmarks.applications.run --markdown docs/reference/applications.md $(ARGS)

# Two verifications at a time. ARGS="--keep results.jsonl" takes up where an earlier run left off.
bench-verifier: $(STAMP)
	$(BIN)/python -m benchmarks.verifier.run --markdown docs/reference/verifier.md $(ARGS)

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

# Every combination of .ci/combinations, in files of their own.
constraints:
	bash .ci/pin $(ARGS)

clean:
	rm -rf .venv .venv-py3* \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache .queryscope
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
