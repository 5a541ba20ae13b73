# make train: virtual environment, install, and the main job on the simulated watershed.
# make test: the same environment with the test extras, then the suite without the tests that kill processes and
# servers. make exhaustive: all of it, as CI does. make quick: without what is slow.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: train test exhaustive quick check clean

train: $(VENV)/installed
	$(BIN)/python train.py

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not exhaustive"

exhaustive: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadscope

quick: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow and not exhaustive"

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) data mlruns maps
