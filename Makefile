# make train: virtual environment, install, and the main job on the simulated watershed.
# make test: the same environment with the test extras, then the whole suite.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: train test check clean

train: $(VENV)/installed
	$(BIN)/python train.py

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadscope

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
