# `make demo` and `make test` need only Python 3.11 or newer with pip.
PYTHON ?= python3
BIN := .venv/bin
DEMO_OUT ?= gallery
# Each process computes on one core; the tests of a file share what they load.
TEST_PROCESSES ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile
EXPLORE_OUT ?= explore

.PHONY: demo explore test quick lint typecheck docs bench bench-gpu clean

demo: .venv/installed
	$(BIN)/inverter gallery --model builtin --layer all --channels 0-3 --out $(DEMO_OUT)

# The bundled network, live in a browser. Ctrl-C ends it, and keeps the pictures in a folder with a page.
explore: .venv/installed-explore
	$(BIN)/inverter explore --model builtin --out $(EXPLORE_OUT)

test: .venv/installed-dev
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest $(TEST_PROCESSES) $(PYTEST_OPTIONS)

# About a minute on two cores: without trained networks, training, browser, worker processes and doctests.
quick: .venv/installed-dev
	$(BIN)/python -m pytest -m quick $(PYTEST_OPTIONS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: .venv/installed-dev
	$(BIN)/mypy

# The documentation site: site/index.html, to read from disk. Warnings are errors, also in the notebooks, which run now.
docs: .venv/installed-dev
	$(BIN)/python -m tools.notebooks docs/notebooks
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	$(BIN)/python -m tools.docs site

# About half an hour on two cores, most of it in the other libraries.
bench: .venv/installed-bench
	$(BIN)/python benchmarks/gallery_vs_lucent.py
	$(BIN)/python benchmarks/class_models_vs_lucent.py
	$(BIN)/python benchmarks/maco_vs_horama.py
	$(BIN)/python benchmarks/inversion_vs_pixels.py

# At most five minutes on one GPU.
bench-gpu: .venv/installed-bench
	$(BIN)/python benchmarks/gpu.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("inverter needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable .
	touch $@

.venv/installed-explore: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[explore]'
	touch $@ .venv/installed

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/installed

# Lucent pins old versions of its dependencies and Horama requires plotting libraries. Both run on the versions here, so
# they are installed without dependencies.
.venv/installed-bench: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt tqdm decorator future
	$(BIN)/python -m pip install --quiet --no-deps torch-lucent==0.1.8 horama==0.3.0 einops
	touch $@

clean:
	rm -rf .venv build site docs/notebooks *.egg-info
