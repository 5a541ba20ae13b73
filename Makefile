# make train: virtual environment, install, and the main job on the simulated watershed.
# make test: the same environment with the test extras, then the suite; `make test LEFT_OUT=`, as CI runs it, with the
# tests that kill processes and servers too. make quick: without what is slow.
# make docs: the documentation in build/site. make constraints: the versions that are installed, into constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
LEFT_OUT ?= -m "not exhaustive"

.PHONY: train test quick check docs constraints clean

train: $(VENV)/installed
	$(BIN)/python train.py

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadscope $(LEFT_OUT)

quick: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow and not exhaustive"

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

constraints: $(VENV)/installed-test
	@echo "# The versions that the suite was run with, Python 3.11 on Linux: pip install -c constraints.txt '.[test]'" > constraints.txt
	@echo "# Made by: make constraints" >> constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | grep -v ' @ ' | sed 's/+.*//' >> constraints.txt

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build data mlruns maps
