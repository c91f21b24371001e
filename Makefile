# A fresh clone needs only `make demo` or `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: env demo test test-fast check format

env: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: env
	$(BIN)/python run_pipeline.py configs/demo.yaml

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

test: check
	$(PYTEST)

test-fast: env
	$(PYTEST) -m 'not slow and not browser'

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
