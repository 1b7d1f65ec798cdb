# `make demo` and `make test` set up everything they need in .venv; `make help` lists the rest.
PYTHON ?= python3
ARGS ?=
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES = src tests benchmarks docs examples

.PHONY: help demo test long lint format types layers doctest docs matrix cebra check clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */\1\t/' | expand -t 10

demo: .venv/.run ## a simulated session from recording to report; ARGS="--out demo" goes to `dina demo`
	$(BIN)/dina demo $(ARGS)

test: .venv/.test ## all tests; ARGS="-n 2" or ARGS="tests/house" goes to pytest
	$(BIN)/python -m pytest -q $(ARGS)

long: .venv/.test ## the tests that take longest, which `make test` leaves out
	$(BIN)/python -m pytest -q -m long $(ARGS)

lint: .venv/.test ## formatting, lint, spelling, docstring form
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/codespell $(SOURCES) *.md pyproject.toml Makefile
	$(BIN)/numpydoc lint $$(git ls-files 'src/dina/*.py')

format: .venv/.test ## put the code into the project's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

types: .venv/.test ## static types, strict
	$(BIN)/mypy

layers: .venv/.test ## imports go one way, along the data flow
	$(BIN)/lint-imports

doctest: .venv/.test ## the examples in the docstrings
	$(BIN)/python -m pytest -q --doctest-modules src/dina

# every script of examples/gallery is carried out once, here; a warning fails, and nothing comes from the network
docs: .venv/.test ## the documentation site, in docs/_build/html, with the examples carried out
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	$(BIN)/python -m pytest -q tests/house/test_site.py
	@echo "Open docs/_build/html/index.html"

matrix: ## the tests with the oldest and the newest Python and torch that can be had; ARGS goes to pytest
	@$(PYTHON) .ci/matrix.py $(ARGS)

# CEBRA needs other versions than dina may have one day: its packages stay apart
cebra: ## an environment of its own for the rival cebra, in .venv-cebra
	$(PYTHON) -m venv .venv-cebra
	.venv-cebra/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt cebra==0.6.1
	.venv-cebra/bin/python -c "import cebra"
	@echo "export DINA_CEBRA_PYTHON=$(CURDIR)/.venv-cebra/bin/python"

check: lint types layers doctest test docs ## everything that a change must pass

clean: ## remove the environment and all caches
	rm -rf .venv docs/_build docs/gallery docs/generated .venv-cebra .venv-matrix .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps say which extras the environment holds; a changed requirement installs again.
.venv/.run: pyproject.toml constraints.txt
	@echo "Setting up .venv: about a minute with a fast connection"
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

# tests need all that a run needs, so that one installation does for both
.venv/.test: pyproject.toml constraints.txt
	@echo "Setting up .venv for tests and checks: about two minutes with a fast connection"
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[test,lint,docs]'
	@touch .venv/.run $@
