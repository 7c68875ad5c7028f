# Every target sets up what it needs. `make` alone lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# make demo MONTHS=1-12 YEAR=2013, or ARGS="..." for any other option of `leftfold demo`
MONTHS ?=
YEAR   ?=
ARGS   ?=

# How many processes test at the same time, one file each: many tests spend their time waiting.
JOBS   ?= 3

# How often `make test-loaded` runs the tests.
RUNS   ?= 10

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.demo ## Load real flights, ask for a past moment, verify (MONTHS=1,2 YEAR=2013 ARGS=...)
	@$(BIN)/leftfold demo $(if $(MONTHS),--months $(MONTHS)) $(if $(YEAR),--year $(YEAR)) $(ARGS)

.PHONY: demo-workers
demo-workers: $(VENV)/.demo ## Run orders in one process and in four, and kill one of them (ARGS="1000" orders)
	@$(BIN)/python -m examples.orders_workers $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Run the tests (ARGS="-k name" goes to pytest, JOBS=0 runs them one after the other)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

.PHONY: test-loaded
test-loaded: $(VENV)/.dev ## Run the tests RUNS times while every core is busy, six files at a time (ARGS="--burners 4 -- tests/store")
	@$(BIN)/python -m tests.loaded --runs $(RUNS) $(ARGS)

.PHONY: search
search: $(VENV)/.dev ## Let the property tests try new examples (ARGS="tests/query"); `make test` always tries the same ones
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --hypothesis-profile search $(ARGS)

.PHONY: check
check: $(VENV)/.dev ## Lint, format, types and import directions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

.PHONY: sync-twin
sync-twin: $(VENV)/.dev ## Write src/leftfold/live_sync.py, the app without await, from live.py
	@$(BIN)/python -m tools.sync_twin

.PHONY: signatures
signatures: $(VENV)/.dev ## Write tests/golden/signatures.txt, the public surface that a test compares
	@$(BIN)/python -m tools.signatures

.PHONY: docs
docs: $(VENV)/.docs ## Build the documentation into build/docs; a warning or a broken link is an error
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --builder html docs build/docs $(ARGS)
	@echo "open build/docs/index.html"

.PHONY: bench
bench: $(VENV)/.dev ## Measure, compared with the peer and a bare sqlite3 loop (ARGS=... goes to the benchmark)
	@$(BIN)/python -m bench $(ARGS)

.PHONY: sbom
sbom: $(VENV)/.dev ## Write sbom.json, a Software Bill of Materials (CycloneDX) of what is installed; needs no network
	@$(BIN)/python -m tools.sbom

.PHONY: audit
audit: $(VENV)/.dev ## Ask whether any installed package has a known vulnerability; fails if no advisory service answers
	@mkdir -p build
	@$(BIN)/python -m pip freeze --exclude-editable > build/installed.txt
	@$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement build/installed.txt $(ARGS)

.PHONY: venv
venv: $(VENV)/.dev ## Create .venv with everything that development needs

.PHONY: clean
clean: ## Remove .venv and every cache
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "installing leftfold with its demo"
	@$(PIP) --editable '.[demo,web]'
	@touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	@echo "installing leftfold with what builds its documentation"
	@$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/.dev: pyproject.toml packages/leftfold-torture/pyproject.toml | $(BIN)/python
	@echo "installing leftfold with its development tools"
	@$(PIP) --editable '.[dev]' --editable packages/leftfold-torture
	@touch $@ $(VENV)/.demo $(VENV)/.docs
