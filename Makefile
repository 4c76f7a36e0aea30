# Each target makes its own .venv once and reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.docs

.PHONY: help bench test lint docs benchmarks clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

bench: $(STAMP) ## Run the main job on the phantom; open runs/report/index.html at its end
	$(BIN)/camzoo bench --dataset phantom --preset smoke --methods cam,grad-cam++,centre \
	  --report runs/report

test: $(STAMP) ## Run the tests
	PYTHONUTF8=1 $(BIN)/python -m pytest -n auto

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

docs: $(DOCS) ## Build the site into site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

benchmarks: $(STAMP) ## Time camzoo beside the field's libraries
	$(BIN)/python -m pytest benchmarks --benchmark-only

clean: ## Remove the environment, all runs and the site
	rm -rf $(VENV) runs site
