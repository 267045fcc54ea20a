# `make demo` and `make test` are all a new machine needs: Python 3.11 to 3.13, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo
SEED ?= 0
# Groups of packages installed with the project; with WITH="dev docs", where both are wanted, pip resolves once.
WITH ?= dev
# So many processes run the tests, at most 4: each has torch and all packages in memory.
WORKERS ?= logical

.PHONY: demo test lint docs check setup clean

demo: setup
	$(BIN)/secondsight demo --out $(OUT) --seed $(SEED)

test: setup
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Warnings are errors: a page that names something that is gone does not build.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo 'Open docs/_build/html/index.html'

check: lint docs test

setup: $(VENV)/.installed

# The stamp is newer than pyproject.toml once everything is installed, so a second `make` installs nothing.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else "Secondsight needs Python 3.11 to 3.13, found %d.%d: run make PYTHON=/path/to/python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . $(addprefix --group ,$(WITH))
	@$(BIN)/python -c 'import torch, torchvision; torchvision.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)' || \
	    { echo 'torch and torchvision do not belong together (a CPU-only torch beside the default torchvision does this).'; \
	      echo 'Remove $(VENV), install a matching pair into a new environment from one index, and run make again.'; exit 1; }
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

clean:
	rm -rf $(VENV) build dist docs/_build docs/reference/generated
