# A fresh clone needs only `make demo` or `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
CHECKS := style types imports

# Python keeps what it compiled, also where the environment says no: the tests start many processes
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env demo docs test test-fast check $(CHECKS) pytest format

env: $(STAMP)

# uv installs five times as fast as pip, which remains for where uv can't be had or sees no index
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv && \
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --editable '.[dev]' || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	touch $@

demo: env
	$(BIN)/python run_pipeline.py configs/demo.yaml

# the tests build it too
docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open site/index.html"

check: $(CHECKS)

style: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# nice, because the tests that run beside them may wait for a clock
types: env
	nice $(BIN)/mypy

imports: env
	nice $(BIN)/lint-imports --no-cache

PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

pytest: env
	$(PYTEST)

# side by side: many tests wait, and mypy runs on one core
test: env
	$(MAKE) --jobs 3 check pytest

test-fast: env
	$(PYTEST) -m 'not slow and not browser'

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
